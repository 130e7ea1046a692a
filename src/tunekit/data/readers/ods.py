"""Sheets of OpenDocument spreadsheets (ods), streamed. Knows tags of tables and cells; not what a column means.

Cells come out as text as a person sees them, but in one form for every country: "7.5" and "2024-01-02 03:04:05", not
"7,5" and "2.1.24". Blank cells and rows, which every such file repeats to the end of the sheet, cost nothing.
OpenDocument 1.3 part 3, sections 9 (tables) and 19 (attributes).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import IO

from tunekit.data.readers import number_formats, xml_text, zip_limits
from tunekit.data.readers.sheet_rows import MAX_SPOTS, Cells, Seen, SheetPart, see
from tunekit.data.readers.zip_limits import Member
from tunekit.data.wording import brief
from tunekit.errors import DataError

MAX_ROW, MAX_COLUMN = 1_048_576, 16_384
"""The last row and column of LibreOffice."""

MAX_ROW_BYTES = 64 << 20
"""A longer row is refused, as a longer line of text is."""

MAX_CELLS, CELLS_PER_BYTE = 2_000_000, 16
"""Cells that rows may have together, and per byte of XML besides: a cell may say that it is repeated without end."""

MAX_COPIES = 100_000
"""Rows with something in them that may be repetitions of others: no more than a person fills down."""

_TABLE = re.compile(r"<table:table\s([^<>]*+)>")
_HIDDEN_STYLE = re.compile(
    r'<style:style\s([^<>]*+)>\s*+<style:table-properties\s[^<>]*?table:display="false"'
)
_ROW = re.compile(r"<table:table-row(?=[\s/>])")
_CELL = re.compile(r"<table:(?:covered-)?table-cell(?=[\s/>])")
_SPACES = re.compile(r'<text:s(?:\s+text:c="([0-9]{1,4})")?\s*/>')
_MARKUP = re.compile(r"<[^<>]*+>")
_BREAK = re.compile(r"<text:(tab|line-break)(?=[\s/>])[^<>]*+>")
_BLANK_PARAGRAPH = re.compile(r"<text:p(?:\s[^<>]*)?/>")
# Comments, and text in drawings that lie on the sheet.
_ASIDE = re.compile(r"<(/?)(?:office:annotation|draw:[\w-]+)(?=[\s/>])[^<>]*?(/?)>")
_TIME = re.compile(
    r"(-?)P(?=T?[0-9])(?:([0-9]{1,7})D)?T?(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9})(?:[.,]([0-9]{1,15}))?S)?"
)
_FRACTION = re.compile(r"\.([0-9]{1,15})$")
_HAS_VALUE = " office:value-type="
_DIGITS = 10  # of the number of times that something is repeated
_STYLE_CHARS = 2000  # of the two tags that say that a sheet is hidden
_MOST_SPACES = 100  # in one tag, which takes 20 bytes


class OdsWorkbook:
    """An open workbook.

    Args:
        file: The archive, open for reading bytes at any place.
        members: What it declares to hold.

    Raises:
        DataError: It is protected by a password.
    """

    def __init__(self, file: IO[bytes], members: Sequence[Member]) -> None:
        self._file = file
        self._members = {member.name: member for member in members}
        manifest = self._members.get("META-INF/manifest.xml")
        if manifest and any(b"encryption-data" in chunk for chunk in zip_limits.chunks(file, manifest)):
            raise DataError("the workbook is protected by a password", hint="save it without one")

    def pieces(self) -> Iterator[str]:
        """The XML of all sheets."""
        member = self._members["content.xml"]
        return xml_text.pieces(zip_limits.chunks(self._file, member), member.name)

    @cached_property
    def sheets(self) -> list[SheetPart]:
        """The sheets, in order."""
        hidden: set[str] = set()
        found: list[SheetPart] = []
        filled: set[int] = set()
        rest = ""
        for piece in self.pieces():
            # A style is two tags, which may be in two pieces.
            hidden |= {
                xml_text.attributes(tag).get("style:name", "") for tag in _HIDDEN_STYLE.findall(rest + piece)
            }
            rest = piece[-_STYLE_CHARS:]
            before, *tables = _TABLE.split(piece)
            filled |= {len(found)} if _HAS_VALUE in before else set()
            for tag, inside in zip(tables[::2], tables[1::2], strict=True):
                named = xml_text.attributes(tag)
                is_hidden = named.get("table:style-name") in hidden
                found.append(SheetPart(named.get("table:name", ""), str(len(found)), is_hidden))
                filled |= {len(found)} if _HAS_VALUE in inside else set()
        return [replace(sheet, filled=number in filled) for number, sheet in enumerate(found, start=1)]

    def sheet(self, part: SheetPart) -> OdsSheet:
        """One of its sheets, from its beginning."""
        return OdsSheet(self.pieces(), int(part.place))


class OdsSheet:
    """One sheet of a workbook, to be gone through once.

    Args:
        pieces: The XML of all sheets.
        position: Of this one among them, from 0.

    Attributes:
        seen: What showed so far.
    """

    def __init__(self, pieces: Iterator[str], position: int) -> None:
        self.seen = Seen()
        self._pieces = pieces
        self._position = position
        self._cells_seen = self._copies = self._bytes = 0

    def rows(self) -> Iterator[tuple[int, Cells]]:
        """Rows that are not blank, with their numbers.

        Raises:
            DataError: The sheet breaks off, or repeats cells without end.
        """
        number = 1
        for row in self._rows():
            tag, _, body = row.partition(">")
            named = xml_text.attributes(tag)
            times = _number(named, "table:number-rows-repeated")
            cells = (
                self._cells(body.partition("</table:table-row>")[0], number) if not tag.endswith("/") else []
            )
            if isinstance(cells, DataError) or any(cells):
                self._check(number, times, cells)
                if named.get("table:visibility", "visible") != "visible":
                    self.seen.hidden += range(number, number + times)
                yield from ((at, cells) for at in range(number, number + times))
            number += times

    def _check(self, number: int, times: int, cells: Cells) -> None:
        self._copies += times - 1
        self._cells_seen += 0 if isinstance(cells, DataError) else times * len(cells)
        is_beyond = number + times - 1 > MAX_ROW
        if (
            is_beyond
            or self._copies > MAX_COPIES
            or self._cells_seen > MAX_CELLS + CELLS_PER_BYTE * self._bytes
        ):
            raise DataError(
                f"a row with something in it is repeated {times:,} times, or its cells are",
                line=min(number, MAX_ROW),
                hint="the file is damaged, or built to exhaust memory; save the data again",
            )

    # --- from pieces to rows ------------------------------------------------------------------------------

    def _rows(self) -> Iterator[str]:
        """The rows in XML, from behind their names."""
        rest, begun = "", False
        for piece in self._table():
            *rows, rest = _ROW.split(rest + piece)
            yield from rows if begun else rows[1:]
            begun = begun or bool(rows)
            if len(rest) > MAX_ROW_BYTES:
                raise DataError(
                    f"a row is longer than {MAX_ROW_BYTES >> 20} MB",
                    hint="no spreadsheet program writes that; save the data again",
                )
        if begun:
            yield rest

    def _table(self) -> Iterator[str]:
        """The XML between the tags of this sheet."""
        before, inside = self._position, False
        for piece in self._pieces:
            self._bytes += len(piece)
            while not inside and (tag := _TABLE.search(piece)):
                inside, before, piece = before == 0, before - 1, piece[tag.end() :]
            if inside:
                content, end, _ = piece.partition("</table:table>")
                yield content
                if end:
                    return
        raise DataError("the sheet breaks off", hint="copy or download the workbook again")

    # --- cells --------------------------------------------------------------------------------------------

    def _cells(self, row: str, number: int) -> Cells:
        cells: list[str] = []
        blank = 0
        for cell in _CELL.split(row)[1:]:
            tag, _, inner = cell.partition(">")
            named = xml_text.attributes(tag)
            times = _number(named, "table:number-columns-repeated")
            try:
                text = self._text(named, "" if tag.endswith("/") else inner, (number, len(cells) + blank))
            except (ValueError, LookupError) as error:
                return DataError(
                    f"a cell cannot be read: {brief(str(error), quote=False)}",
                    hint="open the workbook with a spreadsheet program and save it again",
                )
            if text and "spanned" in tag:
                self._see_merged(named, number, len(cells) + blank)
            if not text:
                blank += times
            elif len(cells) + blank + times > MAX_COLUMN:
                return DataError(
                    f"the row has {len(cells) + blank + times:,} cells",
                    hint="delete the stray cells far right of the data",
                )
            else:
                cells += [*[""] * blank, *[text] * times]
                blank = 0
        return cells

    def _see_merged(self, named: Mapping[str, str], row: int, column: int) -> None:
        rows, columns = (_number(named, f"table:number-{what}-spanned") for what in ("rows", "columns"))
        if rows * columns > 1 and len(self.seen.merged) < MAX_SPOTS:
            self.seen.merged.append((row, column, row + rows - 1, column + columns - 1))

    def _text(self, named: Mapping[str, str], inner: str, spot: tuple[int, int]) -> str:
        if named.get("calcext:value-type") == "error":
            see(self.seen.errors, *spot, _said(inner))
            return ""
        match named.get("office:value-type"):
            case "string":
                return named.get("office:string-value") or _said(inner)
            case "float" | "percentage" | "currency":
                value = named["office:value"]
                if number_formats.is_long(value):
                    see(self.seen.long, *spot, number_formats.number(value))
                return number_formats.number(value)
            case "date":
                return _moment(named["office:date-value"])
            case "time":
                return _clock(named["office:time-value"])
            case "boolean":
                return named["office:boolean-value"].upper()
            case _:
                if "table:formula" in named:
                    see(self.seen.not_computed, *spot, named["table:formula"])
                return ""


def _number(named: Mapping[str, str], name: str) -> int:
    said = named.get(name, "1")
    return max(1, int(said[:_DIGITS])) if said.isdecimal() else 1


def _clock(value: str) -> str:
    found = _TIME.fullmatch(value)
    if not found:
        raise ValueError(f"the time {value!r}")
    sign, *counts, fraction = found.groups("0")
    days, hours, minutes, seconds = map(int, counts)
    minutes, seconds = divmod(((days * 24 + hours) * 60 + minutes) * 60 + seconds, 60)
    return f"{sign.strip('0')}{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{_thousandths(fraction)}"


def _moment(value: str) -> str:
    return _FRACTION.sub(lambda found: _thousandths(found[1]), value).replace("T", " ")


def _thousandths(fraction: str) -> str:
    """Thousandths of a second, as all sheets count them, if there are any."""
    digits = f"{fraction[:3]:0<3}"
    return f".{digits}" if digits != "000" else ""


def _said(inner: str) -> str:
    """The paragraphs of a cell, without comments on it and drawings."""
    if "<office:annotation" in inner or "<draw:" in inner:
        inner = "".join(_own(inner))
    paragraphs = _BLANK_PARAGRAPH.sub("<text:p></text:p>", inner).split("</text:p>")[:-1]
    return "\n".join(_line(paragraph.partition("<text:p")[2].partition(">")[2]) for paragraph in paragraphs)


def _own(inner: str) -> Iterator[str]:
    depth = at = 0
    for tag in _ASIDE.finditer(inner):
        if not depth:
            yield inner[at : tag.start()]
        depth = max(0, depth - 1) if tag[1] else depth + (not tag[2])
        at = tag.end()
    yield "" if depth else inner[at:]


def _line(paragraph: str) -> str:
    if "<" in paragraph:
        paragraph = _SPACES.sub(_spaces, paragraph)
        paragraph = _BREAK.sub(lambda tag: "\t" if tag[1] == "tab" else "\n", paragraph)
        paragraph = _MARKUP.sub("", paragraph)
    return xml_text.unescaped(paragraph)


def _spaces(tag: re.Match[str]) -> str:
    return " " * min(int(tag[1] or 1), _MOST_SPACES)
