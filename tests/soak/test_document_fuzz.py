"""Damaged documents through their readers: rows, or typed errors that say where. Workbooks, Parquet, Arrow, JSON.

A slice of it runs with the other tests, a million files with `make soak`.
"""

from __future__ import annotations

import datetime
import functools
import io
import json
import random
from collections import Counter
from typing import Any

import openpyxl
import pyarrow
import pyarrow.parquet
import pytest

from tests.unit.data.readers.workbooks import (
    SHARED,
    SHEET,
    changed,
    ods,
    ods_row,
    parts,
    said,
    saved,
    valued,
    with_rows,
)
from tunekit.data.readers import catalogue, xlsx_sheet
from tunekit.data.readers.base import Notes, ReadOptions
from tunekit.errors import DataError

OPTIONS: tuple[dict[str, Any], ...] = (
    *[{}] * 6,
    {"header": True},
    {"header": 2},
    {"header": False},
    {"header": ("one", "two")},
    {"sheet": 2},
    {"part": "train"},
    {"wanted": ("prompt", "completion")},
    {"encoding": "utf-8"},
)
SPICE = (
    *(bytes([byte]) for byte in b"\0\"'<>/&{}[],:\\ \xff\xe9"),
    *(b"9" * 30, b"1e999", b"-1", b"NaN", b"null", b'"a":', b"[[[[" * 80, b"\\ud800", b"x" * 5_000, b""),
    *(b"<c ", b"</c>", b"<row ", b"</row>", b"<v>", b"</v>", b"<si>", b"</si>", b"</sheetData>", b"<f>1</f>"),
    *(b"<![CDATA[", b"]]>", b"<!--", b"-->", b"<!DOCTYPE x>", b"&#0;", b"&#x110000;", b"_x0000_", b"_xD800_"),
    *(b' r="XFD1048576"', b' r="A1"', b' r="7"', b' t="s"', b' t="e"', b' t="d"', b' s="9"', b' hidden="1"'),
    *(
        b"<table:table-row>",
        b' table:number-rows-repeated="9999999"',
        b' table:number-columns-repeated="9999"',
    ),
)


ARROWS = ((pyarrow.ipc.new_file, None), (pyarrow.ipc.new_stream, None), (pyarrow.ipc.new_stream, "zstd"))


def workbook() -> bytes:
    book = openpyxl.Workbook()
    book.active.append(["prompt", "completion", "when", "n", "ok"])
    day = datetime.datetime.fromisoformat("2024-01-02T03:04:05")
    for number in range(60):
        book.active.append([f"a {number} & <b>", "x", day, number + 0.5, True])
    book.active.append(["e", "=1/0", None, 12_345_678_901_234_567, "#DIV/0!"])
    book.active.merge_cells("A12:B12")
    book.create_sheet("two").append([1])
    return saved(book)


def shared() -> bytes:
    cell = '<c r="{0}{1}" t="s"><v>{2}</v></c>'
    xml = "".join(
        f'<row r="{row}">{cell.format("A", row, row % 3)}{cell.format("B", row, row % 2)}</row>'
        for row in range(1, 70)
    )
    return with_rows(xml, shared="<si><t>one</t></si><si><r><t>t</t></r><r><t>wo</t></r></si><si/>")


def spreadsheet() -> bytes:
    rows = [ods_row(said("prompt"), said("completion")), ods_row(said("a"), valued("float", "7"))]
    rows.append(ods_row(valued("date", "2024-01-02T03:04:05"), valued("time", "PT03H04M05S")))
    rows.append(ods_row(said('x<text:s text:c="3"/>y', times=2), times=3))
    return ods("".join(rows))


def tables() -> list[bytes]:
    table = pyarrow.table(
        {
            "s": ["a", None, "b"],
            "i": [1, 2, 3],
            "l": [["x"], [], None],
            "st": [{"a": 1, "b": "c"}] * 3,
            "ts": [datetime.datetime.fromisoformat("2024-01-02")] * 3,
            "d": pyarrow.array(["p", "q", "p"]).dictionary_encode(),
            "b": [b"\xff", b"x", None],
        }
    )
    files = []
    for compression in ("snappy", "zstd", "none"):
        files.append(io.BytesIO())
        pyarrow.parquet.write_table(table, files[-1], compression=compression)
    for make, packing in ARROWS:
        files.append(io.BytesIO())
        options = pyarrow.ipc.IpcWriteOptions(compression=packing)
        with make(files[-1], table.schema, options=options) as writer:
            writer.write_table(table)
    return [file.getvalue() for file in files]


def documents() -> list[bytes]:
    pairs = [{"prompt": "a", "completion": "é", "n": [1, {"x": None}]}] * 3
    texts = [
        json.dumps(pairs),
        json.dumps({"train": [["a", "x"], ["b", "y"]], "test": [["c", "x"]]}, indent=1),
        json.dumps({"prompt": ["a", "b"], "completion": ["c", "d"]}),
        json.dumps({"prompt": {"0": "a", "1": "b"}, "completion": {"0": "c", "1": "é"}}, ensure_ascii=False),
        json.dumps({"columns": ["p", "c"], "index": [0], "data": [["a", "b"]]}),
        json.dumps({"data": [{"a": "é"}], "version": "1"}, ensure_ascii=False),
        json.dumps({"a": {"q": 1}, "b": {"q": 2}, "c": {"q": 3}}),
    ]
    return [text.encode(encoding) for text in texts for encoding in ("utf-8", "utf-8", "utf-16", "cp1252")]


def mutated(seed: bytes, dice: random.Random) -> bytes:
    """Up to six edits: a byte changed, a part cut, doubled, turned round, or something nasty put in."""
    data = bytearray(seed)
    for _ in range(dice.randint(0, 6)):
        start = dice.randint(0, len(data))
        end = min(len(data), start + dice.choice((0, 1, 1, 2, 4, 30)))
        part = bytes(data[start:end])
        byte, spice = bytes([dice.randrange(256)]), dice.choice(SPICE)
        data[start:end] = dice.choice((b"", part * 2, part[::-1], byte, spice, spice + part))
    return bytes(data)


@functools.cache
def seeds() -> dict[str, list[bytes]]:
    return {"xlsx": [workbook(), shared()], "ods": [spreadsheet()], "parquet": tables(), "json": documents()}


INSIDE = (
    SHEET,
    SHEET,
    SHEET,
    SHARED,
    "xl/workbook.xml",
    "xl/_rels/workbook.xml.rels",
    "xl/styles.xml",
    "content.xml",
)


def throw(dice: random.Random) -> tuple[str, bytes, dict[str, Any]]:
    """A format, a damaged file of it, and options."""
    format = dice.choice(("xlsx", "xlsx", "ods", "parquet", "json", "json"))
    seed = dice.choice(seeds()[format])
    options = dice.choice(OPTIONS)
    if format in ("xlsx", "ods") and dice.random() < 0.9:
        # Below the packing, where mutations of the archive would never come.
        inside = [name for name in INSIDE if name in parts(seed)]
        return format, changed(seed, dice.choice(inside), lambda xml: mutated(xml, dice)), options
    return format, mutated(seed, dice), options


def attempt(format: str, content: bytes, options: dict[str, Any]) -> tuple[int, int, str]:
    """Good rows, bad rows, and the error that ended the file."""
    notes, last, good, bad, end = Notes(name="x"), 0, 0, 0, ""
    try:
        for number, value in catalogue.reader(format)(io.BytesIO(content), ReadOptions(**options), notes):
            assert number > last, "rows come in order, each with a number of its own"
            last = number
            if isinstance(value, DataError):
                assert value.message and value.hint
                bad += 1
            else:
                json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
                good += 1
    except DataError as error:
        end = error.message if error.hint else ""
        if not end:
            raise
    # Whatever was noticed can be shown, written and kept.
    json.dumps([notes.facts, *(finding.to_dict() for finding in notes.findings)], ensure_ascii=False).encode()
    return good, bad, end


def run(files: int, dice: random.Random) -> tuple[Counter[str], set[str]]:
    """Good and bad rows of each format, and what ended files."""
    counts: Counter[str] = Counter()
    ends: set[str] = set()
    for number in range(files):
        thrown = throw(dice)
        try:
            good, bad, end = attempt(*thrown)
        except BaseException as error:
            error.add_note(f"file {number} of this run did it, read as {thrown[0]} with {thrown[2]}")
            raise
        counts[f"{thrown[0]} good"] += good
        counts[f"{thrown[0]} bad"] += bad
        ends.add(end[:24])
    return counts, ends


@pytest.mark.parametrize("part", range(4))
def test_mutated_documents_give_rows_or_errors(part: int) -> None:
    counts, ends = run(600, random.Random(f"tunekit documents {part}"))
    # The files are neither all good nor all hopeless, or this would test nothing.
    assert all(counts[f"{format} good"] > 20 for format in seeds()), counts
    assert counts["xlsx bad"] > 5 and len(ends) > 30, (counts, ends)


@pytest.mark.parametrize("format", ["xlsx", "ods", "parquet", "json"])
def test_the_seeds_are_good_files(format: str) -> None:
    for seed in seeds()[format]:
        good, bad, end = attempt(format, seed, {})
        assert good and not bad and not end


def test_the_same_document_gives_the_same_rows_and_findings() -> None:
    def seen(format: str, content: bytes, options: dict[str, Any]) -> str:
        notes = Notes(name="x")
        rows: list[Any] = []
        try:
            rows += catalogue.reader(format)(io.BytesIO(content), ReadOptions(**options), notes)
        except DataError as error:
            rows.append(error)
        return repr((rows, notes))

    dice = random.Random("tunekit documents twice")
    for thrown in [throw(dice) for _ in range(60)]:
        assert seen(*thrown) == seen(*thrown)


def columns() -> bytes:
    """A sheet whose rows are all alike, with formats, formulas and blanks."""
    head = "".join(f'<c r="{letter}1" t="inlineStr"><is><t>{letter}</t></is></c>' for letter in "ABCD")
    rows = "".join(
        f'<row r="{row}" spans="1:4"><c r="A{row}" s="1"><v>{40_000 + row / 7}</v></c>'
        f'<c r="B{row}" t="inlineStr"><is><t>a{row}</t></is></c>'
        + (f'<c r="C{row}" t="s"><v>{row % 3}</v></c>' if row % 4 else f'<c r="C{row}" s="2"/>')
        + f'<c r="D{row}"><f>A1+1</f><v>{(1, 2.5, "1E+20", 12_345_678_901_234_567)[row % 4]}</v></c></row>'
        for row in range(2, 120)
    )
    return with_rows(f'<row r="1">{head}</row>{rows}', shared="<si><t>one</t></si><si><t>two</t></si><si/>")


def outcome(content: bytes) -> str:
    """The rows of a workbook, and findings or what ended it."""
    notes = Notes(name="x")
    rows: list[Any] = []
    try:
        for number, row in catalogue.reader("xlsx")(io.BytesIO(content), ReadOptions(header=True), notes):
            rows.append((number, row.message if isinstance(row, DataError) else row))
    except DataError as error:
        return repr((rows, error.message))
    return repr((rows, notes))


@pytest.mark.parametrize("part", range(2))
def test_rows_read_by_column_are_the_rows_read_one_by_one(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of damaged sheets: the quick way sees when it must not be taken."""
    dice = random.Random(f"tunekit sheets {part}")
    sheets = (*seeds()["xlsx"], columns())
    for _ in range(150):
        content = changed(
            dice.choice(sheets), dice.choice((SHEET, SHEET, SHARED)), lambda xml: mutated(xml, dice)
        )
        quick = outcome(content)
        with monkeypatch.context() as patched:
            patched.setattr(xlsx_sheet, "_MOST_PATTERNS", 0)
            assert outcome(content) == quick


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_million_mutated_documents_give_rows_or_errors() -> None:
    run(1_000_000, random.Random("tunekit documents soak"))
