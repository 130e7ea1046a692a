"""Packed files: what they hold comes out as it went in; damage and bombs are errors, and cost little."""

from __future__ import annotations

import gzip
import io
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import zstandard

from tunekit.data.readers import compressed
from tunekit.data.readers.base import Notes, ReadOptions
from tunekit.data.readers.catalogue import reader
from tunekit.errors import DataError, MissingExtraError

Pack = Callable[[bytes], bytes]
ZSTD: Pack = zstandard.ZstdCompressor(write_checksum=True).compress
PACKINGS = pytest.mark.parametrize(("name", "pack"), [("gzip", gzip.compress), ("zstd", ZSTD)])
DICE = random.Random(7)
TEXT = "".join(f'{{"text": "{DICE.random()} {number}"}}\n' for number in range(40_000)).encode()


def unpacked(content: bytes, notes: Notes | None = None) -> io.BufferedReader:
    return compressed.opened(io.BufferedReader(io.BytesIO(content)), notes or Notes())


@PACKINGS
@pytest.mark.parametrize(
    "content", [b"", b"a", TEXT, b"\n" * 1_000_000], ids=["empty", "one", "text", "repeated"]
)
def test_what_was_packed_comes_out(name: str, pack: Pack, content: bytes) -> None:
    notes = Notes()
    file = unpacked(pack(content), notes)
    assert file.peek(1)[:100_000] == content[:100_000]  # recognition sees much of it
    assert file.read() == content
    assert notes.facts == {"compression": name}


def test_a_plain_file_is_left_alone() -> None:
    notes = Notes()
    assert unpacked(b"id,text\n", notes).read() == b"id,text\n"
    assert notes.facts == {}


@PACKINGS
def test_members_one_after_another_are_one_file(name: str, pack: Pack) -> None:
    parts = [TEXT[:100], b"", TEXT, b"end"] + [b"tiny"] * 500
    assert unpacked(b"".join(map(pack, parts))).read() == b"".join(parts)


def test_zeros_after_the_end_are_padding() -> None:
    assert unpacked(gzip.compress(b"text") + b"\0" * 10_000).read() == b"text"


@PACKINGS
@pytest.mark.parametrize("left", [0.999, 0.5, 0.01])
def test_a_file_that_breaks_off_gives_rows_and_then_an_error(name: str, pack: Pack, left: float) -> None:
    packed = pack(TEXT)
    file = unpacked(packed[: int(len(packed) * left)])
    rows = reader("jsonl")(file, ReadOptions(), Notes())
    read: list[int] = []
    with pytest.raises(DataError, match=f"the {name} data break off before their end") as caught:
        read.extend(number for number, row in rows if "text" in row)
    assert read == list(range(1, len(read) + 1))
    assert caught.value.line == len(read) + 1
    assert len(read) > 40_000 * left - 10_000  # what was still in a buffer is lost


@PACKINGS
def test_damage_is_an_error(name: str, pack: Pack) -> None:
    packed = bytearray(pack(TEXT))
    packed[len(packed) // 2] ^= 0xFF
    with pytest.raises(DataError, match=f"the {name} data are damaged: "):
        unpacked(bytes(packed)).read()
    with pytest.raises(DataError, match=f"the {name} data are damaged: "):
        unpacked(pack(b"text") + b"rubbish").read()


def test_without_the_extra_the_error_has_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tunekit\[zstd\]'"):
        unpacked(ZSTD(b"text"))


class StandardUnpacker:
    """Behaves as `compression.zstd.ZstdDecompressor` of Python 3.14 is documented to (PEP 784)."""

    def __init__(self, *, options: dict[str, int]) -> None:
        assert options == {"window_log_max": 27}
        self._inner = zstandard.ZstdDecompressor().decompressobj()
        self._ready = b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        self._ready += self._inner.decompress(data) if data else b""
        piece, self._ready = self._ready[:max_length], self._ready[max_length:]
        return piece

    @property
    def needs_input(self) -> bool:
        return not self._ready and not self.eof

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof) and not self._ready

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data


def test_the_standard_librarys_zstd_is_taken_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(
        ZstdDecompressor=StandardUnpacker,
        ZstdError=zstandard.ZstdError,
        DecompressionParameter=SimpleNamespace(window_log_max="window_log_max"),
    )
    monkeypatch.setitem(sys.modules, "compression", module)
    monkeypatch.setitem(sys.modules, "compression.zstd", module)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    assert unpacked(ZSTD(TEXT) + ZSTD(b"more")).read() == TEXT + b"more"
    with pytest.raises(DataError, match="break off"):
        unpacked(ZSTD(TEXT)[:-9]).read()
    with pytest.raises(DataError, match="a zstd bomb"):
        unpacked(ZSTD(bytes(32 << 20))).read()


def test_rows_that_repeat_a_long_schema_are_no_bomb() -> None:
    dice = random.Random(1)
    schema = json.dumps([f"parameter {dice.randrange(10**6)} of tool {number}" for number in range(600)])
    texts = (" ".join(str(dice.random()) for _ in range(8)) for _ in range(1_000))
    rows = "".join(f'{{"tools": {schema}, "text": "{text}"}}\n' for text in texts).encode()
    packed = zstandard.ZstdCompressor(19).compress(rows)
    assert len(rows) > compressed.WINDOW_BYTES and len(rows) > 100 * len(packed)
    assert unpacked(packed).read() == rows


BOMBS: dict[str, Callable[[], bytes]] = {
    "zeros.gz": lambda: gzip.compress(bytes(64 << 20)),
    "newlines.gz": lambda: gzip.compress(b"\n" * (32 << 20)),
    "fast.gz": lambda: gzip.compress(b"\n" * (32 << 20), 1),
    "hidden.gz": lambda: gzip.compress(DICE.randbytes(1 << 20).hex().encode() + b"\n" + bytes(64 << 20)),
    "members.gz": lambda: gzip.compress(bytes(8 << 20)) * 8,
    "zeros.zst": lambda: ZSTD(bytes(256 << 20)),
    "one_line.jsonl": lambda: b'{"text": "' + b"a" * (100 << 20),
    "one_line.txt": lambda: b"a" * (100 << 20),
    "one_row.csv": lambda: b"text,label\n" + b"a," * (20 << 20),
    "columns.csv": lambda: b"," * (4 << 20) + b"\n1\n",
    "blank.csv": lambda: b"text,label\n" + b"\n" * (8 << 20),
    "deep.jsonl": lambda: b"[" * (31 << 20) + b"\n",
    "binary.jsonl": lambda: b'{"text": "' + b"\xe9" * (40 << 20),
}
CHILD = """
import sys
from tunekit.data import recognise
from tunekit.data.readers import catalogue, compressed, files
from tunekit.data.readers.base import Notes, ReadOptions
from tunekit.errors import DataError
count = 0
try:
    with files.opened(sys.argv[1]) as packed:
        file = compressed.opened(packed, Notes())
        format = sys.argv[2] or recognise.recognise(file.peek(1), sys.argv[1], ReadOptions())
        for _, value in catalogue.reader(format)(file, ReadOptions(), Notes()):
            count += 1
            if isinstance(value, DataError):
                raise value
except DataError as error:
    # Of this process alone; what getrusage says includes its parent's, from before exec.
    peak_kb = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(count, int(peak_kb) // 1024, error.message)
"""


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="needs Linux, to ask a process for its peak"
)
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_within_100_mb(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(BOMBS[name]())
    format = "" if name.endswith(("csv", "txt")) else "jsonl"  # by content they are none
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), format], capture_output=True, text=True, check=True
    )
    count, memory_mb, message = done.stdout.split(maxsplit=2)
    assert int(count) < 10, message
    assert int(memory_mb) < 100, message
