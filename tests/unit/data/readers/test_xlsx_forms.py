"""Excel sheets in the forms that programs other than Excel write, and at the edges of what the format allows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.data.readers.workbooks import (
    MAIN,
    SHEET,
    changed,
    packed,
    parts,
    read,
    records,
    saved,
    with_rows,
    xlsx,
)
from tunekit.data.readers import sheet_rows, xml_text
from tunekit.errors import DataError

STYLES = "xl/styles.xml"
HEAD = '<row r="1"><c r="A1" t="inlineStr"><is><t>a</t></is></c><c r="B1" t="inlineStr"><is><t>b</t></is></c></row>'


def styled(*formats: str, since_1904: bool = False) -> bytes:
    """A workbook whose cells in column A, from row 2, have these formats, by styles 1, 2, ..."""
    book = openpyxl.Workbook()
    if since_1904:
        book.epoch = openpyxl.utils.datetime.MAC_EPOCH
    for row, format in enumerate(formats, start=2):
        book.active.cell(row, 1, 1).number_format = format
    return saved(book)


def values(*cells: str, book: bytes | None = None, shared: str | None = None) -> list[Any]:
    """What column B says in rows with these cells, in XML with `{r}` for the row."""
    rows = "".join(
        f'<row r="{r}"><c r="A{r}"><v>1</v></c>{cell.replace("{r}", str(r))}</row>'
        for r, cell in enumerate(cells, start=2)
    )
    found = records(with_rows(HEAD + rows, shared=shared, book=book), header=True)
    return [row if isinstance(row, DataError) else row["b"] for row in found]


def numbers(format: str, *found: str, since_1904: bool = False) -> list[Any]:
    cells = [f'<c r="B{{r}}" s="1"><v>{value}</v></c>' for value in found]
    return values(*cells, book=styled(format, since_1904=since_1904))


# --- moments and numbers ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format", "value", "text"),
    [
        ("yyyy-mm-dd", "1", "1900-01-01"),
        ("yyyy-mm-dd", "59", "1900-02-28"),
        ("yyyy-mm-dd", "60", "1900-02-29"),
        ("yyyy-mm-dd", "61", "1900-03-01"),
        ("yyyy-mm-dd hh:mm", "2958465.9999999995", "2958466"),
        ("yyyy-mm-dd", "-1.5", "-1.5"),
        ("hh:mm", "-0.5", "-0.5"),
        ("[h]:mm", "-0.0625", "-01:30:00"),
        ("[mm]:ss", "1.5", "36:00:00"),
        ("mm:ss.0", "0.000011574", "00:00:01"),
        ('"a;b" yyyy', "45293", "2024-01-02"),
        ("# ?/?", "0.5", "0.5"),
        ("0.00E+00", "12345.6", "12345.6"),
        ('#,##0.00" EUR";[Red]-#,##0.00" EUR"', "-1234.5", "-1234.5"),
        ('_-* #,##0.00\\ "day"_-', "3", "3"),
        ("00000", "-12", "-00012"),
        ("00000", "1.5", "1.5"),
        ("00000", "1234567", "1234567"),
        ("000\\-00\\-0000", "12345678", "012-34-5678"),
        ('00000"-"0000', "21340001", "02134-0001"),
        ("0-0", "123", "12-3"),
        ("@", "7.0", "7"),
        ("General", "1.5E+3", "1500"),
    ],
)
def test_formats_of_numbers(format: str, value: str, text: str) -> None:
    assert numbers(format, value) == [text]
    # In a column of others, which are converted together.
    assert numbers(format, *["5"] * 120, value)[-1] == text


def test_lengths_of_time_do_not_count_from_1904() -> None:
    assert numbers("[h]:mm:ss", "1.25", since_1904=True) == ["30:00:00"]
    assert numbers("hh:mm", "0.25", since_1904=True) == ["06:00:00"]
    assert numbers("yyyy-mm-dd", "0", since_1904=True) == ["1904-01-01"]


@pytest.mark.parametrize("value", ["NaN", "INF", "-INF", "1e999"])
def test_what_is_no_number_is_no_moment(value: str) -> None:
    [row] = numbers("yyyy-mm-dd", value)
    assert isinstance(row, DataError) and "cell cannot be read" in row.message


def test_formats_of_conditional_formats_are_not_those_of_cells() -> None:
    other = b'<dxfs count="1"><dxf><numFmt numFmtId="164" formatCode="0.00"/></dxf></dxfs>'
    book = changed(
        styled("yyyy/mm/dd"), STYLES, lambda xml: re.sub(rb"<dxfs\s*/>|<dxfs[^>]*></dxfs>", b"", xml)
    )
    book = changed(book, STYLES, lambda xml: xml.replace(b"</cellStyles>", b"</cellStyles>" + other))
    assert b"<dxf>" in parts(book)[STYLES]
    assert values('<c r="B{r}" s="1"><v>45293</v></c>', book=book) == ["2024-01-02"]


# --- cells that lie -----------------------------------------------------------------------------------


def test_a_shared_text_before_the_first_is_no_text() -> None:
    cell = '<c r="B{r}" t="s"><v>%d</v></c>'
    bad, good = values(cell % -1, cell % 0, shared="<si><t>x</t></si>")
    assert good == "x" and isinstance(bad, DataError) and "-1" in bad.message


@pytest.mark.parametrize("digits", [8, 5_000])
def test_numbers_without_end_are_refused(digits: int) -> None:
    row = f'<row r="{"9" * digits}"><c t="n"><v>1</v></c></row>'
    with pytest.raises(DataError, match="follows row"):
        read(with_rows(HEAD + row))
    huge = re.sub(rb'numFmtId="164"', b'numFmtId="%s"' % (b"9" * digits), parts(styled("yyyy"))[STYLES])
    assert values('<c r="B{r}" s="1"><v>5</v></c>', book=changed(styled("yyyy"), STYLES, lambda _: huge))


def test_as_many_formats_as_cells_take_time_by_cell() -> None:
    rows = "".join(f'<row r="{r}"><c r="A{r}" s="{r}"><v>{r}</v></c></row>' for r in range(2, 30_000))
    assert len(records(with_rows(HEAD + rows))) == 29_998


def test_cells_to_tell_of_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet_rows, "MAX_SPOTS", 3)
    cells = [f'<c r="B{r}" t="e"><v>#N/A</v></c>' for r in range(2, 12)]
    rows = "".join(
        f'<row r="{r}"><c r="A{r}"><v>1</v></c>{cell}</row>' for r, cell in enumerate(cells, start=2)
    )
    [finding] = read(with_rows(HEAD + rows))[1].findings
    assert finding.message == "an error in 3 rows or more was read as a blank cell"


# --- what other programs write ------------------------------------------------------------------------


def test_blank_rows_between_others_are_noted() -> None:
    rows, notes = read(xlsx([["text", "label"], ["a", "x"], [], [None, None], ["b", "y"], [], []]))
    assert [number for number, _ in rows] == [2, 5]
    assert [(finding.code, finding.rows) for finding in notes.findings] == [
        ("blank-rows", ("book:3", "book:4"))
    ]


def test_a_sheet_without_rows_may_say_where_pages_break() -> None:
    book = openpyxl.Workbook()
    book.create_sheet("data").append(["text", "label"])
    book["data"].append(["a", "x"])
    breaks = b'<rowBreaks count="1"><brk id="5"/></rowBreaks></worksheet>'
    content = changed(saved(book), SHEET, lambda xml: xml.replace(b"</worksheet>", breaks))
    content = changed(content, SHEET.replace("1", "2"), lambda xml: xml.replace(b"</worksheet>", breaks))
    assert records(content) == [{"text": "a", "label": "x"}]


def test_columns_of_two_kinds_and_stray_cells() -> None:
    """As a column of numbers with a "n/a" here and there, in blocks of rows like each other."""
    table: list[list[Any]] = [["id", "n", "s"]]
    table += [[n, "n/a" if n % 50 == 0 else n / 4, None if n % 3 else f"t {n}"] for n in range(1, 30_001)]
    found = records(xlsx(table))
    assert found == [
        {"id": str(n), "n": "n/a" if n % 50 == 0 else f"{n / 4:.15g}", "s": "" if n % 3 else f"t {n}"}
        for n in range(1, 30_001)
    ]


def test_rows_without_numbers_among_rows_with_them() -> None:
    row = '<row r="{0}"><c r="A{0}"><v>{0}</v></c><c r="B{0}"><v>5</v></c></row>'
    bare = "<row><c><v>{0}</v></c><c><v>6</v></c></row>"
    xml = HEAD + "".join((bare if n % 7 == 3 else row).format(n) for n in range(2, 400))
    found = read(with_rows(xml), header=True)[0]
    assert [(number, each["a"]) for number, each in found] == [(n, str(n)) for n in range(2, 400)]


def test_strict_open_xml() -> None:
    """ISO/IEC 29500 Strict has other namespaces, and days as texts."""
    row = '<row r="2"><c r="A2" t="s"><v>0</v></c><c r="B2" t="d"><v>2024-01-02T03:04:05</v></c></row>'
    files = parts(with_rows(HEAD + row, shared="<si><t>x</t></si>"))
    spaces = {
        MAIN.encode(): b"http://purl.oclc.org/ooxml/spreadsheetml/main",
        b"http://schemas.openxmlformats.org/officeDocument/2006/relationships": (
            b"http://purl.oclc.org/ooxml/officeDocument/relationships"
        ),
    }
    for old, new in spaces.items():
        files = {name: data.replace(old, new) for name, data in files.items()}
    assert records(packed(files)) == [{"a": "x", "b": "2024-01-02 03:04:05"}]


def test_parts_in_other_encodings_are_refused_by_name() -> None:
    content = changed(xlsx([["a"], ["b"]]), SHEET, lambda xml: xml.decode().encode("utf-16"))
    with pytest.raises(DataError, match="is not XML in UTF-8"):
        read(content, sheet=1)


def test_cells_as_libreoffice_and_sheets_of_new_excels_write_them() -> None:
    rows = "".join(
        f'<row r="{r}" customFormat="false" ht="12.8" hidden="{"true" if r == 90 else "false"}" outlineLevel="0">'
        f'<c r="A{r}" s="0" t="n"><v>{r}</v></c><c r="B{r}" s="0" t="str" cm="1"><f aca="false">"x"&amp;A{r}</f>'
        f"<v>x{r}</v></c></row>"
        for r in range(2, 200)
    )
    found, notes = read(with_rows(HEAD + rows))
    assert [(number, row["b"]) for number, row in found] == [(r, f"x{r}") for r in range(2, 200)]
    assert [(finding.code, finding.rows) for finding in notes.findings] == [("hidden-rows", ("book:90",))]


@pytest.mark.parametrize("damaged", [None, 'r="{0}" t="s"><v>9</v>'])
def test_hidden_rows_are_counted_once(damaged: str | None) -> None:
    """Also where a cell of the block cannot be read, and all rows are looked at again."""
    rows = "".join(
        f'<row r="{r}" hidden="1"><c r="A{r}"><v>1</v></c><c {{}}</c></row>'.format(
            damaged.format(f"B{r}") if damaged and r == 80 else f'r="B{r}" t="s"><v>0</v>'
        )
        for r in range(2, 120)
    )
    notes = read(with_rows(HEAD + rows, shared="<si><t>x</t></si>"))[1]
    assert [(finding.code, finding.facts["rows"]) for finding in notes.findings] == [("hidden-rows", 118)]


@pytest.mark.parametrize("name", ["ow", "rox", "row&#160;"])
def test_a_row_whose_tag_is_damaged_is_not_lost_in_silence(name: str) -> None:
    rows = [f'<row r="{r}"><c r="A{r}"><v>1</v></c><c r="B{r}"><v>{r}</v></c></row>' for r in range(2, 120)]
    rows[70] = rows[70].replace("<row", f"<{name}")
    found = read(with_rows(HEAD + "".join(rows)))[0]
    assert [number for number, row in found if isinstance(row, DataError)] == [71]
    assert [number for number, _ in found] == [number for number in range(2, 120) if number != 72]


def test_a_header_between_rows_is_known_however_many_blanks_follow_it() -> None:
    cell = '<c r="{0}{1}" t="inlineStr"><is><t>{2}</t></is></c>'
    again = cell.format("A", 90, "a") + cell.format("B", 90, "b")
    rows = [f'<row r="{r}">{cell.format("A", r, "x")}{cell.format("B", r, r)}</row>' for r in range(2, 120)]
    rows[3] = rows[3].replace("</row>", '<c r="F5"><v>9</v></c></row>')
    for blank in ("", '<c r="C90"/>', '<c r="Z90"/>'):
        rows[88] = f'<row r="90">{again}{blank}</row>'
        notes = read(with_rows(HEAD + "".join(rows)))[1]
        assert [each.rows for each in notes.findings if each.code == "repeated-header"] == [("book:90",)]


# --- shared texts, pieces -----------------------------------------------------------------------------


def test_shared_texts_of_all_forms_keep_their_places() -> None:
    items = ["<si><t>plain</t></si>", '<si><t xml:space="preserve"> kept </t></si>', "<si/>", "<si><t/></si>"]
    items += [
        "<si><r><t>ri</t></r><r><t>ch</t></r></si>",
        '<si><t>&lt;t xml:space="preserve"></t></si>',
        "<si/>",
    ]
    said = ["plain", " kept ", "", "", "rich", '<t xml:space="preserve">', ""]
    cells = [f'<c r="B{{r}}" t="s"><v>{place}</v></c>' for place in range(len(items))]
    assert values(*cells, shared="".join(items)) == said
    assert values(*cells[:2], shared="".join(items[:2] * 9)) == said[:2]
    assert values(*cells, shared="\n".join(items)) == said


MARKED = (
    "<x:a><x:t>1</x:t><!-- <x:t>no</x:t> <![CDATA[ -->"
    "<x:t><![CDATA[a <!-- b & <x:t> ]] ]]></x:t>é<!----><?x <x:t> > ?><x:t/></x:a>"
)


@given(st.lists(st.integers(1, len(MARKED.encode()) - 1), max_size=6))
@settings(max_examples=200, deadline=None)
def test_it_does_not_matter_where_xml_is_cut(cuts: list[int]) -> None:
    def chunks() -> Iterator[bytes]:
        data, at = MARKED.encode(), 8
        for cut in [*sorted(cut for cut in cuts if cut > at), len(data)]:
            yield data[(0 if at == 8 else at) : cut]
            at = cut

    whole = "".join(xml_text.pieces(chunks(), "x", unprefixed=True))
    assert whole == "<a><t>1</t><t>a &lt;!-- b &amp; &lt;x:t> ]] </t>é<t/></a>"


def test_rich_texts_and_escapes_in_cells() -> None:
    rich = '<c r="B{r}" t="inlineStr"><is><r><t>To </t></r><r><rPr><b/></rPr><t>kyo</t></r>'
    rich += '<rPh sb="0" eb="1"><t>no</t></rPh><phoneticPr fontId="1"/></is></c>'
    escaped = '<c r="B{r}" t="inlineStr"><is><t>a_x000D_&#10;_x005F_x0041_ &#x1F600;</t></is></c>'
    assert values(rich, escaped) == ["To kyo", "a\r\n_x0041_ \U0001f600"]
