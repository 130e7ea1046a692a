"""Reading a workbook of 100,000 rows: tunekit against openpyxl in its read-only mode, on the same file in one run.

    python benchmarks/read_excel.py [rows]

Both make a dictionary of every row. tunekit bounds what the file may unpack to, finds the header, and writes numbers
and moments as a person sees them; openpyxl gives Python values. Measured is process CPU time, which a busy machine
changes little; the best of three rounds counts. The file is written by openpyxl, once with the texts in the sheet, as
openpyxl does, and once with the table of shared texts that Excel writes.
"""

from __future__ import annotations

import datetime
import random
import re
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl

from tunekit.data.readers import excel
from tunekit.data.readers.base import Notes, ReadOptions

ROUNDS = 3
WORDS = "where is my parcel it has not arrived since last week and nobody answers the phone please help me"
SHEET = "xl/worksheets/sheet1.xml"
INLINE = re.compile(rb't="inlineStr"><is><t>([^<]*)</t></is></c>')
NAMESPACE = b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"
TYPE = (
    b'<Override PartName="/xl/sharedStrings.xml" ContentType='
    b'"application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"/></Types>'
)
RELATION = (
    b'<Relationship Id="shared" Target="/xl/sharedStrings.xml" Type='
    b'"http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings"/></Relationships>'
)


def write(path: Path, rows: int) -> None:
    """Support tickets: a number, a text, a label, a moment and a score."""
    dice, words = random.Random(1), WORDS.split()
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("tickets")
    sheet.append(["id", "text", "label", "opened", "score"])
    begin = datetime.datetime(2024, 1, 1, 8)  # noqa: DTZ001  # workbooks know no time zones
    for number in range(rows):
        text = " ".join(dice.choices(words, k=12))
        label = dice.choice(("billing", "delivery", "refund"))
        opened = begin + datetime.timedelta(minutes=number)
        sheet.append([number, text, label, opened, round(10 * dice.random(), 3)])
    book.save(path)


def share_texts(source: Path, path: Path) -> None:
    """The same workbook with its texts in a table of their own, where cells name them by number."""
    numbers: dict[bytes, int] = {}

    def cell(found: re.Match[bytes]) -> bytes:
        return b't="s"><v>%d</v></c>' % numbers.setdefault(found[1], len(numbers))

    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = old.read(name)
            if name == SHEET:
                data = INLINE.sub(cell, data)
            if name == "xl/_rels/workbook.xml.rels":
                data = data.replace(b"</Relationships>", RELATION)
            if name == "[Content_Types].xml":
                data = data.replace(b"</Types>", TYPE)
            new.writestr(name, data)
        items = b"".join(b"<si><t>%s</t></si>" % text for text in numbers)
        new.writestr("xl/sharedStrings.xml", b'<sst xmlns="%s">%s</sst>' % (NAMESPACE, items))


def by_tunekit(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in excel.rows(file, ReadOptions(), Notes()))


def by_openpyxl(path: Path) -> int:
    book = openpyxl.load_workbook(path, read_only=True)
    rows = book.worksheets[0].iter_rows(values_only=True)
    names = next(rows)
    return sum(bool(dict(zip(names, row, strict=True))) for row in rows)


def best(read: Callable[[Path], int], path: Path, rows: int) -> float:
    """CPU seconds of the fastest round."""
    seconds = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        assert read(path) == rows
        seconds.append(time.process_time() - begin)
    return min(seconds)


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    print(f"{rows:,} rows of 5 columns; CPU seconds, best of {ROUNDS}; openpyxl {openpyxl.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        inline, shared = Path(folder, "inline.xlsx"), Path(folder, "shared.xlsx")
        write(inline, rows)
        share_texts(inline, shared)
        for path, what in ((inline, "texts in the sheet"), (shared, "shared texts")):
            ours, theirs = best(by_tunekit, path, rows), best(by_openpyxl, path, rows)
            size = path.stat().st_size / 1e6
            print(
                f"{what:20} {size:5.1f} MB  tunekit {ours:.2f}  openpyxl {theirs:.2f}  ratio {theirs / ours:.1f}"
            )


if __name__ == "__main__":
    main()
