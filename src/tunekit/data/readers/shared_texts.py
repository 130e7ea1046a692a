"""The table of shared texts of a workbook (xlsx), and what copying them to every cell that names one would take.

calamine copies: 300 KB of XML can name one long text often enough for gigabytes. Knows tags; not what texts say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tunekit.errors import DataError

LONG_BYTES = 256
"""Shorter texts are not counted: the cell that names one has 20 bytes of XML itself."""

LEAST_CELL_BYTES = len('<c t="s"><v>0</v></c>')

_ITEM = re.compile(rb"<(?:\w+:)?si(?=[\s/>])")
_DECLARED = re.compile(rb"""uniqueCount\s*=\s*["']\s*([0-9]*)(?=(["']?))""")
_TEXT_CELL = re.compile(rb"""[\s"']t\s*=\s*["']s["']""")
_NUMBER = re.compile(rb"""[\s"']t\s*=\s*["']s["'][^<>]*+>\s*+<(?:\w+:)?v>([0-9]{1,9})<""")


class SharedTexts:
    """What passes by in the table of shared texts, given in pieces.

    Attributes:
        bytes: Of XML seen.
        long: Bytes of the long texts, with their tags, by their number in the table.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self.long: dict[int, int] = {}
        self._declared = 0
        self._number = -1
        self._begin = 0
        self._rest = b""

    def see(self, piece: bytes) -> None:
        """Look at the next piece."""
        xml = self._rest + piece
        cut = xml.rfind(b"<")
        cut = cut if cut > 0 else len(xml)
        self._rest = xml[cut:]
        self._look(xml[:cut])

    def end(self) -> None:
        """Look at what is left after the last piece.

        Raises:
            DataError: The table declares texts that it does not have; calamine would make room for them.
        """
        self._look(self._rest)
        self._end_item(self.bytes)
        if self._declared > self._number + 1:
            raise DataError(
                f"the workbook declares {self._declared:,} shared texts and has {self._number + 1:,}",
                hint="the file is damaged, or built to exhaust memory; save the data again",
            )

    def _look(self, xml: bytes) -> None:
        for item in _ITEM.finditer(xml):
            begin = self.bytes + item.start()
            self._end_item(begin)
            self._number, self._begin = self._number + 1, begin
        for digits, quote in _DECLARED.findall(xml):
            # A number in another notation counts as one that is too large.
            self._declared = max(self._declared, int(digits) if digits and quote else 1 << 63)
        self.bytes += len(xml)

    def _end_item(self, end: int) -> None:
        if self._number >= 0 and end - self._begin > LONG_BYTES:
            self.long[self._number] = end - self._begin

    def most_copied(self, sheet_bytes: int) -> int:
        """The most that the long texts can take in a sheet with so many bytes of XML; cheap, and often far too high."""
        return sheet_bytes // LEAST_CELL_BYTES * max(self.long.values(), default=0)

    def copied(self, sheet: Iterable[bytes]) -> int:
        """Bytes that the long texts take in a sheet, by its XML in pieces; never too low."""
        longest = max(self.long.values(), default=0)
        total, rest = 0, b""
        for piece in sheet:
            xml = rest + piece
            cut = max(xml.rfind(b"<c "), 0) or len(xml)
            rest = xml[cut:]
            total += self._copied_in(xml[:cut], longest)
        return total + self._copied_in(rest, longest)

    def _copied_in(self, xml: bytes, longest: int) -> int:
        numbers = _NUMBER.findall(xml)
        unclear = len(_TEXT_CELL.findall(xml)) - len(numbers)
        return sum(self.long.get(int(number), 0) for number in numbers) + unclear * longest
