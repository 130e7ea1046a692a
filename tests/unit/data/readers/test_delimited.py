"""Tables in text: every cell to the letter, every row with its line, and what was decided and noticed on the way."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tunekit as tk
from tunekit.data.readers.base import Notes, ReadOptions, Row
from tunekit.data.readers.catalogue import reader
from tunekit.data.readers.dialect import DELIMITERS, MAX_CELL_CHARS
from tunekit.errors import DataError


def read(content: str | bytes, format: str = "csv", **options: Any) -> tuple[list[Row], Notes]:
    notes = Notes(name="t.csv")
    raw = content if isinstance(content, bytes) else content.encode()
    return list(reader(format)(io.BytesIO(raw), ReadOptions(**options), notes)), notes


def values(content: str | bytes, **options: Any) -> list[Any]:
    return [value for _, value in read(content, **options)[0]]


def codes(notes: Notes) -> list[str]:
    return [finding.code for finding in notes.findings]


def refused(content: str | bytes, **options: Any) -> DataError:
    """The first error, raised or in the place of a row."""
    try:
        found = next(value for value in values(content, **options) if isinstance(value, DataError))
    except DataError as error:
        found = error
    assert found.line is not None and found.hint
    return found


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


OPENED = "a quote is opened in this row and never closed"


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


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


# --- broken quoting -------------------------------------------------------------------------------------

HEAD = "text,label,n\n"
GOOD = [f'"parcel {number}, ok",late,{number}\n' for number in range(1, 40)]


def read_past(*damaged: str, before: int = 3, **options: Any) -> tuple[list[str], list[DataError]]:
    """Numbers of the rows that were read around a damaged one, and the errors."""
    content = HEAD + "".join(GOOD[:before]) + "".join(damaged) + "".join(GOOD[before:])
    found = values(content, quoting=True, header=True, **options)
    errors = [value for value in found if isinstance(value, DataError)]
    return [value["n"] for value in found if not isinstance(value, DataError)], errors


ALL = [str(number) for number in range(1, 40)]


@pytest.mark.parametrize("before", [0, 3, 37, 39])
@pytest.mark.parametrize(
    "damaged",
    [
        ['"opened,late,99\n'],
        ['"he said "hi" then",late,99\n'],
        ['"several\n', "lines, of\n", 'text with a "quote" in it\n', 'and an end",late,99\n'],
        ['"one, like\n', "a,row,of\n", 'three "cells"\n', 'x",late,99\n'],
        ['"opened,late,97\n', '"again,late,98\n', '"and again,late,99\n'],
    ],
)
def test_every_row_around_a_damaged_one_is_read(damaged: list[str], before: int) -> None:
    numbers, errors = read_past(*damaged, before=before)
    assert numbers == ALL
    assert errors[0].line == before + 2
    lost = re.fullmatch(r".*; lines (\d+) to (\d+) were passed by", errors[0].message)
    assert (lost is not None) == (len(damaged) > 1)
    assert lost is None or [int(lost[1]), int(lost[2])] == [before + 2, before + 1 + len(damaged)]


def test_rows_after_a_quote_that_never_closes_are_read() -> None:
    plain = "".join(f"parcel {number},late,{number}\n" for number in range(100))
    found = values(f'{HEAD}a,b,c\n"opened,late,x\n{plain}', quoting=True)
    assert len(found) == 102
    assert isinstance(found[1], DataError) and found[1].line == 3
    assert found[1].message == OPENED
    assert [value["n"] for value in found[2:]] == [str(number) for number in range(100)]


def test_damage_is_found_again_over_many_blocks() -> None:
    far = "".join(f"parcel {'x' * 100} {number},late,{number}\n" for number in range(50_000))
    assert len(far) > MAX_CELL_CHARS
    found = values(f'{HEAD}a,b,c\n"opened,late,x\n{far}', quoting=True)
    assert len(found) == 50_002
    assert [index for index, value in enumerate(found) if isinstance(value, DataError)] == [1]


def test_a_person_who_skips_damage_is_told_of_it(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,label\n" + 'fine,a\n"opened, a\nc,b\nd,a\n"said "no" to it",a\n' + "ok,b\n" * 5)
    with pytest.raises(DataError, match="3: a "):
        tk.Dataset.load(path, input="text", target="label", quoting=True)
    data = tk.Dataset.load(path, input="text", target="label", quoting=True, on_error="skip")
    assert [row.id for row in data] == [f"t.csv:{line}" for line in (2, 4, 5, 7, 8, 9, 10, 11)]
    assert [(skipped.line, skipped.reason) for skipped in data.skipped] == [
        (3, "a cell goes on after its closing quote"),
        (6, "a cell goes on after its closing quote"),
    ]
    assert data.check()["skipped-rows"].rows == tuple(skipped.id for skipped in data.skipped)


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(['"', ",", "\n", "a", '""', '",', "\r\n", "\\"]), max_size=40),
    st.integers(0, 39),
)
def test_whatever_is_damaged_the_rows_far_from_it_are_read(noise: list[str], before: int) -> None:
    numbers, errors = read_past("".join(noise), "\n", before=before)
    assert numbers[: max(0, before - 1)] == ALL[: max(0, before - 1)]
    assert numbers[-(39 - before - 2) :] == ALL[before + 2 :] or before > 36 or not errors


# --- backslashes ----------------------------------------------------------------------------------------

ESCAPED = r"""text,label
"he said \"hi\", then left",late
"C:\new\\",late
"plain, too",lost
"a \"b\" c",lost
"""


def test_quotes_behind_backslashes_are_quotes_and_that_is_told() -> None:
    rows, notes = read(ESCAPED)
    assert [row["text"] for _, row in rows] == [
        'he said "hi", then left',
        "C:\\new\\",
        "plain, too",
        'a "b" c',
    ]
    assert [finding.code for finding in notes.findings] == ["guessed-escapes"]
    assert notes.facts["quoting"] == "backslash"
    assert values(ESCAPED, quoting="backslash") == [row for _, row in rows]
    assert isinstance(values(ESCAPED, quoting=True)[0], DataError)


def test_a_backslash_at_the_end_of_a_cell_is_text() -> None:
    content = 'path,label\n"C:\\dir, a\\",late\n"D:\\",lost\n"say ""hi""",lost\n'
    assert [row["path"] for row in values(content)] == ["C:\\dir, a\\", "D:\\", 'say "hi"']


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=3, max_size=8))
def test_what_mysql_and_spark_write_is_read_back(rows: list[tuple[str, str, str]]) -> None:
    def cell(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    table = [("col a", "col b", "col c"), *rows, ("x", "y", "z")]
    content = "".join(",".join(map(cell, row)) + "\n" for row in table)
    found = values(content, quoting="backslash", delimiter=",", header=True, encoding="utf-8")
    assert [tuple(row.values()) for row in found] == [row for row in table[1:] if any(row)]


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
