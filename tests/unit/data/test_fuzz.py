"""Damaged files: whatever bytes there are, either examples come out or one typed error that says where.

Through `Dataset.load` and what follows it; each reader alone, and by the million, is in tests/soak/test_reader_fuzz.py.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tunekit as tk
from tunekit.errors import DataError

CHAT = (
    b'{"messages": [{"role": "user", "content": "hi \\ud83d\\ude00"}, {"role": "assistant", "content": null,'
    b' "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},'
    b' {"role": "tool", "content": "x", "tool_call_id": "c"},'
    b' {"role": "assistant", "content": "caf\xc3\xa9", "weight": 0.5}], "tools": [{"a": 1e3}]}'
    b"\n"
)
OWN = (
    b'{"kind":"preference","id":"a:1","meta":{"k":1},"messages":[{"role":"user","content":"q"}],"chosen":"a","rejected":"b"}\n'
    b'{"kind":"prompt","messages":[{"role":"user","content":"q"}],"reference":{"answer":[1,2]}}\n'
    b'{"kind":"labelled","text":"t","label":["x","y"]}\n{"text":"raw"}\n{"prompt":"p","completion":"c","n":-1.5}\n'
)
TABLE = b'\xef\xbb\xbftext,label,\r\n"a ""quoted""\ncell",x,\r\nplain,"y",note\r\n"caf\xc3\xa9; b\tc",z,\r\n'
SEEDS: list[tuple[bytes, dict[str, Any]]] = [
    (CHAT * 2, {}),
    (OWN, {}),
    (TABLE, {"input": "text", "target": "label"}),
    (TABLE.replace(b",", b"\t"), {"input": "text", "target": "label", "kind": "labelled"}),
    (TABLE.decode().encode("utf-16"), {"input": "text", "target": "label", "encoding": "utf-16"}),
    (CHAT, {"input": "messages", "target": "tools"}),
]
SPICE = (
    *(bytes([byte]) for byte in b"\0\"',\t;\r\n\\{}[]: \xff"),
    *(
        b"\r\n",
        b"\\u",
        b"\\ud800",
        b"null",
        b"true",
        b"-1",
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"9" * 5000,
        b"[" * 3000,
    ),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\xe2\x80\xa8", b'"role"', b"PK\x03\x04", b"\x1f\x8b", b"<html", b""),
)


def mutated(seed: bytes, dice: random.Random) -> bytes:
    """One to eight edits: a byte changed, a part cut, doubled or moved, or something nasty put in."""
    data = bytearray(seed)
    for _ in range(dice.randint(1, 8)):
        start = dice.randint(0, len(data))
        end = min(len(data), start + dice.choice((0, 1, 1, 1, 2, 4, 30)))
        part = bytes(data[start:end])
        data[start:end] = dice.choice(
            (
                b"",
                part * 2,
                part[::-1],
                bytes([dice.randrange(256)]),
                dice.choice(SPICE),
                dice.choice(SPICE) + part,
            )
        )
    return bytes(data)


def located(error: DataError, path: Path) -> None:
    assert error.path == str(path)
    assert str(error).startswith(str(path))


def attempt(path: Path, content: bytes, options: dict[str, Any]) -> None:
    path.write_bytes(content)
    for on_error in ("raise", "skip"):
        try:
            data = tk.Dataset.load(path, on_error=on_error, **options)
        except DataError as error:
            located(error, path)
        else:
            # What was accepted is good for everything after: a fingerprint, a file, the same again from that file.
            data.write_jsonl(path)
            assert tk.Dataset.load(path) == data
            path.write_bytes(content)


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_seeds_are_good_files(tmp_path: Path, number: int) -> None:
    content, options = SEEDS[number]
    path = tmp_path / "seed"
    path.write_bytes(content)
    if number < len(SEEDS) - 1:
        assert len(tk.Dataset.load(path, **options)) >= 2
    attempt(path, content, options)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv", ".txt", ""])
def test_mutated_files_only_raise_data_errors(tmp_path: Path, suffix: str) -> None:
    dice = random.Random(f"tunekit {suffix}")
    for _ in range(200):
        content, options = dice.choice(SEEDS)
        attempt(tmp_path / f"noise{suffix}", mutated(content, dice), options)


@given(st.binary(max_size=200), st.sampled_from([options for _, options in SEEDS]))
def test_noise_only_raises_data_errors(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, options: dict[str, Any]
) -> None:
    attempt(tmp_path_factory.getbasetemp() / "noise.csv", content, options)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_hundred_thousand_mutated_files_only_raise_data_errors(tmp_path: Path) -> None:
    dice = random.Random("tunekit soak")
    for _ in range(100_000):
        content, options = dice.choice(SEEDS)
        suffix = dice.choice((".jsonl", ".csv", ".tsv", ""))
        attempt(tmp_path / f"noise{suffix}", mutated(content, dice), options)
