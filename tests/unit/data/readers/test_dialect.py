"""What stands between cells, whether quotes are around them, and which row names the columns: by evidence."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tunekit.data.readers import dialect, first_row
from tunekit.data.readers.base import ReadOptions
from tunekit.data.readers.dialect import DELIMITERS, MAX_CELL_CHARS, Dialect

TEXT = "The card, as I said; is it 5|6 days late?"


def found(sample: str, *wanted: str) -> tuple[str, bool]:
    """Delimiter, and whether quotes are around cells."""
    known = dialect.of(sample, ReadOptions(wanted=wanted)).dialect
    return known.delimiter, known.quoting


def table(delimiter: str, *rows: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue()


@pytest.mark.parametrize("delimiter", DELIMITERS)
@pytest.mark.parametrize("rows", [1, 2, 30])
def test_the_delimiter_is_what_makes_rows_equally_wide(delimiter: str, rows: int) -> None:
    body = [[f"{number} {TEXT}", "late"] for number in range(rows)]
    assert found(table(delimiter, ["text", "label"], *body)) == (delimiter, True)


@pytest.mark.parametrize(
    ("sample", "delimiter"),
    [
        ("a;b\n1,5;2,5\n1,7;2,0\n", ";"),  # decimal commas
        ("1,5;2,5\n1,7;2,0\n", ";"),
        ("text,labels\nx,a|b\ny,c|d\nz,a|d\n", ","),  # several labels in a cell
        ("text\nHello; world\nBye\nSee; you; there\n", ","),  # one column
        ("text\nHello\n", ","),
        ("a\tb\nHello, you\tx\nBye, you\ty\n", "\t"),
        ("Our export\n\nid|text\n1|a, b\n2|c\n3|d\n", "|"),
        ("", ","),
        ("\n\n", ","),
    ],
)
def test_delimiters_in_prose_are_none(sample: str, delimiter: str) -> None:
    assert found(sample)[0] == delimiter


def test_wanted_columns_show_the_delimiter() -> None:
    sample = "text;label,extra\na,b;c,d\n"
    assert found(sample, "text", "label,extra")[0] == ";"
    assert found(sample, "text;label", "extra")[0] == ","


def test_what_the_caller_says_is_not_looked_for() -> None:
    fit = dialect.of('a,b\n"x",y\n', ReadOptions(delimiter=";", quoting=False))
    assert fit.dialect == Dialect(";", quoting=False)
    assert dialect.of('a,b\n"x",y\n', ReadOptions(quoting=False)).records[1] == (2, ['"x"', "y"])


def test_quotes_that_pair_up_over_lines_are_text() -> None:
    lines = [
        "ham\tok",
        'ham\t"Sure',
        "spam\tWIN",
        'ham\t"See you" he said',
        'spam\tcall "now"',
        'ham\t"Fine."',
    ]
    fit = dialect.of("\n".join(lines), ReadOptions())
    assert fit.dialect == Dialect("\t", quoting=False)
    assert [cells for _, cells in fit.records] == [line.split("\t") for line in lines]
    # What Python's csv makes of them: rows are gone, and nothing is said.
    assert len(list(csv.reader(lines, delimiter="\t"))) < len(lines)


@pytest.mark.parametrize(
    "sample",
    [
        'a,b\n"x, y",1\n"z",2\n',
        'a,b\n"x\ny",1\nz,2\n',
        'a\tb\n"He said ""hi"""\t1\nz\t2\n',
        '"a","b"\n"x","1"\n"y","2"\n',
        "a,b\nx,1\n",
    ],
)
def test_quotes_around_cells_are_not_text(sample: str) -> None:
    assert found(sample)[1]


def test_one_broken_row_among_quoted_ones_changes_nothing() -> None:
    good = "".join(f'"{number}","text, with comma"\n' for number in range(50))
    assert found(good + '"51","a "quoted" word"\n' + good)[1]
    only_quotes = "".join(f'"{number}","text"\n' for number in range(50))
    assert found(only_quotes + '"51","a "quoted" word"\n' + only_quotes)[1]


def test_a_few_broken_rows_among_many_quoted_ones_are_damage() -> None:
    good = "".join(f'"{number}","text"\n' for number in range(50))
    assert found(good + '"51","a "quoted" word"\n' * 3 + good)[1]


def test_ditto_marks_are_text() -> None:
    assert found('Rome\t5\n"\t6\n"\t7\nOslo\t8\n') == ("\t", False)


def test_a_sample_may_end_inside_a_row_but_not_lose_itself_in_one() -> None:
    good = "".join(f'"{number}, and on",x\n' for number in range(40))
    assert dialect.of(good + '"cut off,\nand', ReadOptions()).share == 1
    assert dialect.of(good + '"lost,\n' + "and more\n" * 40, ReadOptions(quoting=True)).share < 0.6


def test_spaces_before_quotes() -> None:
    fit = dialect.of('a, b\n1, "x, y"\n2, "z"\n', ReadOptions())
    assert fit.dialect == Dialect(",", padded=True)
    assert fit.records[1] == (2, ["1", "x, y"])


def test_the_process_keeps_its_own_limit_for_cells() -> None:
    before = csv.field_size_limit()
    cell = "x" * (before + 1)
    assert next(Dialect(",").reader([cell])) == [cell]
    with pytest.raises(dialect.csv_error(), match="field larger"):
        next(Dialect(",").reader(["x" * (MAX_CELL_CHARS + 1)]))
    assert csv.field_size_limit() == before
    with pytest.raises(csv.Error):
        next(csv.reader([cell]))


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


@example(";", [["", ";", ";"]])
@given(st.sampled_from(DELIMITERS), st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=8))
def test_what_csv_wrote_is_read_back_whatever_is_in_it(delimiter: str, rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(rows)
    fit = dialect.of(text.getvalue(), ReadOptions(delimiter=delimiter))
    assert fit.dialect.quoting
    assert [cells for _, cells in fit.records] == rows


# --- the first row ------------------------------------------------------------------------------------

LONG = "I am still waiting for my new card to arrive, where is it?"


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([["text", "label"], [LONG, "card"], [LONG, "pin"]], "'text' is a usual name"),
        ([["v1", "v2"], ["ham", LONG], ["spam", LONG]], "'v2' is short above long texts"),
        ([["Place", "Amount"], ["Rome", "7"], ["Oslo", "8"]], "'Amount' stands above numbers"),
        ([["Cost", "x"], ["$7.50", "y"], ["8.10", "z"]], "'Cost' stands above numbers"),
        (
            [["Do you own a car, and since when?"], ["Yes"], ["No"]],
            "'Do you own a car, and sin...' is longer than",
        ),
        ([["who", "what"], ["ann", "bob"]], "nothing says that it is data"),
        ([["who", "what"]], "nothing says that it is data"),
    ],
)
def test_a_row_of_names(rows: list[list[str]], reason: str) -> None:
    header = first_row.of(rows)
    assert header.row == 0
    assert header.reason.startswith(reason)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([["ham", LONG], ["spam", "WIN"], ["ham", "ok"]], "'ham' is a value of column 1"),
        (
            [["What is it?", "A"], ["Why do I pay that much?", "B"], [LONG, "C"]],
            "'What is it?' is a sentence",
        ),
        ([["1", "x"], ["2", "y"], ["3", "z"]], "'1' is a number, as all of column 1"),
        (
            [[LONG[:-1]], [LONG + "!!"], [f"Well, {LONG}"]],
            "'I am still waiting for my...' is as long as the texts",
        ),
    ],
)
def test_a_row_of_data(rows: list[list[str]], reason: str) -> None:
    header = first_row.of(rows)
    assert header.row is None
    assert header.reason.startswith(reason)


def test_wanted_columns_are_where_the_header_is() -> None:
    rows = [["Sales 2020", ""], ["", ""], ["ham", "spam"], ["ham", "x"]]
    assert first_row.of(rows).row is None or first_row.of(rows).row != 2
    assert first_row.of(rows, ["ham"]).row == 2


def test_a_title_above_the_names_is_passed_by() -> None:
    rows = [["Survey of 2020", ""], ["", ""], ["text", "score"], [LONG, "1"], [LONG, "2"]]
    assert first_row.of(rows).row == 2
    # One column that speaks for it is enough below a title.
    assert first_row.of([["Report", ""], ["who", "count"], ["ann", "1"], ["bob", "2"]]).row == 1
    # A first row with one cell filled is no title where no names follow.
    assert first_row.of([["ham", ""], ["ham", "x"], ["spam", "y"]]).row is None


def test_a_second_row_of_names_is_told() -> None:
    rows = [
        ["id", "age", "", "why"],
        ["", "Response", "Points", "Open"],
        *([str(n), "30", "5", LONG] for n in range(5)),
    ]
    assert first_row.of(rows) == first_row.Header(0, "'id' is a usual name", second=True)
    assert not first_row.of([rows[0], *rows[2:]]).second
    missing = [rows[0], ["7", "N/A", "-", "x"], *rows[2:]]
    assert not first_row.of(missing).second
