"""Documents built to exhaust whoever opens them: refused, in memory that does not depend on what they declare.

Each is read by a process of its own, which reports its peak.
"""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from tests.unit.data.readers.workbooks import (
    SHEET,
    changed,
    ods,
    ods_row,
    packed,
    said,
    with_rows,
    xlsx,
)

HEAD = '<row r="1"><c r="A1" t="inlineStr"><is><t>text</t></is></c></row>'
ENTITIES = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


def declaring(content: bytes, name: str, size: int) -> bytes:
    """The archive with another unpacked size of one file, in its list of files and before the file."""
    data = bytearray(content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        at = archive.getinfo(name).header_offset
    struct.pack_into("<L", data, at + 22, size)
    entry = data.rindex(b"PK\1\2", 0, data.rindex(name.encode()))
    struct.pack_into("<L", data, entry + 24, size)
    return bytes(data)


def filled(size: int) -> bytes:
    return changed(xlsx([["text"], ["a"]]), SHEET, lambda xml: xml + b" " * size)


def parquet(table: pyarrow.Table) -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(table, file, compression="zstd")
    return file.getvalue()


def arrow(table: pyarrow.Table) -> bytes:
    file = io.BytesIO()
    with pyarrow.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    return file.getvalue()


def named_often(rows: int) -> pyarrow.Table:
    """One long text, and many rows that name it by number."""
    return pyarrow.table({"text": pyarrow.array(["x" * (1 << 20)]).dictionary_encode().take([0] * rows)})


BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "declared.xlsx": (lambda: declaring(filled(0), SHEET, 3 << 30), "more than 100 times"),
    "dense.xlsx": (lambda: filled(64 << 20), "more than 100 times"),
    "lies.xlsx": (lambda: declaring(filled(64 << 20), SHEET, 900_000), "and goes on after that"),
    "members.xlsx": (lambda: packed({f"{n:050}": b"" for n in range(12_000)}), "list of members takes"),
    "entities.xlsx": (
        lambda: changed(filled(0), SHEET, lambda xml: ENTITIES + xml),
        "declares a document type",
    ),
    "entities.ods": (lambda: ods(ods_row(said("a")), head=ENTITIES.decode()), "declares a document type"),
    "far.xlsx": (
        lambda: with_rows(
            HEAD + "".join(f'<row r="{n}"><c r="XFD{n}"><v>1</v></c></row>' for n in range(2, 9_999))
        ),
        "the cells are scattered",
    ),
    "endless_tag.xlsx": (
        lambda: changed(filled(0), SHEET, lambda xml: xml + b"<c " + b"9" * (8 << 20), zipfile.ZIP_STORED),
        "a tag or text",
    ),
    "comments.xlsx": (lambda: with_rows(HEAD + "<!-- " * 100_000), "breaks off"),
    "rows.ods": (lambda: ods(ods_row(said("text")) + ods_row(said("a"), times=1_000_000)), "is repeated"),
    "cells.ods": (
        lambda: ods(ods_row(said("text")) + ods_row(said("a", times=16_000), times=9_999)),
        "is repeated",
    ),
    "deep.json": (lambda: b"[" * (16 << 20), "nested deeper"),
    "deep_object.json": (lambda: b'{"a":' * (5 << 20), "nested deeper"),
    "one_item.json": (lambda: b'[{"text": "' + b"a" * (40 << 20), "longer than 32 MB"),
    "one_key.json": (lambda: b'{"' + b"a" * (40 << 20), "longer than 32 MB"),
    "blank.json": (lambda: b" " * (16 << 20), "the document is empty"),
    "open_texts.json": (lambda: b'["' + b'\\"' * (15 << 20), "breaks off"),
    "named.parquet": (lambda: parquet(named_often(100_000)), "gives values of"),
    "named.arrow": (lambda: arrow(named_often(100_000)), "gives values of"),
    "zeros.parquet": (lambda: parquet(pyarrow.table({"text": ["\0" * (32 << 20)]})), "gives values of"),
    "rows.arrow": (
        lambda: arrow(pyarrow.table({"nothing": pyarrow.nulls(10_000_000)})),
        "declares 10,000,000 rows",
    ),
}
HARMLESS: dict[str, tuple[Callable[[], bytes], int]] = {
    # What made calamine end the process, or take gigabytes.
    "corner.xlsx": (lambda: with_rows(HEAD + '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'), 1),
    "counted.xlsx": (
        lambda: changed(
            with_rows(
                '<row r="1"><c r="A1" t="s"><v>0</v></c></row><row r="2"><c r="A2" t="s"><v>1</v></c></row>',
                shared="<si><t>a</t></si><si><t>b</t></si>",
            ),
            "xl/sharedStrings.xml",
            lambda xml: xml.replace(b"<sst ", b'<sst uniqueCount="4294967295" '),
        ),
        1,
    ),
    "named.xlsx": (
        lambda: with_rows(
            HEAD + "".join(f'<row r="{n}"><c r="A{n}" t="s"><v>0</v></c></row>' for n in range(2, 60_002)),
            shared=f"<si><t>{'x' * 32_000}</t></si>",
        ),
        60_000,
    ),
}
FAMILIES = {
    "workbooks": ((".xlsx", ".ods"), 100),
    "json": ((".json",), 100),
    # pyarrow alone takes 60 MB, and decodes a few rows before their size is known.
    "arrow": ((".parquet", ".arrow"), 250),
}
CHILD = """
import json, sys
from tunekit.data.readers import catalogue, files
from tunekit.data.readers.base import Notes, ReadOptions
from tunekit.errors import DataError

for path in sys.argv[1:]:
    count, message = 0, ""
    try:
        with files.opened(path) as file:
            for _, value in catalogue.reader(path.rpartition(".")[2])(file, ReadOptions(), Notes()):
                count += 1
                if isinstance(value, DataError):
                    raise value
    except DataError as error:
        message = error.message
    # Of this process alone; what getrusage says includes its parent's, from before exec.
    peak_kb = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(json.dumps([count, int(peak_kb) // 1024, message]))
"""
pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="needs Linux, to ask a process for its peak"
)


def opened(paths: list[Path]) -> list[tuple[int, int, str]]:
    """Rows of each file, the peak up to it in MB, and what was said of it."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, paths)], capture_output=True, text=True, check=True
    )
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("family", FAMILIES)
def test_bombs_are_refused_in_little_memory(tmp_path: Path, family: str) -> None:
    suffixes, most_mb = FAMILIES[family]
    bombs = {name: bomb for name, bomb in BOMBS.items() if name.endswith(suffixes)}
    for name, (make, _) in bombs.items():
        (tmp_path / name).write_bytes(make())
    seen = dict(zip(bombs, opened([tmp_path / name for name in bombs]), strict=True))
    for name, (count, memory_mb, message) in seen.items():
        assert bombs[name][1] in message, name
        assert count < 2_000, name
        assert memory_mb < most_mb, (name, seen)


def test_what_only_looks_large_is_read(tmp_path: Path) -> None:
    for name, (make, _) in HARMLESS.items():
        (tmp_path / name).write_bytes(make())
    for name, (count, memory_mb, message) in zip(
        HARMLESS, opened([tmp_path / name for name in HARMLESS]), strict=True
    ):
        assert (count, message) == (HARMLESS[name][1], ""), name
        assert memory_mb < 100, name


def test_a_json_array_of_any_size_streams(tmp_path: Path) -> None:
    row = json.dumps({"prompt": "p" * 400, "completion": "c" * 500}).encode()
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.write(b"[" + row)
        for _ in range(60):
            file.write((b",\n" + row) * 1_000)
        file.write(b"]")
    [(count, memory_mb, message)] = opened([path])
    assert (count, message) == (60_001, "")
    assert memory_mb < 50
