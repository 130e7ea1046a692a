"""The rows of an Excel sheet, streamed: memory holds a piece of the sheet, and the workbook's shared texts.

Rows that look like those before them, as nearly all do, are taken apart by one regular expression made for the sheet,
and converted a column at a time; any other goes through `_any_row`, which knows every form that the format allows.
Knows tags of rows and cells (ECMA-376 part 1, section 18.3.1); not what a column means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from operator import lt

from tunekit.data.readers import number_formats, xlsx_pattern, xml_text
from tunekit.data.readers.sheet_rows import Cells as RowCells
from tunekit.data.readers.sheet_rows import Seen, SheetPart, column_position
from tunekit.data.readers.xlsx_cells import Cells
from tunekit.data.readers.xlsx_package import Package
from tunekit.data.readers.xlsx_pattern import RowPattern
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
            rows = list(self._of_block(block))
            self._check(rows)
            yield from [row for row in rows if isinstance(row[1], DataError) or any(row[1])]

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
        try:
            groups = self._matched(block, count)
            if len(groups) == count:
                return self._by_column(groups)
            if groups:
                return self._mixed(block.split("<row ")[1:])
        except (ValueError, LookupError):
            pass  # one by one they tell which cell is wrong
        return map(self._any_row, block.split("<row ")[1:])

    def _matched(self, block: str, count: int) -> list[tuple[str, ...]]:
        """What the pattern gives for the rows that match it; another pattern where half of them do not."""
        groups = self._pattern.expression.findall(block) if self._pattern else []
        if 2 * len(groups) < count and count >= xlsx_pattern.LEAST_ROWS and self._patterns < _MOST_PATTERNS:
            self._patterns += 1
            self._pattern = xlsx_pattern.of(block)
            groups = self._pattern.expression.findall(block) if self._pattern else []
        return groups

    def _mixed(self, rows: list[str]) -> Iterator[tuple[int, RowCells]]:
        """Rows of which some match."""
        assert self._pattern is not None
        found = [self._pattern.expression.match("<row " + row) for row in rows]
        converted = self._by_column([match.groups("") for match in found if match])
        return self._in_order(rows, found, converted)

    def _in_order(
        self,
        rows: list[str],
        found: list[re.Match[str] | None],
        converted: Iterator[tuple[int, RowCells]],
    ) -> Iterator[tuple[int, RowCells]]:
        for row, match in zip(rows, found, strict=True):
            number, cells = next(converted) if match else self._any_row(row)
            self._at = number
            yield number, cells

    def _by_column(self, rows: list[tuple[str, ...]]) -> Iterator[tuple[int, RowCells]]:
        if not rows or self._pattern is None:
            return iter(())
        digits, attributes, *groups = zip(*rows, strict=True)
        numbers = list(map(int, digits))
        self._at = numbers[-1]
        self._count_cells(len(numbers) * len(self._pattern.kinds))
        if any("hidden" in each for each in set(attributes)):
            hides = (number for number, each in zip(numbers, attributes, strict=True) if _HIDDEN.search(each))
            self.seen.hidden += hides
        texts = []
        for column, (kinds, values) in enumerate(xlsx_pattern.columns(self._pattern, groups)):
            texts.append(self._cells.texts(kinds, values))
            if max(map(len, values)) > number_formats.DIGITS:
                self._look_for_long(numbers, column, kinds, values)
        return zip(numbers, zip(*texts, strict=True), strict=True)

    def _look_for_long(
        self, numbers: Sequence[int], column: int, kinds: Sequence[str] | str, values: Sequence[str]
    ) -> None:
        if isinstance(kinds, str):
            if not _is_number(kinds):
                return
            kinds = [kinds] * len(values)
        for number, kind, value in zip(numbers, kinds, values, strict=True):
            # What has a fraction is no whole number, unless it has an exponent.
            if "." not in value or "E" in value or "e" in value:
                self._see_long(number, column, kind, value)

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


class XlsxWorkbook(Package):
    """An open workbook whose sheets can be read."""

    def sheet(self, part: SheetPart) -> XlsxSheet:
        """One of its sheets, from its beginning."""
        return XlsxSheet(self, part.place)
