"""OpenDocument spreadsheets: cells as a person sees them, repeats, hidden sheets, and what is said about them."""

from __future__ import annotations

import pytest

from tests.unit.data.readers.workbooks import changed, failed, ods, ods_row, read, records, said, valued
from tunekit.errors import DataError

HEAD = ods_row(said("prompt"), said("completion"))
BLANK = '<table:table-cell table:number-columns-repeated="16384"/>'
TAIL = ods_row(BLANK, times=1_048_000)


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (valued("float", "7", "7,00"), "7"),
        (valued("float", "1234.5", "1.234,50"), "1234.5"),
        (valued("percentage", "0.12", "12%"), "0.12"),
        (valued("currency", "3.99", "3,99 €"), "3.99"),
        (valued("date", "2024-01-02", "2.1.24"), "2024-01-02"),
        (valued("date", "2024-01-02T03:04:05"), "2024-01-02 03:04:05"),
        (valued("time", "PT03H04M05S"), "03:04:05"),
        (valued("time", "PT26H30M00.5S"), "26:30:00.500"),
        (valued("boolean", "true", "WAHR"), "TRUE"),
        (said("R&amp;D &lt;b&gt; &#8364;"), "R&D <b> €"),
        (said("two</text:p><text:p>lines"), "two\nlines"),
        (said('a<text:s text:c="3"/>b<text:tab/>c<text:line-break/>d'), "a   b\tc\nd"),
        (
            said('<text:span text:style-name="T1">bo</text:span>ld <text:a xlink:href="x">link</text:a>'),
            "bold link",
        ),
        (said("_x0041_ stays"), "_x0041_ stays"),
        (said('a<text:tab text:tab-ref="0"/>b<text:line-break />c'), "a\tb\nc"),
        (said('a</text:p><text:p text:style-name="P1"/><text:p/><text:p>b'), "a\n\n\nb"),
        (said("[]<text:s text:c='2'/>x").replace("'", '"'), "[]  x"),
        (valued("date", "2024-01-02T03:04:05.678000000"), "2024-01-02 03:04:05.678"),
        (valued("date", "2024-01-02T03:04:05.000000000"), "2024-01-02 03:04:05"),
        (valued("date", "0044-03-15"), "0044-03-15"),
        (valued("time", "-PT01H30M00S"), "-01:30:00"),
        (valued("time", "PT5S"), "00:00:05"),
        (valued("time", "P1DT2H"), "26:00:00"),
        (valued("time", "PT00H00M00.000000000S"), "00:00:00"),
        (valued("float", "1.5E-3"), "0.0015"),
        (valued("float", "-0"), "0"),
        (
            said(
                "text</text:p><draw:g><draw:frame><draw:text-box><text:p>drawn</text:p></draw:text-box></draw:frame>"
                "<draw:line/></draw:g><text:p>more"
            ),
            "text\nmore",
        ),
        (
            '<table:table-cell office:value-type="string"><text:p>before</text:p>'
            '<office:annotation draw:style-name="g">'
            "<dc:date>2024</dc:date><text:p>a</text:p><text:p>b</text:p></office:annotation></table:table-cell>",
            "before",
        ),
        (
            '<table:table-cell office:value-type="string" office:string-value="said"><text:p>shown</text:p>'
            "</table:table-cell>",
            "said",
        ),
        (
            '<table:table-cell office:value-type="string"><office:annotation><text:p>a comment</text:p>'
            "</office:annotation><text:p>text</text:p></table:table-cell>",
            "text",
        ),
    ],
)
def test_cells_are_what_a_person_sees(cell: str, text: str) -> None:
    assert records(ods(HEAD + ods_row(said("x"), cell) + TAIL)) == [{"prompt": "x", "completion": text}]


def test_repeated_rows_and_cells_are_read_as_often_and_blank_ones_cost_nothing() -> None:
    content = ods(
        HEAD
        + ods_row(said("same", times=2), times=2)
        + ods_row(BLANK, times=1000)
        + ods_row('<table:table-cell table:number-columns-repeated="1"/>', said("late"))
        + TAIL
    )
    assert read(content)[0] == [
        (2, {"prompt": "same", "completion": "same"}),
        (3, {"prompt": "same", "completion": "same"}),
        (1004, {"prompt": "", "completion": "late"}),
    ]


def test_blank_rows_between_others_and_merged_cells_are_noted() -> None:
    merged = said("a").replace("<table:table-cell", '<table:table-cell table:number-rows-spanned="2"')
    covered = "<table:covered-table-cell/>"
    body = ods_row(merged, said("x")) + ods_row(covered, said("y")) + ods_row(BLANK, times=2)
    notes = read(ods(HEAD + body + ods_row(said("b"), said("z")) + TAIL))[1]
    assert [(finding.code, finding.rows) for finding in notes.findings] == [
        ("blank-rows", ("book:4", "book:5")),
        ("merged-cells", ("book:3",)),
    ]


def test_errors_formulas_long_numbers_and_hidden_rows_are_reported() -> None:
    error = said("#DIV/0!").replace('"string"', '"string" calcext:value-type="error"')
    formula = '<table:table-cell table:formula="of:=1+1"/>'
    hidden = ods_row(said("e"), said("f")).replace(
        "<table:table-row", '<table:table-row table:visibility="filter"'
    )
    content = ods(
        HEAD
        + ods_row(said("a"), error)
        + ods_row(said("b"), formula)
        + ods_row(said("c"), valued("float", "12345678901234567"))
        + hidden
    )
    rows, notes = read(content)
    assert [row["completion"] for _, row in rows] == ["", "", "12345678901234568", "f"]
    assert {finding.code: finding.rows for finding in notes.findings} == {
        "error-cells": ("book:2",),
        "formulas-without-values": ("book:3",),
        "long-integers": ("book:4",),
        "hidden-rows": ("book:5",),
    }


def test_sheets_are_chosen_and_hidden_ones_known() -> None:
    shown = '<style:table-properties table:display="false"/>'
    styles = f'<style:style style:name="ta1" style:family="table">{shown}</style:style>'
    rows_ = HEAD + ods_row(said("2"), said("b"))
    more = f'<table:table table:name="Two" table:style-name="ta1">{rows_}</table:table>'
    content = ods(TAIL, styles=styles, sheets=more + more.replace("Two", "Three").replace("ta1", "ta2"))
    rows, notes = read(content)
    assert rows == [(2, {"prompt": "2", "completion": "b"})]
    assert notes.facts["sheet"] == "Three"
    assert "not read: 'Two' (hidden)." in notes.findings[0].message
    assert records(content, sheet="Two") == records(content, sheet=3) == [{"prompt": "2", "completion": "b"}]


def test_rows_in_groups_and_merged_cells() -> None:
    covered = '<table:covered-table-cell table:number-columns-repeated="1"/>'
    body = f"<table:table-row-group>{ods_row(said('a'), covered)}</table:table-row-group>"
    header = f"<table:table-header-rows>{HEAD}</table:table-header-rows>"
    assert records(ods(header + body + ods_row(said("b"), said("c")))) == [
        {"prompt": "a", "completion": ""},
        {"prompt": "b", "completion": "c"},
    ]


@pytest.mark.parametrize("cell", [valued("float", "seven"), valued("time", "noon"), valued("float", "1e999")])
def test_a_cell_that_is_not_what_it_says_spoils_its_row_only(cell: str) -> None:
    rows = records(ods(HEAD + ods_row(said("a"), cell) + ods_row(said("b"), said("c"))))
    assert isinstance(rows[0], DataError) and "cell cannot be read" in rows[0].message
    assert rows[1] == {"prompt": "b", "completion": "c"}


def test_protected_cut_and_blank_workbooks() -> None:
    content = ods(HEAD + ods_row(said("a"), said("b")))
    protected = changed(
        content, "META-INF/manifest.xml", lambda _: b"<manifest><manifest:encryption-data/></manifest>"
    )
    assert "protected by a password" in failed(protected).message
    assert failed(changed(content, "content.xml", lambda xml: xml[:-120])).message == "the sheet breaks off"
    assert "no visible sheet has data" in failed(ods(TAIL)).message
    assert "the workbook has no sheet" in failed(changed(content, "content.xml", lambda _: b"<x/>")).message


def test_the_same_file_gives_the_same_findings() -> None:
    content = ods(HEAD + ods_row(said("a"), valued("float", "12345678901234567")))
    assert repr(read(content)) == repr(read(content))
