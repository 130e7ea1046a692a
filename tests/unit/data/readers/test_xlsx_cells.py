"""Cells of Excel sheets: as a person sees them, however their XML is written."""

from __future__ import annotations

import datetime
import io
import re
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.data.readers.tables import codes
from tests.unit.data.readers.workbooks import (
    HEADER,
    SHEET,
    changed,
    failed,
    parts,
    read,
    records,
    saved,
    with_rows,
    xlsx,
)
from tunekit.errors import DataError

moment = datetime.datetime  # workbooks know no time zones


# --- cells --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "format", "text"),
    [
        (7, None, "7"),
        (7.0, None, "7"),
        (-2.5, None, "-2.5"),
        (0.1 + 0.2, None, "0.3"),
        (1 / 3, None, "0.333333333333333"),
        (1e-7, None, "1e-07"),
        (123_456_789_012_345, None, "123456789012345"),
        (True, None, "TRUE"),
        (False, None, "FALSE"),
        ("007", None, "007"),
        ("  kept  ", None, "  kept  "),
        ("two\nlines & <more>", None, "two\nlines & <more>"),
        ("NA", None, "NA"),
        (123, "00000", "00123"),
        (0.12, "0.00%", "0.12"),
        (1234.5, '#,##0.00 "kg"', "1234.5"),
        (moment(2024, 1, 2, 3, 4, 5), None, "2024-01-02 03:04:05"),
        (moment(2024, 1, 2), None, "2024-01-02 00:00:00"),
        (moment(2024, 1, 2, 3, 4, 5, 678_000), None, "2024-01-02 03:04:05.678"),
        (moment(2024, 1, 2, 3), "dd/mm/yyyy", "2024-01-02"),
        (datetime.date(1900, 1, 1), None, "1900-01-01"),
        (datetime.date(9999, 12, 31), None, "9999-12-31"),
        (datetime.time(3, 4, 5), None, "03:04:05"),
        (datetime.timedelta(hours=26, minutes=30), None, "26:30:00"),
        (45_293.5, "[$-409]d. mmm yyyy;@", "2024-01-02"),
        (45_293.5, "h:mm AM/PM", "12:00:00"),
        (-1, "yyyy-mm-dd", "-1"),
    ],
)
def test_cells_are_what_a_person_sees(value: Any, format: str | None, text: str) -> None:
    book = openpyxl.Workbook()
    book.active.append(HEADER)
    book.active.append(["x", value])
    if format:
        book.active["B2"].number_format = format
    assert records(saved(book)) == [{"prompt": "x", "completion": text}]


def test_days_may_count_from_1904() -> None:
    book = openpyxl.Workbook()
    book.epoch = openpyxl.utils.datetime.MAC_EPOCH
    book.active.append(HEADER)
    book.active.append(["x", moment(2024, 1, 2, 3)])
    assert records(saved(book)) == [{"prompt": "x", "completion": "2024-01-02 03:00:00"}]


def test_long_ids_lost_their_last_digits_and_that_is_said() -> None:
    rows, notes = read(xlsx([HEADER, ["x", 12_345_678_901_234_567], ["y", 5]]))
    assert rows[0] == (2, {"prompt": "x", "completion": "12345678901234570"})
    [finding] = notes.findings
    assert (finding.code, finding.severity, finding.rows) == ("long-integers", "warning", ("book:2",))
    assert (finding.places[0].field, finding.places[0].evidence) == ("completion", "12345678901234570")


def test_errors_and_formulas_without_value_are_blank_and_reported() -> None:
    content = xlsx([HEADER, ["a", "#DIV/0!"], ["b", "=1+1"], ["c", "fine"]])
    rows, notes = read(content)
    assert [row for _, row in rows] == [
        {"prompt": "a", "completion": ""},
        {"prompt": "b", "completion": ""},
        {"prompt": "c", "completion": "fine"},
    ]
    found = {finding.code: (finding.rows, finding.places[0].field) for finding in notes.findings}
    assert found == {
        "error-cells": (("book:2",), "completion"),
        "formulas-without-values": (("book:3",), "completion"),
    }


def test_a_formula_that_gives_no_text_is_no_finding() -> None:
    row = '<row r="1"><c r="A1" t="inlineStr"><is><t>{}</t></is></c><c r="B1" t="inlineStr"><is><t>b</t></is></c></row>'
    formula = (
        '<row r="2"><c r="A2" t="str"><f>IF(1,"","")</f><v></v></c><c r="B2"><f>1+1</f><v>2</v></c></row>'
    )
    rows, notes = read(with_rows(row.format("a") + formula))
    assert rows == [(2, {"a": "", "b": "2"})]
    assert notes.findings == []


def test_shared_texts_with_runs_signs_and_escapes() -> None:
    shared = (
        "<si><t>a</t></si><si><t>b</t></si>"
        '<si><r><t xml:space="preserve">To </t></r><r><rPr><b/></rPr><t>kyo</t></r>'
        "<rPh sb='0' eb='1'><t>phonetic</t></rPh></si><si/><si><t>5 &lt; 6 &#8364; _x0041_&#x41;_x005F_x</t></si>"
    )
    cell = '<c r="{}" t="s"><v>{}</v></c>'
    xml = "".join(
        f'<row r="{row}">{cell.format(f"A{row}", first)}{cell.format(f"B{row}", second)}</row>'
        for row, first, second in [(1, 0, 1), (2, 2, 3), (3, 4, 0)]
    )
    assert records(with_rows(xml, shared=shared)) == [
        {"a": "To kyo", "b": ""},
        {"a": "5 < 6 € AA_x", "b": "a"},
    ]


def test_a_cell_that_is_not_what_it_says_spoils_its_row_only() -> None:
    text = '<c r="A{0}" t="inlineStr"><is><t>{1}</t></is></c>'
    bad = {
        3: '<c r="B3"><v>seven</v></c>',
        4: '<c r="B4" t="s"><v>99</v></c>',
        5: '<c r="B5" t="q"><v>1</v></c>',
    }
    bad |= {
        6: '<c r="B6"><v>1e999</v></c>',
        7: '<c r="B9"><v>1</v></c>',
        8: '<c r="B8" t="b"><v>maybe</v></c>',
    }
    xml = f'<row r="1">{text.format(1, "a")}<c r="B1" t="inlineStr"><is><t>b</t></is></c></row>'
    xml += f'<row r="2">{text.format(2, "x")}<c r="B2"><v>1</v></c></row>'
    xml += "".join(f'<row r="{row}">{text.format(row, "y")}{cell}</row>' for row, cell in bad.items())
    rows = read(with_rows(xml))[0]
    assert rows[0] == (2, {"a": "x", "b": "1"})
    assert [number for number, row in rows if isinstance(row, DataError)] == [*bad]
    assert all("cell cannot be read" in row.message and row.hint for _, row in rows[1:])


def test_a_bad_cell_among_many_rows_spoils_its_row_only() -> None:
    cell = '<c r="A{0}" t="s"><v>{1}</v></c>'
    xml = "".join(f'<row r="{row}">{cell.format(row, 9 if row == 70 else 0)}</row>' for row in range(2, 120))
    head = '<row r="1"><c r="A1" t="inlineStr"><is><t>text</t></is></c></row>'
    rows = read(with_rows(head + xml, shared="<si><t>a</t></si><si/>"))[0]
    assert [number for number, row in rows if isinstance(row, DataError)] == [70]
    assert [row for number, row in rows if number != 70] == [{"text": "a"}] * 117


# --- forms of XML -------------------------------------------------------------------------------------

TABLE = [["id", "text", "label", "day"]] + [
    [number, f"text {number} & <b>", "x" if number % 3 else None, datetime.date(2024, 1, 1 + number % 28)]
    for number in range(200)
]
FORMS = {
    "prefix": lambda xml: re.sub(rb"<(/?)(\w)", rb"<\1x:\2", xml).replace(b"xmlns=", b"xmlns:x="),
    "order": lambda xml: re.sub(rb'<c (r="\w+")( s="\d+")?( t="\w+")', rb"<c\3\2 \1", xml),
    "quotes": lambda xml: re.sub(rb'<c r="(\w+)"', rb"<c r='\1'", xml),
    "no references": lambda xml: re.sub(rb'<c r="\w+"', b"<c", re.sub(rb'<row r="\d+"', b"<row", xml)),
    "spaces": lambda xml: xml.replace(b"<c ", b"\n  <c ").replace(b"</row>", b"\n</row>\n"),
    "comments": lambda xml: xml.replace(b"</row>", b"</row><!-- <row r='9'> -->"),
    "instructions": lambda xml: xml.replace(b"</row>", b"</row><?say <row r='9'/> ?>"),
    "cdata": lambda xml: re.sub(rb"<t>(text \d+) &amp; &lt;b&gt;</t>", rb"<t><![CDATA[\1 & <b>]]></t>", xml),
    "numbers as references": lambda xml: xml.replace(b"&amp;", b"&#38;").replace(b"&lt;", b"&#x3C;"),
    "mark": lambda xml: b"\xef\xbb\xbf" + xml,
}


@pytest.mark.parametrize("form", FORMS)
def test_any_way_of_writing_a_sheet_gives_the_same_rows(form: str) -> None:
    table = (
        [[cell if cell is not None else "" for cell in row] for row in TABLE]
        if "references" in form
        else TABLE
    )
    content = xlsx(table)
    expected = records(content)
    assert len(expected) == 200 and expected[1]["text"] == "text 1 & <b>"
    other = changed(content, SHEET, FORMS[form])
    assert parts(other)[SHEET] != parts(content)[SHEET]
    assert records(other) == expected


def test_a_row_unlike_the_others_is_read_among_them() -> None:
    lines = "".join(
        f'<row r="{n}"><c r="A{n}"><v>{n}</v></c><c r="B{n}"><v>2</v></c></row>' for n in range(2, 300)
    )
    odd = "<row r='300' spans='1:9'><c t='inlineStr' r='A300'><is><t>odd</t></is></c><c r='D300'><v>4</v></c></row>"
    head = '<row r="1"><c r="A1" t="inlineStr"><is><t>a</t></is></c><c r="B1" t="inlineStr"><is><t>b</t></is></c></row>'
    rows, notes = read(with_rows(head + lines + odd + '<row r="301"><c r="A301"><v>1</v></c></row>'))
    assert rows[0] == (2, {"a": "2", "b": "2"})
    assert rows[-2:] == [(300, {"a": "odd", "b": "", "column 4": "4"}), (301, {"a": "1", "b": ""})]
    assert codes(notes) == ["cells-beside-table"]


texts_in_cells = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), max_size=20
)
cells = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**14), 10**14),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    texts_in_cells,
    st.datetimes(moment(1901, 1, 1), moment(2199, 1, 1)).map(lambda at: at.replace(microsecond=0)),
    st.dates(datetime.date(1900, 1, 1), datetime.date(9999, 12, 31)),
    st.times().map(lambda at: at.replace(microsecond=0)),
    st.integers(0, 10**7).map(lambda seconds: datetime.timedelta(seconds=seconds)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=80), st.sampled_from([1, 60]))
def test_what_openpyxl_wrote_is_what_openpyxl_reads(table: list[list[Any]], times: int) -> None:
    """A row at a time, and, where the same rows follow each other again and again, a column at a time."""
    table = table * times
    content = xlsx([["a", "b", "c"], *table])
    book = openpyxl.load_workbook(io.BytesIO(content))
    expected = []
    for row in book.active.iter_rows(min_row=2):
        shown = [as_text(cell.value, cell.number_format) for cell in row]
        if any(shown) and shown != ["a", "b", "c"]:
            expected.append(dict(zip("abc", shown, strict=True)))
    options = {"header": True}
    if expected:
        assert records(content, **options) == expected
    else:
        assert "has a header and no rows" in failed(content, **options).message


def as_text(cell: Any, format: str) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return str(cell).upper()
        case int():
            return str(cell)
        case float():
            return str(int(cell)) if 1e15 <= abs(cell) < 1e21 else f"{cell + 0.0:.15g}"
        case datetime.datetime():
            return cell.date().isoformat() if format == "yyyy-mm-dd" else cell.isoformat(sep=" ")
        case datetime.time():
            return cell.isoformat()
        case datetime.timedelta():
            minutes, seconds = divmod(round(cell.total_seconds()), 60)
            return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
        case _ if cell.startswith("=") or cell in openpyxl.cell.cell.ERROR_CODES:
            return ""  # a formula without a value, an error
        case _:
            return re.sub("\r\n?", "\n", cell)
