"""The content of an OpenDocument spreadsheet, looked at before calamine reads it. Knows tags of cells and repeats.

A cell or row that says "repeated a million times" costs a few bytes, and calamine makes every copy of it. Blank ones
are repeated to the end of the sheet in every file that LibreOffice writes; those cost nothing.
"""

from __future__ import annotations

import html
import re

from tunekit.data.readers.sheet_scan import ATTRIBUTES, MAX_COLUMN, MAX_ROW, MAX_TAG_BYTES, Spot
from tunekit.errors import DataError

# calamine reads these names with these prefixes only.
_TAG = re.compile(
    rb"<(/?)table:(table|table-row|table-cell|covered-table-cell)(?=[\s/>])" + ATTRIBUTES + rb"(/?)>"
)
_REPEATED = re.compile(rb"""number-(?:rows|columns)-repeated\s*=\s*["']\s*([0-9]{1,20})""")


class OdsScan:
    """What passes by in `content.xml`, given in pieces; rows and columns are those of the largest sheet in it.

    Attributes:
        bytes: Of XML seen.
        rows: Down to the last cell that is not blank.
        columns: Up to the last cell that is not blank.
        copied: Bytes of text in all copies of all cells.
    """

    def __init__(self) -> None:
        self.bytes = self.rows = self.columns = self.copied = 0
        self.errors: list[Spot] = []
        self.not_computed: list[Spot] = []
        self._rest = b""
        self._row = self._column = 0
        self._copies_of_row = 1
        self._content_from: int | None = None
        self._copies_of_cell = 0
        self._is_filled = False

    def see(self, piece: bytes) -> None:
        """Look at the next piece.

        Raises:
            DataError: It repeats cells beyond the end of any sheet, or a tag has no end.
        """
        xml = self._rest + piece
        cut = xml.rfind(b"<")
        cut = cut if cut > 0 else len(xml)
        self._rest = xml[cut:]
        if len(self._rest) > MAX_TAG_BYTES:
            raise DataError(
                f"a tag is longer than {MAX_TAG_BYTES >> 20} MB",
                hint="no spreadsheet program writes that; save the data again",
            )
        self._look(xml[:cut])

    def end(self) -> None:
        """Look at what is left after the last piece."""
        self._look(self._rest)
        self._rest = b""

    def _look(self, xml: bytes) -> None:
        for tag in _TAG.finditer(xml):
            closes, name, attributes, empty = tag.groups()
            at = self.bytes + tag.start()
            if name == b"table":
                self._row = 0
            elif name == b"table-row":
                self._see_row(bool(closes), attributes)
            elif closes:
                self._end_cell(at)
            else:
                self._begin_cell(attributes, at)
                if empty:
                    self._end_cell(at)
        self.bytes += len(xml)

    def _see_row(self, closes: bool, attributes: bytes) -> None:
        if closes:
            self._row += self._copies_of_row
            if self._is_filled:
                self.rows = max(self.rows, self._row)
                _refuse_outside(self._row > MAX_ROW)
        else:
            self._copies_of_row, self._column, self._is_filled = _copies(attributes), 0, False

    def _begin_cell(self, attributes: bytes, at: int) -> None:
        copies = _copies(attributes)
        self._column += copies
        self._content_from = None
        if b"value-type" in attributes or b"formula" in attributes:
            self._is_filled = True
            self.columns = max(self.columns, self._column)
            _refuse_outside(self._column > MAX_COLUMN)
            self._content_from, self._copies_of_cell = at, copies

    def _end_cell(self, at: int) -> None:
        if self._content_from is not None:
            self.copied += (at - self._content_from) * self._copies_of_cell * self._copies_of_row
            self._content_from = None


def _copies(attributes: bytes) -> int:
    if b"&" in attributes:
        attributes = html.unescape(attributes.decode("utf-8", "replace")).encode()
    return max((int(number) for number in _REPEATED.findall(attributes)), default=1)


def _refuse_outside(is_outside: bool) -> None:
    if is_outside:
        raise DataError(
            f"cells are repeated beyond row {MAX_ROW:,} or column {MAX_COLUMN:,}, where no sheet goes",
            hint="the file is damaged, or built to exhaust memory; save the data again",
        )
