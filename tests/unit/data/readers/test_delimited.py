"""Tables in text: every cell to the letter, every row with its line, and what was decided and noticed on the way."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.data.readers.tables import CELLS, OPENED, codes, read, refused, values
from tunekit.data.readers.base import Notes, ReadOptions
from tunekit.data.readers.catalogue import reader
from tunekit.data.readers.dialect import DELIMITERS, MAX_CELL_CHARS
from tunekit.errors import DataError


def test_rows_facts_and_nothing_to_say() -> None:
    rows, notes = read('text,label\n NA ,null\n"say ""hi"", now",007\n')
    assert rows == [
        (2, {"text": " NA ", "label": "null"}),
        (3, {"text": 'say "hi", now', "label": "007"}),
    ]
    assert notes.findings == []
    assert notes.facts == {
        "encoding": "utf-8",
        "is_table": True,
        "delimiter": ",",
        "quoting": True,
        "header": 1,
    }


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_numbers_are_the_lines_where_rows_begin(end: str) -> None:
    lines = ["", "text,label", '"one', 'two",a', "", '"three', "", 'four",b', "last,c"]
    rows, _ = read(end.join(lines))
    assert [number for number, _ in rows] == [3, 6, 9]
    assert rows[1][1] == {"text": f"three{end}{end}four", "label": "b"}


def test_numbers_stay_right_through_many_blocks() -> None:
    breaks = ["\n", "", "\r", "", "\r\n", ""]
    cells = [f"cell {number}{breaks[number % 6]}" for number in range(60_000)]
    rows, _ = read("text,label\r\n" + "\r\n".join(f'"{cell}",x' for cell in cells))
    at = 2
    for (number, row), cell in zip(rows, cells, strict=True):
        assert (number, row["text"]) == (at, cell)
        at += len(cell.splitlines(keepends=True)) + cell.endswith(("\n", "\r"))


def test_the_header_on_a_line_of_its_own_choice() -> None:
    content = "Report,\n2020,\nname,text\na,b\n"
    assert values(content, header=3) == [{"name": "a", "text": "b"}]
    assert values(content, header=True)[0] == {"Report": "2020"}
    assert values(content, header=False)[1] == {"column 1": "2020", "column 2": ""}
    assert values(content, header=["x", "y"])[-1] == {"x": "a", "y": "b"}
    assert [number for number, _ in read(content, header=["x", "y"])[0]] == [1, 2, 3, 4]
    error = refused('"a\nb",c\nd,e\n', header=2)
    assert (
        str(error)
        == "2: no row begins on line 2, which header= names\n  hint: the nearest begin on lines 1, 3"
    )
    with pytest.raises(DataError, match="3 names for 2 columns"):
        read(content, header=["x", "y", "z"])


def test_no_header_is_noticed_and_said() -> None:
    rows, notes = read("ham\tSee you there\nspam\tWIN\nham\tok\n", "tsv")
    assert rows[0] == (1, {"column 1": "ham", "column 2": "See you there"})
    assert len(rows) == 3
    assert notes.facts["header"] is False
    (finding,) = notes.findings
    assert (finding.code, finding.severity) == ("assumed-no-header", "info")
    assert finding.message == (
        "the first row was taken for data: 'ham' is a value of column 1; the columns are called 'column 1', 'column 2';"
        " pass header=True if it names them"
    )
    assert read("ham\tx\nham\ty\n", header=True)[1].findings == []
    error = refused("ham\tSee you there\nham\tok\n", wanted=("text",))
    assert error.hint == "the first row was taken for data; pass header=True if it names the columns"


def test_titles_above_the_header_are_told() -> None:
    rows, notes = read(
        'Survey of 2020\n\ntext,score\n"I waited for weeks, and wrote to you twice",1\nFine,2\n'
    )
    assert [number for number, _ in rows] == [4, 5]
    (finding,) = notes.findings
    assert (finding.code, finding.rows) == ("rows-above-header", ("t.csv:1",))
    assert notes.facts["header"] == 3


def test_two_header_rows_are_told() -> None:
    rows, notes = read("id,age,points,,\n,Response,Sum,Yes,No\n" + "7,30,5,x,\n" * 5)
    assert rows[0] == (2, {"id": "", "age": "Response", "points": "Sum", "column 4": "Yes", "column 5": "No"})
    (found,) = [finding for finding in notes.findings if finding.code == "two-header-rows"]
    assert (found.severity, found.rows) == ("warning", ("t.csv:2",))


def test_names_are_cleaned_and_made_unique() -> None:
    rows, notes = read("City\xa0, text ,note,note,\n" + "a,b,c,d,\n")
    assert rows[0][1] == {"City": "a", "text": "b", "note": "c", "note (4)": "d"}
    assert codes(notes) == ["cleaned-column-names", "repeated-column-names", "empty-columns"]
    assert notes.findings[0].facts == {"columns": ["City\xa0", " text "]}
    assert notes.findings[1].facts == {"columns": ["note"]}
    assert notes.findings[2].facts == {"columns": ["column 5"]}


def test_wanted_columns_are_there_once() -> None:
    assert values("a, text \nb,c\n", wanted=("text",)) == [{"a": "b", "text": "c"}]
    assert str(refused("Text,b\nc,d\n", wanted=("text",))) == (
        "1: no column 'text'; the columns are 'Text', 'b'\n  hint: did you mean 'Text'?"
    )
    assert str(refused("x,text,text\na,b,c\n", wanted=("text",))) == (
        "1: 2 columns are named 'text'\n  hint: rename all but one"
    )


def test_columns_without_a_name_are_in_rows_that_fill_them() -> None:
    rows, notes = read("text,label,,\na,b,,\nc,d,spill,\ne,f,,\n")
    assert [row for _, row in rows] == [
        {"text": "a", "label": "b"},
        {"text": "c", "label": "d", "column 3": "spill"},
        {"text": "e", "label": "f"},
    ]
    empty, unnamed = notes.findings
    assert (empty.code, empty.facts) == ("empty-columns", {"columns": ["column 4"]})
    assert (unnamed.code, unnamed.rows) == ("unnamed-columns", ("t.csv:3",))
    assert unnamed.facts == {"rows": 1, "columns": {"column 3": 1}}
    assert str(unnamed.places[0]) == "t.csv:3:column 3"


def test_rows_that_hold_nothing_or_the_header_again_are_passed_by_and_told() -> None:
    rows, notes = read("text,label\na,b\n,\ntext,label\nc,d,,\n\ne,f\n")
    assert [number for number, _ in rows] == [2, 5, 7]
    assert rows[1][1] == {"text": "c", "label": "d"}
    assert [(finding.code, finding.severity, finding.rows) for finding in notes.findings] == [
        ("blank-rows", "info", ("t.csv:3",)),
        ("padded-rows", "info", ("t.csv:5",)),
        ("repeated-header", "warning", ("t.csv:4",)),
    ]


def test_rows_of_another_width_are_errors_in_their_place() -> None:
    rows, _ = read("text,label\na,b\nc\nd,e,f\ng,h\n")
    assert [number for number, _ in rows] == [2, 3, 4, 5]
    short, long = rows[1][1], rows[2][1]
    assert str(short) == (
        "the row has 1 cell, the header has 2\n"
        "  hint: fill in the missing cells, or put quotes around a cell that holds a line break"
    )
    assert (
        str(long) == "the row has 3 cells, the header has 2\n  hint: put quotes around a cell that holds ','"
    )


def test_quotes_taken_for_text_are_told() -> None:
    content = 'ham\tok then\nham\t"Sure\nspam\tWIN\nham\t"See you" he said\nspam\tcall "now"\n'
    rows, notes = read(content)
    assert [row["column 2"] for _, row in rows] == [
        "ok then",
        '"Sure',
        "WIN",
        '"See you" he said',
        'call "now"',
    ]
    assert codes(notes) == ["guessed-quoting", "assumed-no-header"]
    assert notes.facts["quoting"] is False
    assert refused(content, quoting=True).line == 2


def test_lines_that_look_like_rows_inside_quotes_are_told() -> None:
    good = "".join(f'{number}\t"a ""quoted"" text {number}"\n' for number in range(30))
    rows, notes = read(f'id\ttext\n{good}31\t"opened\n32\there and closed"\n')
    assert len(rows) == 31
    (finding,) = notes.findings
    assert (finding.code, finding.severity, finding.rows) == ("rows-inside-quotes", "warning", ("t.csv:32",))


@pytest.mark.parametrize(
    ("cell", "rows_inside"),
    [("one\ntwo, three", 0), ("one,\ntwo, three\nfour, five", 0), ("1,\n2, 3, 4\n5, 6", 1), ("1,\n2, 3", 0)],
)
def test_prose_with_commas_is_not_taken_for_rows(cell: str, rows_inside: int) -> None:
    three = "a,b,c\n" + f'x,"{cell}",z\n'
    assert len(codes(read(three)[1])) == rows_inside
    assert codes(read(f'a,b\n"{cell}",z\n')[1]) == []  # two columns


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ('text,label\na,b\n"c, d\ne, f, g\n', 3, f"{OPENED}; lines 3 to 4 were passed by"),
        ('text,label\n"a, x"b,c\n', 2, "a cell goes on after its closing quote"),
        ("", 1, "no header: the file holds no rows"),
        ("\n\n", 1, "no header: the file holds no rows"),
        ("text,label\n", 1, "the file has a header and no rows"),
        ("text,label\n,\n\n", 3, "the file has a header and no rows"),
        (
            'x\n"' + "a" * (MAX_CELL_CHARS + 1) + '"\n',
            2,
            f"a cell is longer than {MAX_CELL_CHARS:,} characters",
        ),
        (b"caf\x81,b\nc,d\n", 1, "byte 0x81 at position 4 of the line is not UTF-8 or cp1252"),
    ],
)
def test_what_is_no_row_says_where(content: str | bytes, line: int, message: str) -> None:
    error = refused(content, quoting=True)
    assert (error.line, error.message) == (line, message)


def test_the_longest_cell_is_read() -> None:
    cell = "x" * (MAX_CELL_CHARS - 1)
    assert values(f"text,label\n{cell},b\n") == [{"text": cell, "label": "b"}]


def test_odd_bytes_are_told_by_cell_and_damaged_lines_by_row() -> None:
    content = "text,label\nplain,é\n".encode("cp1252") + b'"two\nlin\xe9s",b\nc\x81,d\ne,\0\nf,g\n'
    rows, notes = read(content)
    assert [number for number, _ in rows] == [2, 3, 5, 6, 7]
    assert rows[1][1] == {"text": "two\nlinés", "label": "b"}
    assert rows[2][1].message == "byte 0x81 at position 2 of the line is not UTF-8 or cp1252"
    assert rows[3][1].message == "the line holds a NUL byte"
    (finding,) = notes.findings
    assert finding.code == "assumed-cp1252"
    assert list(map(str, finding.places)) == ["t.csv:2:label", "t.csv:3:text"]


def test_a_header_of_another_encoding() -> None:
    rows, notes = read("text,value (£)\na,7\nb,8\n".encode("cp1252"))
    assert rows[0][1] == {"text": "a", "value (£)": "7"}
    assert [str(place) for place in notes.findings[0].places] == ["t.csv:1:value (£)"]


def test_stopping_early_tells_what_was_seen_so_far() -> None:
    notes = Notes(name="t.csv")
    rows = reader("csv")(io.BytesIO(b"text,label\ncaf\xe9,b\ncaf\xe9,b\n"), ReadOptions(), notes)
    next(rows)
    rows.close()  # type: ignore[attr-defined]  # it is a generator
    assert notes.findings[0].rows == ("t.csv:2",)


NAMES = [["col a", "col b", "col c"]]
ROWS = st.lists(st.lists(CELLS, min_size=3, max_size=3).filter(any), min_size=1, max_size=8)


@pytest.mark.parametrize("delimiter", DELIMITERS)
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
@given(rows=ROWS)
def test_what_csv_writes_is_read_back(delimiter: str, quoting: Any, rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, quoting=quoting).writerows(NAMES + rows)
    found = values(text.getvalue(), delimiter=delimiter, quoting=True, header=True, encoding="utf-8")
    # Only a row that is the header again is not there; strategies do not make one.
    assert [list(row.values()) for row in found] == rows


@given(rows=ROWS)
def test_what_csv_writes_is_recognised(rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(NAMES + [[f"{cell}." for cell in row] for row in rows])
    found = values(text.getvalue(), header=True)
    assert [list(row.values()) for row in found] == [[f"{cell}." for cell in row] for row in rows]
