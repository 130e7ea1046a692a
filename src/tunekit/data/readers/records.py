"""Rows of cells out of blocks of text, also past places where the quoting is broken. Knows no columns and no names.

A block is parsed as a whole, for what Python does with each row takes longer than finding its cells. What is left of a
row at the end of a block is parsed again with the next one.

After a quote that never closes, or a cell that goes on behind its closing quote, no one can say for sure where the next
row begins. What is taken for it is the first line after the damaged row's first one where a row of the table's width
begins, with its quotes in pairs and another such row after it. One line of prose in a damaged cell may look like a row;
two rows on end seldom do. Everything before it is told as passed by: a good row that is left out with the damage is
better than words of a cell that are learned as a row.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from tunekit.data.readers.dialect import MAX_CELL_CHARS, Dialect, csv_error

MAX_ROW_CHARS = 4 * MAX_CELL_CHARS
"""A row of several lines with more is refused, and the search for the row after a damaged one ends here."""

MAX_SEARCH_LINES = 100_000
"""So many lines after a damaged row without a row among them end the reading: most of the table would be passed by."""

_PART_CHARS = 32 << 10


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that follow one another.

    Attributes:
        line: Where the first one begins.
        cells: Of each; none for a blank line.
        lines: How many lines they are on.
    """

    line: int
    cells: list[list[str]]
    lines: int

    def numbered(self) -> Iterator[tuple[int, int, list[str]]]:
        """First line, last line and cells of each."""
        start, simple = self.line, self.lines == len(self.cells)
        for cells in self.cells:
            end = start if simple else start + sum(map(_line_ends, cells))
            yield start, end, cells
            start = end + 1


@dataclass(frozen=True, slots=True)
class Damage:
    """Lines from which no rows could be read.

    Attributes:
        line: Where the damaged row begins.
        last: The last line that was passed by.
        reason: What `csv` says.
        is_end: Whether no row was found after it, and nothing more is read.
    """

    line: int
    last: int
    reason: str
    is_end: bool = False


Piece: TypeAlias = "Rows | Damage"


def pieces(blocks: Iterable[str], dialect: Dialect, width: int) -> Iterator[Piece]:
    """All rows, and all damage between them.

    Args:
        blocks: Text of whole lines.
        dialect: How cells are written.
        width: Cells that a row after damage must have.
    """
    reading = _Reading(dialect, width)
    for block in blocks:
        for part in _parts(block):
            yield from reading.read(part)
    yield from reading.end()


def _parts(block: str) -> Iterator[str]:
    """The block in parts of whole lines: rows of a few thousand lists at once keep the garbage collector busy."""
    start = 0
    while start < len(block):
        end = block.find("\n", start + _PART_CHARS) + 1 or len(block)
        yield block[start:end]
        start = end


class _Reading:
    """What has been seen of the text, and not been read yet."""

    def __init__(self, dialect: Dialect, width: int) -> None:
        self._dialect = dialect
        self._width = width
        self._text = ""
        self._line = 1  # where the text begins
        self._wanted = (
            0  # characters with which to try again: twice as many each time, so that it stays linear
        )
        self._damage: tuple[int, str] | None = None
        self._searched = 0  # lines after the damage

    def read(self, block: str) -> Iterator[Piece]:
        self._text += block
        if len(self._text) >= self._wanted:
            yield from self._pieces(is_end=False)

    def end(self) -> Iterator[Piece]:
        if self._text or self._damage:
            yield from self._pieces(is_end=True)

    def _pieces(self, *, is_end: bool) -> Iterator[Piece]:
        """What can be read of the text."""
        self._wanted = 0
        while not self._wanted and (self._text or (is_end and self._damage)):
            if self._damage:
                yield from self._search(is_end)
            else:
                yield from self._rows(is_end)

    def _rows(self, is_end: bool) -> Iterator[Rows]:
        """The rows up to the end of the text, or to where they are damaged."""
        found: list[list[str]] = []
        reader = self._dialect.reader(_lines(self._text))
        reason = ""
        try:
            found.extend(reader)  # keeps what came before an error
        except csv_error() as error:
            reason = str(error)
        if not reason:
            yield self._taken(found, reader.line_num, len(self._text))
            return
        lines = len(found) + sum(_line_ends(cell) for cells in found for cell in cells)
        if found:
            yield self._taken(found, lines, sum(map(len, islice(_lines(self._text), lines))))
        if reason == UNCLOSED and not is_end and len(self._text) <= MAX_ROW_CHARS:
            self._wanted = 2 * len(self._text)
        else:
            self._damage = self._line, reason
            self._drop(next(_lines(self._text)))

    def _taken(self, found: list[list[str]], lines: int, chars: int) -> Rows:
        rows = Rows(self._line, found, lines)
        self._text = self._text[chars:]
        self._line += lines
        return rows

    def _drop(self, line: str) -> None:
        self._text = self._text[len(line) :]
        self._line += 1

    # --- after damage -------------------------------------------------------------------------------

    def _search(self, is_end: bool) -> Iterator[Damage]:
        """Go to where rows begin again, if that is in the text."""
        left = MAX_SEARCH_LINES - self._searched
        lines = list(islice(_lines(self._text), left))
        begins: bool | None = None
        is_full = is_end or len(self._text) > MAX_ROW_CHARS or len(lines) == left
        at = 0
        while at < len(lines):
            begins = self._begins(lines, at, is_end)
            if begins or (begins is None and not is_full):
                break
            at += 1
        self._text = self._text[sum(map(len, lines[:at])) :]
        self._line += at
        self._searched += at
        is_lost = self._searched == MAX_SEARCH_LINES
        if at < len(lines) and not begins:
            self._wanted = 2 * len(self._text)
        elif (at < len(lines) or is_end or is_lost) and self._damage:
            yield Damage(self._damage[0], self._line - 1, self._damage[1], is_lost)
            self._damage, self._searched = None, 0

    def _begins(self, lines: Sequence[str], at: int, is_end: bool) -> bool | None:
        """Whether rows begin on this line; None where more of the text must be known."""
        read = map(lines.__getitem__, range(at, len(lines)))
        reader = self._dialect.reader(read)
        rows = 0
        try:
            for cells in reader:
                if not cells and rows:
                    continue  # blank lines may stand between rows
                if len(cells) != self._width or not self._is_paired(lines[at : at + reader.line_num]):
                    return False
                rows += 1
                if rows > 1:
                    return True
        except csv_error() as error:
            return None if str(error) == UNCLOSED and not is_end else False
        return rows > 0 if is_end else None

    def _is_paired(self, lines: Sequence[str]) -> bool:
        """Whether as many quotes open cells as close them: the rest of a damaged cell has one more."""
        return (
            not self._dialect.quoting or sum(line.count('"') for line in self._dialect.plain(lines)) % 2 == 0
        )


UNCLOSED = "unexpected end of data"
"""What `csv` says where a text ends inside quotes."""


def _lines(text: str) -> Iterator[str]:
    return io.StringIO(text, newline="")


def _line_ends(cell: str) -> int:
    """Line ends in a cell; a carriage return and a newline are one."""
    if "\r" not in cell:
        return cell.count("\n")
    return cell.count("\n") + cell.count("\r") - cell.count("\r\n")
