"""What the columns of a table are called, where its rows come as lists of cells. Knows positions; no file format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tunekit.data.wording import brief, listed, nearest
from tunekit.errors import DataError


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """The names as written, one for each column; "" where there is none."""

    written: tuple[str, ...]

    @property
    def keys(self) -> list[str]:
        """A different key for each column: one without a name, or with one that was there before, has its position.

        Examples:
            >>> ColumnNames(("text", "", "text")).keys
            ['text', 'column 2', 'text (3)']
        """
        keys: list[str] = []
        taken: set[str] = set()
        for position, name in enumerate(self.written, start=1):
            key = name or f"column {position}"
            while key in taken:
                key += f" ({position})"
            keys.append(key)
            taken.add(key)
        return keys

    def check(self, wanted: Sequence[str], line: int | None = None) -> None:
        """Raise `DataError` unless each of these columns is there, and once."""
        for name in wanted:
            if name not in self.keys:
                hint = nearest(name, self.keys) or "name the columns to use with input= and target="
                raise DataError(
                    f"no column {brief(name)}; the columns are {listed(self.keys)}", line=line, hint=hint
                )
            if self.written.count(name) > 1:
                raise DataError(
                    f"{self.written.count(name)} columns are named {brief(name)}",
                    line=line,
                    hint="rename all but one",
                )


def positions(width: int) -> ColumnNames:
    """Columns without names: "column 1", "column 2", ..."""
    return ColumnNames(("",) * width)


def given(names: Sequence[str], width: int) -> ColumnNames:
    """Columns that the caller, or the file, names elsewhere than in a row.

    Raises:
        DataError: There are more names than columns, or fewer.
    """
    if len(names) != width:
        raise DataError(
            f"{len(names)} names for {width} columns: {listed(names)}",
            hint="header= takes one name for each column, in order",
        )
    return ColumnNames(tuple(names))
