"""Excel workbooks: which sheet, which header, which rows, and what is said about them."""

from __future__ import annotations

import gzip
import io
from itertools import islice
from typing import Any

import openpyxl
import pytest

from tests.unit.data.readers.tables import codes
from tests.unit.data.readers.workbooks import (
    HEADER,
    SHEET,
    changed,
    failed,
    packed,
    parts,
    read,
    records,
    saved,
    with_rows,
    xlsx,
)
from tunekit.data.readers import compressed, excel
from tunekit.data.readers.base import Notes, ReadOptions
from tunekit.errors import DataError

# --- sheets -------------------------------------------------------------------------------------------


def several() -> bytes:
    book = openpyxl.Workbook()
    book.active.title = "cover"
    hidden = book.create_sheet("hidden data")
    hidden.sheet_state = "hidden"
    hidden.append(HEADER)
    hidden.append(["h", "h"])
    for name in ("train", "test"):
        book.create_sheet(name).append(HEADER)
        book[name].append([name, "x"])
    book.create_chartsheet("chart")
    return saved(book)


def test_the_first_visible_sheet_with_data_is_read_and_the_others_are_named() -> None:
    rows, notes = read(several())
    assert rows == [(2, {"prompt": "train", "completion": "x"})]
    assert notes.facts["sheet"] == "train"
    [finding] = notes.findings
    assert finding.code == "other-sheets"
    assert "not read: 'hidden data' (hidden), 'test'." in finding.message


@pytest.mark.parametrize(
    ("sheet", "first"), [("test", "test"), (4, "test"), ("hidden data", "h"), (3, "train")]
)
def test_a_sheet_is_chosen_by_name_or_position(sheet: str | int, first: str) -> None:
    assert records(several(), sheet=sheet)[0]["prompt"] == first


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        (
            {"sheet": "Test"},
            "no sheet 'Test'; the sheets are 'cover', 'hidden data', 'train', 'test'",
            "did you mean",
        ),
        ({"sheet": 9}, "no sheet 9; the sheets are", "from 1 to 4"),
        ({"sheet": "cover"}, "the sheet 'cover' is blank", "another's name"),
        ({"wanted": ("text",)}, "no column 'text'; the columns are 'prompt', 'completion'", "input="),
        ({"wanted": ("Prompt ",)}, "no column 'Prompt '", "did you mean 'prompt'?"),
        ({"header": 9}, "no row begins on line 9", "nearest"),
        ({"header": ("one", "two", "three")}, "3 names for 2 columns", "one name for each column"),
    ],
)
def test_what_is_not_there_is_said(options: dict[str, Any], message: str, hint: str) -> None:
    error = failed(several(), **options)
    assert message in error.message
    assert hint in error.hint


def test_a_note_on_the_first_sheet_is_no_table() -> None:
    book = openpyxl.Workbook()
    book.active.append(["Exported by the help desk"])
    data = book.create_sheet("data")
    for row in (HEADER, ["a", "b"]):
        data.append(row)
    rows, notes = read(saved(book))
    assert (rows, notes.facts["sheet"]) == ([(2, {"prompt": "a", "completion": "b"})], "data")
    [finding] = notes.findings
    assert "the sheet 'data' was read; not read: 'Sheet'." in finding.message


def test_no_sheet_with_data() -> None:
    assert "no visible sheet has data; the sheets are 'Sheet'" in failed(xlsx([])).message
    error = failed(xlsx([HEADER]))
    assert (error.message, error.line) == ("the sheet 'Sheet' has a header and no rows", 1)


# --- headers ------------------------------------------------------------------------------------------


def test_titles_above_the_header_are_passed_by_and_named() -> None:
    rows, notes = read(
        xlsx([["Support tickets 2024"], [], ["text", "label", "n"], ["hi", "greeting", 1], ["yo", "x", 2]])
    )
    assert rows == [
        (4, {"text": "hi", "label": "greeting", "n": "1"}),
        (5, {"text": "yo", "label": "x", "n": "2"}),
    ]
    [finding] = notes.findings
    assert (finding.code, finding.rows) == ("rows-above-header", ("book:1",))
    assert notes.facts["header"] == 3


def test_a_table_may_begin_anywhere() -> None:
    book = openpyxl.Workbook()
    table: list[list[Any]] = [["prompt", "completion"], ["a", 1], ["b", 2]]
    for row, line in enumerate(table, start=5):
        for column, cell in enumerate(line, start=3):
            book.active.cell(row=row, column=column, value=cell)
    assert read(saved(book))[0] == [
        (6, {"prompt": "a", "completion": "1"}),
        (7, {"prompt": "b", "completion": "2"}),
    ]


def test_a_first_row_of_data_is_no_header() -> None:
    rows, notes = read(xlsx([["ham", "See you."], ["spam", "WIN!"], ["ham", "Ok then."]]))
    assert rows[0] == (1, {"column 1": "ham", "column 2": "See you."})
    assert codes(notes) == ["assumed-no-header"]
    assert records(xlsx([["ham", "See you."], ["spam", "WIN!"]]), header=True) == [
        {"ham": "spam", "See you.": "WIN!"}
    ]


def test_the_caller_names_the_header() -> None:
    table = [["x", "y"], ["text", "label"], ["a", "b"]]
    assert records(xlsx(table), header=2) == [{"text": "a", "label": "b"}]
    assert records(xlsx(table), header=("one", "two"))[0] == {"one": "x", "two": "y"}
    assert records(xlsx(table), header=False)[0] == {"column 1": "x", "column 2": "y"}
    assert records(xlsx(table), wanted=("label",)) == [{"text": "a", "label": "b"}]


def test_columns_without_names_and_with_one_twice() -> None:
    rows, notes = read(
        xlsx(
            [
                ["text", None, "label", "label", None],
                ["a", "note", "x", "y", None],
                ["b", None, "z", "w", None],
            ]
        )
    )
    assert [row for _, row in rows] == [
        {"text": "a", "column 2": "note", "label": "x", "label (4)": "y"},
        {"text": "b", "label": "z", "label (4)": "w"},
    ]
    assert codes(notes) == ["repeated-column-names", "unnamed-columns"]


def test_merged_cells_and_hidden_rows_are_reported() -> None:
    book = openpyxl.Workbook()
    for row in (HEADER, ["a", "x"], ["b", None], ["c", "y"], ["d", "z"]):
        book.active.append(row)
    book.active.merge_cells("B2:B3")
    book.active.row_dimensions[4].hidden = True
    rows, notes = read(saved(book))
    assert rows[1] == (3, {"prompt": "b", "completion": ""})
    found = {finding.code: finding.rows for finding in notes.findings}
    assert found == {"merged-cells": ("book:3",), "hidden-rows": ("book:4",)}


# --- files --------------------------------------------------------------------------------------------


def test_a_packed_workbook_is_read_though_it_cannot_go_back() -> None:
    file = compressed.opened(
        io.BufferedReader(io.BytesIO(gzip.compress(xlsx([HEADER, ["a", "b"]])))), Notes()
    )
    assert list(excel.rows(file, ReadOptions(), Notes())) == [(2, {"prompt": "a", "completion": "b"})]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is too short for a zip archive"),
        (b"PK\3\4" + b"x" * 100, "does not end where a zip archive ends"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 600, "this is an old Excel workbook (.xls)"),
        (b"\xd0\xcf\x11\xe0" + "EncryptedPackage".encode("utf-16-le"), "protected by a password"),
    ],
)
def test_what_is_no_workbook_is_named(content: bytes, message: str) -> None:
    assert message in failed(content).message


def test_a_binary_workbook_and_an_archive_of_something_else() -> None:
    assert (
        "binary Excel workbook (.xlsb)"
        in failed(changed(xlsx([HEADER]), "xl/workbook.bin", lambda _: b"x")).message
    )
    files = parts(xlsx([HEADER]))
    del files["xl/workbook.xml"]
    assert "this zip archive holds no workbook" in failed(packed(files)).message


def test_a_cut_sheet_is_an_error_after_its_rows() -> None:
    table: list[list[Any]] = [["id", "text"], *([number, f"text {number}"] for number in range(200))]
    content = changed(xlsx(table), SHEET, lambda xml: xml[: len(xml) // 2])
    rows = excel.rows(io.BytesIO(content), ReadOptions(), Notes())
    assert len(list(islice(rows, 50))) == 50
    with pytest.raises(DataError, match="the sheet breaks off") as caught:
        list(rows)
    assert caught.value.line and caught.value.line > 90


def test_rows_out_of_order_end_the_reading() -> None:
    row = '<row r="{0}"><c r="A{0}" t="inlineStr"><is><t>t{0}</t></is></c></row>'
    error = failed(with_rows(row.format(1) + row.format(3) + row.format(2)))
    assert error.message == "row 2 follows row 3 in the sheet"
    assert "1,048,577 follows" in failed(with_rows(row.format(1) + row.format(1_048_577))).message
