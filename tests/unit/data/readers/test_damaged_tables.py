"""Tables whose quotes are broken or stand behind backslashes: every row around the damage is read, and it is told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tunekit as tk
from tests.unit.data.readers.tables import CELLS, OPENED, read, refused, values
from tunekit.data.readers.dialect import MAX_CELL_CHARS
from tunekit.data.readers.records import MAX_SEARCH_LINES
from tunekit.errors import DataError

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


def test_a_search_without_end_ends() -> None:
    """A table that would be passed by to its end is an error, also where rows may be skipped."""
    lines = "no row\n" * (MAX_SEARCH_LINES + 10)
    with pytest.raises(
        DataError, match="lines 3 to 100003 were passed by, and no row was found there"
    ) as caught:
        read_past('"opened,late,99\n', lines, before=1)
    assert caught.value.line == 3
    found, errors = read_past('"opened,late,99\n', lines[: 7 * (MAX_SEARCH_LINES - 10)], before=1)
    assert (found, len(errors)) == (ALL, 1)


def test_a_line_above_the_header_that_is_no_text_is_told_in_its_place() -> None:
    """Found by the soak: it was told after a damaged row that stands below it."""
    content = b'id\xeaex\n",label,,\r\n1,"a ""quoted"" cell,label,,\r\n1,"a ""quoted"" cell, with\n\xacines",x,,\r\n'
    content += b'2NaN,plain,"y",note,\r\n,,,,\r\n3,"caf""'
    assert refused(content, encoding="utf-8").line == 1
