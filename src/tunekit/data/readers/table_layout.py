"""Where a table in text begins and what its columns are called. Knows the caller's word, and whom to ask without it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tunekit.data.readers import column_names, first_row
from tunekit.data.readers.base import ReadOptions
from tunekit.data.readers.column_names import ColumnNames
from tunekit.errors import DataError

Records: TypeAlias = Sequence[tuple[int, Sequence[str]]]

MAX_COLUMNS = 16_384
"""As Excel's. A wider table is a file whose delimiter is another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where a table begins and what its columns are called.

    Attributes:
        names: Of the columns, without spaces around.
        line: Where the row with the names begins; 0 where there is none.
        cells: Of that row, as written.
        above: Lines where rows before it begin.
        reason: Why it was taken for that, where nobody said; "" where somebody did.
        second: Line of another row that looks like names; 0 where there is none.
    """

    names: ColumnNames
    line: int = 0
    cells: tuple[str, ...] = ()
    above: tuple[int, ...] = ()
    reason: str = ""
    second: int = 0

    @property
    def cleaned(self) -> list[str]:
        """Names that had spaces around, as they were."""
        return [
            cell for cell, name in zip(self.cells, self.names.written, strict=False) if name and cell != name
        ]

    @property
    def repeated(self) -> list[str]:
        """Names that another column further left has, too."""
        pairs = zip(self.names.written, self.names.keys, strict=True)
        return [name for name, key in pairs if name and name != key]

    @property
    def nameless(self) -> list[int]:
        """Positions of the columns without a name, from 0, in a table that has names."""
        return [position for position, name in enumerate(self.names.written) if self.line and not name]

    def check(self, wanted: Sequence[str]) -> None:
        """Raise `DataError` unless each wanted column is there, once."""
        try:
            self.names.check(wanted, self.line or 1)
        except DataError as error:
            if self.reason and not self.line:
                error.hint = "the first row was taken for data; pass header=True if it names the columns"
            raise


def of(records: Records, width: int, options: ReadOptions) -> Layout:
    """The layout of a table that begins like this.

    Args:
        records: The first rows with anything in them, each with its number.
        width: Cells that most rows have.
        options: What the caller says.

    Raises:
        DataError: There are no rows, or none where the caller says that one is.
    """
    said = options.header
    if not records:
        hint = "look at what wrote it; the first row must name the columns"
        raise DataError("no header: the file holds no rows", line=1, hint=hint)
    if said is None:
        return _guessed(records, width, options.wanted)
    if said is True:
        return _named_by(records, 0)
    if said is False:
        return Layout(names=column_names.positions(_checked(width, records)))
    if isinstance(said, int):
        return _named_by(records, _position(records, said))
    return Layout(names=column_names.given(said, _checked(width, records)))


def _guessed(records: Records, width: int, wanted: Sequence[str]) -> Layout:
    found = first_row.of([cells for _, cells in records], wanted)
    if found.row is None:
        return Layout(names=column_names.positions(_checked(width, records)), reason=found.reason)
    second = records[found.row + 1][0] if found.second else 0
    return _named_by(records, found.row, found.reason, second)


def _position(records: Records, line: int) -> int:
    begins = [begin for begin, _ in records]
    if line not in begins:
        near = ", ".join(str(begin) for begin in sorted(begins, key=lambda begin: abs(begin - line))[:3])
        hint = f"the nearest begin on lines {near}"
        raise DataError(f"no row begins on line {line}, which header= names", line=line, hint=hint)
    return begins.index(line)


def _named_by(records: Records, row: int, reason: str = "", second: int = 0) -> Layout:
    line, cells = records[row]
    _refuse_wide(len(cells), line)
    return Layout(
        names=ColumnNames(tuple(_cleaned(cells))),
        line=line,
        cells=tuple(cells),
        above=tuple(begin for begin, _ in records[:row]),
        reason=reason,
        second=second,
    )


def _checked(width: int, records: Records) -> int:
    _refuse_wide(width, records[0][0])
    return width


def _refuse_wide(cells: int, line: int) -> None:
    if cells > MAX_COLUMNS:
        hint = "pass delimiter= with what stands between cells, if this is a table"
        raise DataError(f"the row has {cells:,} cells", line=line, hint=hint)


def _cleaned(cells: Iterable[str]) -> Iterable[str]:
    # Also of what exports leave behind that is invisible: a byte order mark, a zero-width space.
    return (cell.strip().strip("\ufeff\u200b").strip() for cell in cells)
