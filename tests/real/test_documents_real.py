"""Public workbooks and JSON documents: every cell against openpyxl, every count against what their authors say."""

from __future__ import annotations

import datetime
import io
from collections import Counter
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from tunekit.data.readers import excel, json_document
from tunekit.data.readers.base import Notes, ReadOptions
from tunekit.errors import DataError

pytestmark = pytest.mark.real


def shown(cell: Any) -> str:
    """A value of openpyxl as a person sees it."""
    match cell:
        case None:
            return ""
        case bool():
            return str(cell).upper()
        case float():
            return f"{cell:.15g}"
        case datetime.datetime():
            return cell.isoformat(sep=" ")
        case _:
            return str(cell)


@pytest.mark.parametrize(
    ("file", "sheet", "header", "rows"),
    [
        ("ajgt_xlsx/AJGT.xlsx", 1, 1, 1_800),
        ("azure_function_call/SalesOrder_43659.xlsx", 1, 1, 12),
        ("fivethirtyeight_xlsx/pollster-stats-full.xlsx", 1, 2, 372),
        ("fivethirtyeight_xlsx/pollster-stats-full.xlsx", 2, 1, 21),
    ],
)
@pytest.mark.filterwarnings("ignore:Unknown extension:UserWarning")  # openpyxl's, about what it does not know
def test_every_cell_is_what_openpyxl_sees(
    shared_data: Path, file: str, sheet: int, header: int, rows: int
) -> None:
    content = (shared_data / file).read_bytes()
    notes = Notes()
    found = list(excel.rows(io.BytesIO(content), ReadOptions(sheet=sheet), notes))
    assert (len(found), notes.facts["header"]) == (rows, header)
    book = openpyxl.load_workbook(io.BytesIO(content), data_only=True).worksheets[sheet - 1]
    expected = {
        number: [shown(cell) for cell in cells if shown(cell)]
        for number, cells in enumerate(book.iter_rows(values_only=True), start=1)
        if number > header and any(map(shown, cells))
    }
    assert {number: [cell for cell in row.values() if cell] for number, row in found} == expected


def test_titles_groups_and_the_other_sheet_are_said(shared_data: Path) -> None:
    notes = Notes(name="polls")
    with (shared_data / "fivethirtyeight_xlsx/pollster-stats-full.xlsx").open("rb") as file:
        first = next(row for _, row in excel.rows(file, ReadOptions(), notes))
    assert (first["Pollster"], first["# of Polls"], first["538 Grade"]) == ("Monmouth University", "71", "A+")
    codes = {finding.code: finding for finding in notes.findings}
    assert codes["rows-above-header"].rows == ("polls:1",)
    assert codes["other-sheets"].facts["others"] == ["Description of Columns"]


def test_clinc150_has_its_splits(shared_data: Path) -> None:
    for file, train in (("data_full", 15_000), ("data_imbalanced", 10_525)):
        notes = Notes()
        with (shared_data / f"clinc150/{file}.json").open("rb") as opened:
            rows = list(json_document.rows(opened, ReadOptions(), notes))
        counts = Counter(row["split"] for _, row in rows)
        assert counts == {
            "train": train,
            "val": 3_000,
            "test": 4_500,
            "oos_train": 100,
            "oos_val": 100,
            "oos_test": 1_000,
        }
        with (shared_data / f"clinc150/{file}.json").open("rb") as opened:
            part = list(json_document.rows(opened, ReadOptions(part="test"), Notes()))
        assert part == [row for row in rows if row[1]["split"] == "test"]


def test_utf16_and_every_other_document_is_decoded(shared_data: Path) -> None:
    notes = Notes()
    with (shared_data / "utf16_json/enwik8-vocab.json").open("rb") as file:
        [(_, vocabulary)] = json_document.rows(file, ReadOptions(), notes)
    assert (len(vocabulary), notes.facts["encoding"], notes.facts["layout"]) == (6_064, "utf-16", "record")
    for path in sorted(shared_data.glob("*/*.json")):
        with path.open("rb") as file:
            rows = [row for _, row in json_document.rows(file, ReadOptions(), Notes())]
        assert rows and not any(isinstance(row, DataError) for row in rows), path
