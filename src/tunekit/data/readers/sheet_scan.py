"""The XML of a sheet (xlsx), looked at before calamine reads it: how far its cells reach, and which hold no value.

calamine keeps a sheet as one rectangle down to its last cell; a reference of ten bytes can make that terabytes, and
Rust ends the whole process when memory is refused. Knows tags of cells; not what they mean.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias

from tunekit.data.wording import brief
from tunekit.errors import DataError

MAX_ROW, MAX_COLUMN = 1_048_576, 16_384
"""The last cell of a sheet is XFD1048576 (Excel specifications and limits)."""

MAX_TAG_BYTES = 4 << 20
"""Of one tag or cell. Excel's longest text has 32,767 characters."""

Spot: TypeAlias = tuple[int, str, str]
"""Row, column letters and text of a cell that shows no value."""

# A tag's attributes; a value may hold ">", and calamine takes any prefix and either quote.
ATTRIBUTES = rb"""((?:[^<>"']|"[^"<]*"|'[^'<]*')*+)"""
_TAG = re.compile(rb"<(?:\w+:)?(row|c)(?=[\s/>])" + ATTRIBUTES)
_REFERENCE = re.compile(rb"""(?:^|[\s"'])r\s*=\s*["']([A-Za-z]*)([0-9]*)""")
_PREFIXED = re.compile(rb":c[\s/>]")
_ROW_NUMBER = re.compile(rb'<row r="([0-9]{1,7})"')
_ERROR = re.compile(
    rb'<c r="([A-Z]+)([0-9]+)"[^>]*? t="e"[^>]*>(?:<f[^>]*/>|<f[^>]*>[^<]*</f>)?<v>([^<]{0,20})'
)
# A formula's text is "" by right (type "str"); a formula without type or value was never computed.
_NO_VALUE = re.compile(rb"</f>(?!<v>[^<])")
_NOT_COMPUTED = re.compile(
    rb'<c r="([A-Z]+)([0-9]+)"(?: s="[0-9]+")?><f[^>]*>([^<]{0,20})[^<]*</f>(?:<v ?/>|<v></v>|</c>)'
)


class SheetScan:
    """What passes by in the XML of one sheet, given in pieces.

    Nearly every cell is written `<c r="B7" s="1" t="s">`, and lies no further down or right than the rows and columns
    seen so far. One regular expression finds the others; only where there is one is the piece gone through tag by tag.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self.rows = 0
        self.columns = 0
        self.errors: list[Spot] = []
        self.not_computed: list[Spot] = []
        self._rest = b""
        self._row = 0
        self._column = 0

    def see(self, piece: bytes) -> None:
        """Look at the next piece.

        Raises:
            DataError: A cell lies where no sheet has one, or a tag has no end.
        """
        self.bytes += len(piece)
        xml = self._rest + piece
        cut = max(xml.rfind(b"<c "), xml.rfind(b"<row")) if xml.find(b"<c ") >= 0 else xml.rfind(b"<")
        cut = cut if cut > 0 else len(xml)
        self._rest = xml[cut:]
        if len(self._rest) > MAX_TAG_BYTES:
            raise DataError(
                f"a tag or cell is longer than {MAX_TAG_BYTES >> 20} MB",
                hint="no spreadsheet program writes that; save the data again",
            )
        self._look(xml[:cut])

    def end(self) -> None:
        """Look at what is left after the last piece."""
        self._look(self._rest)
        self._rest = b""

    def _look(self, xml: bytes) -> None:
        if not self._is_ordinary(xml):
            self._go_through(xml)
            self.errors += _spots(_ERROR, xml)
        if _NO_VALUE.search(xml):
            self.not_computed += _spots(_NOT_COMPUTED, xml)

    def _is_ordinary(self, xml: bytes) -> bool:
        last = _ROW_NUMBER.match(xml, max(xml.rfind(b"<row"), 0))
        if last is None or not self.columns or _PREFIXED.search(xml):
            return False
        row = _rounded_up(max(int(last[1]), self.rows))
        if row > MAX_ROW or _unusual(row, _letters(self.columns)).search(xml):
            return False
        self.rows, self._row, self._column = row, int(last[1]), self.columns
        return True

    def _go_through(self, xml: bytes) -> None:
        for tag in _TAG.finditer(xml):
            name, attributes = tag.groups()
            references = _REFERENCE.findall(attributes)
            if name == b"row":
                self._row = max((int(digits or 0) for _, digits in references), default=self._row + 1)
                self._column = 0
                continue
            # Without a reference a cell follows the one before it. Where there are several, take the furthest.
            row = max((int(digits or 0) for _, digits in references), default=self._row)
            column = max((column_number(letters) for letters, _ in references), default=self._column + 1)
            self._column = column
            if attributes.endswith(b"/"):
                continue  # blank, with a style at most: not part of calamine's rectangle
            if row > MAX_ROW or column > MAX_COLUMN:
                raise DataError(
                    f"a cell lies at {brief(_shown(tag[0]), quote=False)}, outside of any sheet",
                    hint="the file is damaged, or built to exhaust memory; save the data again",
                )
            self.rows, self.columns = max(self.rows, row), max(self.columns, column)


def _spots(pattern: re.Pattern[bytes], xml: bytes) -> list[Spot]:
    return [(int(row), letters.decode(), _shown(text)) for letters, row, text in pattern.findall(xml)]


def _shown(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


@lru_cache(maxsize=64)
def _unusual(row: int, letters: str) -> re.Pattern[bytes]:
    """Finds a cell that is written in another way, or beyond this row or column."""
    reference = f"{_at_most(letters, 'A', 'Z')}{_at_most(str(row), '0', '9')}"
    ordinary = f' r="{reference}"(?: s="[0-9]++")?+(?: t="(?!e")[a-zA-Z]++")?+/?+>'
    return re.compile(f"<c(?!{ordinary})[\\s/>]".encode())


def _at_most(limit: str, first: str, last: str) -> str:
    """A pattern for texts of these characters that are shorter than `limit`, or as long and not after it."""
    later = [limit]
    for index, character in enumerate(limit):
        if character > first:
            left = len(limit) - index - 1
            later.append(f"{limit[:index]}[{first}-{chr(ord(character) - 1)}][{first}-{last}]{{{left}}}")
    shorter = [f"[{first}-{last}]{{1,{len(limit) - 1}}}"] if len(limit) > 1 else []
    return f"(?:{'|'.join(shorter + later)})"


def _rounded_up(row: int) -> int:
    """To two digits and nines: few different patterns are then needed for a whole sheet."""
    digits = str(row)
    return int(digits[:2] + "9" * (len(digits) - 2))


def column_number(letters: bytes) -> int:
    """Column number: A is 1, XFD is 16,384."""
    number = 0
    for letter in letters[:8].upper():  # more letters are outside in any case
        number = number * 26 + letter - 64
    return number


def _letters(number: int) -> str:
    letters = ""
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters
