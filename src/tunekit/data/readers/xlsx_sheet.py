"""The rows of an Excel sheet, streamed: memory holds a piece of the sheet, and the workbook's shared texts.

Rows that look like those before them, as nearly all do, are taken apart by one regular expression made for the sheet,
and converted a column at a time; any other goes through `_any_row`, which knows every form that the format allows.
Knows tags of rows and cells (ECMA-376 part 1, section 18.3.1); not what a column means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import compress
from operator import lt

from tunekit.data.readers import number_formats, xml_text
from tunekit.data.readers.sheet_rows import Cells as RowCells
from tunekit.data.readers.sheet_rows import Seen, SheetPart, column_letters, column_position
from tunekit.data.readers.xlsx_cells import Cells
from tunekit.data.readers.xlsx_package import Package
from tunekit.data.wording import brief
from tunekit.errors import DataError

MAX_ROW, MAX_COLUMN = 1_048_576, 16_384
"""The last cell of a sheet is XFD1048576 (Excel specifications and limits)."""

MAX_ROW_BYTES = 64 << 20
"""A longer row is refused, as a longer line of text is."""

MAX_CELLS, CELLS_PER_BYTE = 2_000_000, 16
"""Cells that rows may have together, blank ones before the last included; and per byte besides. A filled cell has 20
bytes: this stops sheets of a few stray cells in the last column, which would take hours."""

_MOST_IN_PATTERN = 100  # columns; compiling one takes a millisecond
_LEAST_FOR_PATTERN = 50  # rows

# A cell as Excel, LibreOffice and openpyxl write it, with the column's letters put in; or nothing, where it is blank.
# Errors, and formulas without a value, are left to the slow way, which notes them.
_CELL_LIKE = (
    r'(?:<c r="COLUMN\1"((?: s="[0-9]++")?+(?: t="(?!e")[a-zA-Z]++")?+)'
    r"(?:/>|>(?:<f[^<>]*+>(?:[^<]*+</f>)?+(?=<v>[^<]))?+"
    r'(?:<v>|<is><t(?: xml:space="preserve")?+>)([^<]*+)(?:</v>|</t></is>)</c>))?+'
)
_CELL = re.compile(r"<c(?=[\s/>])")
_REFERENCE = re.compile(r"([A-Za-z]{1,3})([0-9]{1,7})")
_VALUE = re.compile(r"<v(?:\s[^<>]*+)?>([^<]*+)</v>")
_MERGED = re.compile(r'<mergeCell\s[^<>]*?ref="([A-Z]{1,3})([0-9]{1,7}):([A-Z]{1,3})([0-9]{1,7})"')
_HIDDEN = re.compile(r'\shidden="(?:1|true)"')


class XlsxSheet:
    """One sheet of a workbook, to be gone through once.

    Args:
        package: The workbook.
        path: The part that holds the sheet.

    Attributes:
        seen: What showed so far.
    """

    def __init__(self, package: Package, path: str) -> None:
        self.seen = Seen()
        self._pieces = package.pieces(path)
        self._cells = Cells(package)
        self._pattern: re.Pattern[str] | None = None
        self._at = self._last = self._count = self._bytes = 0

    def rows(self) -> Iterator[tuple[int, RowCells]]:
        """Rows that are not blank, with their numbers; cells up to the last that the row has.

        Raises:
            DataError: The sheet breaks off, or its rows are out of order. No row after that can be trusted.
        """
        for block in self._blocks():
            rows = list(self._of_block(block))
            self._check(rows)
            filled = (isinstance(cells, DataError) or any(cells) for _, cells in rows)
            yield from compress(rows, filled)

    def _blocks(self) -> Iterator[str]:
        """XML of whole rows, some thousands at once."""
        rest = ""
        for piece in self._pieces:
            self._bytes += len(piece)
            rest += piece.replace("<row>", "<row >") if "<row>" in piece else piece
            begin, cut = rest.find("<row "), rest.rfind("<row ")
            if begin < 0:
                rest = ""
                continue
            yield rest[begin:cut]
            rest = rest[cut:]
            if "</sheetData>" in rest:
                last, _, tail = rest.partition("</sheetData>")
                yield last
                self._see_end(tail)
                return
            if len(rest) > MAX_ROW_BYTES:
                raise DataError(
                    f"a row is longer than {MAX_ROW_BYTES >> 20} MB",
                    line=self._last + 1,
                    hint="no spreadsheet program writes that; save the data again",
                )
        if rest:
            raise DataError(
                "the sheet breaks off", line=self._last + 1, hint="copy or download the workbook again"
            )

    def _see_end(self, tail: str) -> None:
        """Look at what follows the rows."""
        while True:
            for left, top, right, bottom in _MERGED.findall(tail):
                self.seen.merged.append(
                    (int(top), column_position(left), int(bottom), column_position(right))
                )
            if (piece := next(self._pieces, None)) is None:
                return
            tail = piece

    def _check(self, rows: Sequence[tuple[int, RowCells]]) -> None:
        numbers = [self._last, *(number for number, _ in rows)]
        self._last = numbers[-1]
        if not all(map(lt, numbers, numbers[1:])) or self._last > MAX_ROW:
            wrong = next(at for at in range(1, len(numbers)) if not numbers[at - 1] < numbers[at] <= MAX_ROW)
            raise DataError(
                f"row {numbers[wrong]:,} follows row {numbers[wrong - 1]:,} in the sheet",
                line=numbers[wrong],
                hint="open the workbook with a spreadsheet program and save it again",
            )

    def _count_cells(self, cells: int) -> None:
        self._count += cells
        if self._count > MAX_CELLS + CELLS_PER_BYTE * self._bytes:
            raise DataError(
                f"the cells are scattered: {self._count:,} up to here, nearly all of them blank",
                line=self._at,
                hint="delete the stray cells far right of the data, or save the sheet as CSV",
            )

    # --- rows like those before ---------------------------------------------------------------------------

    def _of_block(self, block: str) -> Iterator[tuple[int, RowCells]]:
        count = block.count("<row ")
        if self._pattern is None and count >= _LEAST_FOR_PATTERN:
            self._pattern = _pattern_for(block)
        try:
            if self._pattern:
                return self._like_others(self._pattern, block, count)
        except (ValueError, LookupError):
            pass  # one by one they tell which cell is wrong
        return map(self._any_row, block.split("<row ")[1:])

    def _like_others(
        self, pattern: re.Pattern[str], block: str, count: int
    ) -> Iterator[tuple[int, RowCells]]:
        groups = pattern.findall(block)
        if len(groups) == count:
            return self._by_column(groups)
        rows = block.split("<row ")[1:]
        found = [pattern.match("<row " + row) for row in rows]
        return self._mixed(rows, found, self._by_column([match.groups("") for match in found if match]))

    def _mixed(
        self,
        rows: list[str],
        found: list[re.Match[str] | None],
        converted: Iterator[tuple[int, RowCells]],
    ) -> Iterator[tuple[int, RowCells]]:
        for row, match in zip(rows, found, strict=True):
            number, cells = next(converted) if match else self._any_row(row)
            self._at = number
            yield number, cells

    def _by_column(self, rows: list[tuple[str, ...]]) -> Iterator[tuple[int, Sequence[str]]]:
        if not rows:
            return iter(())
        digits, attributes, *pairs = zip(*rows, strict=True)
        numbers = list(map(int, digits))
        self._at = numbers[-1]
        self._count_cells(len(numbers) * (len(pairs) // 2))
        if any("hidden" in each for each in set(attributes)):
            hides = (number for number, each in zip(numbers, attributes, strict=True) if _HIDDEN.search(each))
            self.seen.hidden += hides
        columns = []
        for column, (kinds, values) in enumerate(zip(pairs[::2], pairs[1::2], strict=True)):
            columns.append(self._cells.texts(kinds, values))
            if any(map(_is_number, set(kinds))) and max(map(len, values)) > number_formats.DIGITS:
                for number, kind, value in zip(numbers, kinds, values, strict=True):
                    self._see_long(number, column, kind, value)
        return zip(numbers, zip(*columns, strict=True), strict=True)

    def _see_long(self, number: int, column: int, kind: str, value: str) -> None:
        if len(value) > number_formats.DIGITS and _is_number(kind) and number_formats.is_long(value):
            self.seen.long.append((number, column, number_formats.number(value)))

    # --- any row ------------------------------------------------------------------------------------------

    def _any_row(self, row: str) -> tuple[int, RowCells]:
        tag, _, body = row.partition(">")
        named = xml_text.attributes(tag)
        number = int(named["r"]) if named.get("r", "").isdecimal() else self._at + 1
        self._at = number
        if _HIDDEN.search(f" {tag}"):
            self.seen.hidden.append(number)
        cells: list[str] = []
        for cell in _CELL.split(body)[1:] if not tag.endswith("/") else ():
            try:
                column, text = self._any_cell(cell, number, len(cells))
            except (ValueError, LookupError) as error:
                return number, DataError(
                    f"a cell cannot be read: {brief(str(error), quote=False)}",
                    hint="open the workbook with a spreadsheet program and save it again",
                )
            cells += [""] * (column + 1 - len(cells))
            cells[column] = text
        self._count_cells(len(cells))
        return number, cells

    def _any_cell(self, cell: str, number: int, after: int) -> tuple[int, str]:
        """Column and text of a cell; one without reference stands right of the cell before it."""
        tag, _, inner = cell.partition(">")
        named = xml_text.attributes(tag)
        column = after
        if "r" in named:
            reference = _REFERENCE.fullmatch(named["r"])
            column = (
                column_position(reference[1]) if reference and int(reference[2]) == number else MAX_COLUMN
            )
            if column >= MAX_COLUMN:
                raise ValueError(f"it is called {named['r']!r}")
        if tag.endswith("/"):
            return column, ""
        inner = inner.partition("</c>")[0]
        type_ = named.get("t", "n")
        if type_ == "inlineStr":
            return column, xml_text.runs(inner)
        kind = "".join(f' {name}="{named[name]}"' for name in ("s", "t") if name in named)
        value = _VALUE.search(inner)
        if type_ == "e":
            self.seen.errors.append((number, column, value[1] if value else ""))
        elif "<f" in inner and type_ != "str" and not (value and value[1]):
            self.seen.not_computed.append((number, column, ""))
        elif value:
            self._see_long(number, column, kind, value[1])
        return column, self._cells.convert(kind)([value[1] if value else ""])[0]


def _is_number(kind: str) -> bool:
    return " t=" not in kind or ' t="n"' in kind


def _pattern_for(block: str) -> re.Pattern[str] | None:
    """Matches rows with the columns that the first of these have; None where they have too many, or none."""
    first = "".join(block.split("<row ", _LEAST_FOR_PATTERN)[:-1])
    letters = set(re.findall(r'<c r="([A-Z]{1,3})', first))
    width = max(map(column_position, letters), default=-1) + 1
    if not 0 < width <= _MOST_IN_PATTERN:
        return None
    cells = "".join(_CELL_LIKE.replace("COLUMN", column_letters(column)) for column in range(width))
    return re.compile(rf'<row r="([1-9][0-9]{{0,6}})"((?:\s[^<>/]*+)?)>{cells}</row>')


class XlsxWorkbook(Package):
    """An open workbook whose sheets can be read."""

    def sheet(self, part: SheetPart) -> XlsxSheet:
        """One of its sheets, from its beginning."""
        return XlsxSheet(self, part.place)
