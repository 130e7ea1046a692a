"""The rows of an Excel sheet, streamed: memory holds a piece of the sheet, and the workbook's shared texts.

Rows that look like those before them, as nearly all do, are taken apart by one regular expression made for the sheet,
and converted a column at a time; any other goes through `_any_row`, which knows every form that the format allows.
Knows tags of rows and cells (ECMA-376 part 1, section 18.3.1); not what a column means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import compress, islice, zip_longest
from operator import lt

from tunekit.data.readers import number_formats, xlsx_pattern, xml_text
from tunekit.data.readers.sheet_rows import MAX_SPOTS, Seen, SheetPart, column_position, see
from tunekit.data.readers.sheet_rows import Cells as RowCells
from tunekit.data.readers.xlsx_cells import Cells
from tunekit.data.readers.xlsx_package import Package
from tunekit.data.readers.xlsx_pattern import RowPattern, Rows
from tunekit.data.wording import brief
from tunekit.errors import DataError

MAX_ROW, MAX_COLUMN = 1_048_576, 16_384
"""The last cell of a sheet is XFD1048576 (Excel specifications and limits)."""

MAX_ROW_BYTES = 64 << 20
"""A longer row is refused, as a longer line of text is."""

MAX_CELLS, CELLS_PER_BYTE = 2_000_000, 16
"""Cells that rows may have together, blank ones before the last included; and per byte besides. A filled cell has 20
bytes: this stops sheets of a few stray cells in the last column, which would take hours."""

_MOST_PATTERNS = 20  # for one sheet; a sheet that needs more is no table
_OFTEN = 8  # one in so many rows that do not match asks for another pattern

_ROW = re.compile(r"<row(?=[\s/>])")
_NO_ROWS = re.compile(r"<sheetData\s*+/>")
_DIGITS = 8  # of the number of a row: one more than the last row has
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
        self._pattern: RowPattern | None = None
        self._patterns = 0
        self._at = self._last = self._count = self._bytes = 0

    def rows(self) -> Iterator[tuple[int, RowCells]]:
        """Rows that are not blank, with their numbers; cells up to the last that the row has.

        Raises:
            DataError: The sheet breaks off, or its rows are out of order. No row after that can be trusted.
        """
        for block in self._blocks():
            numbers, rows = self._of_block(block)
            self._check(numbers)
            filled = [isinstance(cells, DataError) or any(cells) for cells in rows]
            yield from compress(zip(numbers, rows, strict=True), filled)

    def _blocks(self) -> Iterator[str]:
        """XML of whole rows, some thousands at once."""
        rest = ""
        for piece in self._pieces:
            self._bytes += len(piece)
            rest += piece if rest else _NO_ROWS.sub("</sheetData>", piece)
            rows, end, tail = rest.partition("</sheetData>")
            if end:
                yield rows
                self._see_end(tail)
                return
            cut = rest.rfind("<row")
            if cut < 0:
                rest = ""
                continue
            yield rest[:cut]
            rest = rest[cut:]
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
            for left, top, right, bottom in islice(_MERGED.findall(tail), MAX_SPOTS - len(self.seen.merged)):
                self.seen.merged.append(
                    (int(top), column_position(left), int(bottom), column_position(right))
                )
            if (piece := next(self._pieces, None)) is None:
                return
            tail = piece

    def _check(self, found: Sequence[int]) -> None:
        numbers = [self._last, *found]
        self._last = numbers[-1]
        if not all(map(lt, numbers, numbers[1:])) or self._last > MAX_ROW:
            wrong = next(at for at in range(1, len(numbers)) if not numbers[at - 1] < numbers[at] <= MAX_ROW)
            raise DataError(
                f"row {numbers[wrong]:,} follows row {numbers[wrong - 1]:,} in the sheet",
                line=numbers[wrong],
                hint="open the workbook with a spreadsheet program and save it again",
            )

    def _count_cells(self, cells: int, number: int) -> None:
        self._count += cells
        if self._count > MAX_CELLS + CELLS_PER_BYTE * self._bytes:
            raise DataError(
                f"the cells are scattered: {self._count:,} up to here, nearly all of them blank",
                line=number,
                hint="delete the stray cells far right of the data, or save the sheet as CSV",
            )

    # --- rows like those before ---------------------------------------------------------------------------

    def _of_block(self, block: str) -> tuple[list[int], list[RowCells]]:
        """Numbers and cells of the rows."""
        if not (found := self._matched(block)):
            return self._among([block], [], [])
        try:
            numbers, rows = self._by_column(found)
        except (ValueError, LookupError):  # one by one they tell which cell is wrong
            return self._among([block], [], [])
        if "".join(found.between).strip():
            return self._among(found.between, numbers, rows)
        self._at = numbers[-1]
        return numbers, rows

    def _matched(self, block: str) -> Rows | None:
        """The rows taken apart by the pattern; by another pattern where that leaves many over."""
        found = self._pattern.split(block) if self._pattern else None
        left = sum(map(len, found.between)) if found else len(block)
        is_unlike = left * _OFTEN > len(block) and self._patterns < _MOST_PATTERNS
        if is_unlike and (pattern := xlsx_pattern.of(block)):
            self._patterns += 1
            self._pattern = pattern
            found = pattern.split(block)
        return found if found and found.digits else None

    def _by_column(self, found: Rows) -> tuple[list[int], list[RowCells]]:
        numbers = list(map(int, found.digits))
        texts = [self._cells.texts(kinds, values) for kinds, values in found.columns]
        self._count_cells(len(numbers) * len(texts), numbers[-1])
        if "hidden" in "".join(found.attributes):
            hides = (
                number for number, each in zip(numbers, found.attributes, strict=True) if _HIDDEN.search(each)
            )
            self.seen.hidden += hides
        for column, (kinds, values) in enumerate(found.columns):
            for place in self._cells.long(kinds, values):
                see(self.seen.long, numbers[place], column, number_formats.number(values[place]))
        return numbers, list(zip(*texts, strict=True))

    def _among(
        self, between: Sequence[str], numbers: Sequence[int], rows: Sequence[RowCells]
    ) -> tuple[list[int], list[RowCells]]:
        """Rows that match, with the others that stand before each and after the last."""
        found: list[tuple[int, RowCells]] = []
        for others, number, cells in zip_longest(between, numbers, rows):
            stray, *unlike = _ROW.split(others)
            if found and stray.strip():
                found[-1] = (found[-1][0], _unreadable("something stands behind it that is no row"))
            found += map(self._any_row, unlike)
            if cells is not None:
                found.append((number, cells))
                self._at = number
        return [number for number, _ in found], [cells for _, cells in found]

    # --- any row ------------------------------------------------------------------------------------------

    def _any_row(self, row: str) -> tuple[int, RowCells]:
        tag, _, body = row.partition(">")
        body, _, stray = body.partition("</row>")
        named = xml_text.attributes(tag)
        said = named.get("r", "")
        number = int(said[:_DIGITS]) if said.isdecimal() else self._at + 1
        self._at = number
        if _HIDDEN.search(f" {tag}"):
            self.seen.hidden.append(number)
        cells: list[str] = []
        for cell in _CELL.split(body)[1:] if not tag.endswith("/") else ():
            try:
                column, text = self._any_cell(cell, number, len(cells))
            except (ValueError, LookupError) as error:
                return number, _unreadable(f"a cell cannot be read: {brief(str(error), quote=False)}")
            cells += [""] * (column + 1 - len(cells))
            cells[column] = text
        self._count_cells(len(cells), number)
        if stray.strip():
            return number, _unreadable("something stands behind it that is no row")
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
            see(self.seen.errors, number, column, value[1] if value else "")
        elif "<f" in inner and type_ != "str" and not (value and value[1]):
            see(self.seen.not_computed, number, column, "")
        values = [value[1] if value else ""]
        if self._cells.long(kind, values):
            see(self.seen.long, number, column, number_formats.number(values[0]))
        return column, self._cells.texts(kind, values)[0]


def _unreadable(why: str) -> DataError:
    return DataError(why, hint="open the workbook with a spreadsheet program and save it again")


class XlsxWorkbook(Package):
    """An open workbook whose sheets can be read."""

    def sheet(self, part: SheetPart) -> XlsxSheet:
        """One of its sheets, from its beginning."""
        return XlsxSheet(self, part.place)
