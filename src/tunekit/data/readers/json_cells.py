"""Rows that a JSON document writes as lists: cells that need names. Knows positions and headers; no layout of files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tunekit.data.readers.base import ReadOptions, Row
from tunekit.data.readers.column_names import ColumnNames, given, positions
from tunekit.errors import DataError


def by_name(rows: Iterator[Row], options: ReadOptions, names: Sequence[str] | None = None) -> Iterator[Row]:
    """The rows, with lists as objects where columns have names; without names a list stays one.

    Args:
        rows: Numbered items.
        options: Say whether a list names the columns, and which columns are wanted.
        names: Of the columns, where the document gives them.

    Raises:
        DataError: The names do not fit, or a wanted column is not among them.
    """
    said = names if options.header is None else options.header
    keys: list[str] = []
    lists = 0
    for number, row in rows:
        if isinstance(row, list):
            lists += 1
            if not keys:
                naming = _row_of_names(row, said, options.wanted)
                if naming == lists:
                    keys = _checked(ColumnNames(tuple(map(_name, row))), options.wanted)
                if naming >= lists:
                    continue  # the header, or what stands above it
                if isinstance(said, Sequence):
                    keys = _checked(given(said, len(row)), options.wanted)
            if keys:
                row = _named(row, keys)
        yield number, row


def _row_of_names(row: list[Any], said: bool | int | Sequence[str] | None, wanted: Sequence[str]) -> int:
    """Which list names the columns, from 1; 0 where none does. A first list with all wanted columns does."""
    if isinstance(said, int):
        return int(said)
    return int(
        said is None and bool(wanted) and set(wanted) <= {cell for cell in row if isinstance(cell, str)}
    )


def _name(cell: Any) -> str:
    return "" if cell is None else str(cell)


def _checked(columns: ColumnNames, wanted: Sequence[str]) -> list[str]:
    columns.check(wanted)
    return columns.keys


def _named(row: list[Any], keys: list[str]) -> Any:
    if len(row) != len(keys):
        cells = f"{len(row)} cell{'' if len(row) == 1 else 's'}"
        return DataError(
            f"the row has {cells}, the table has {len(keys)} columns",
            hint="write null for a cell without a value",
        )
    return dict(zip(keys, row, strict=True))


def is_pair(row: Any) -> bool:
    """Whether this is a list of a text and its label or labels."""
    if not isinstance(row, list) or len(row) != 2 or not isinstance(row[0], str):
        return False
    labels = row[1] if isinstance(row[1], list) else [row[1]]
    return all(isinstance(label, (str, int)) for label in labels)


def in_part(row: Any, part: str) -> Any:
    """The row with the name of its part under "split", unless it has such a key or is no row; a list gets names."""
    if part and isinstance(row, list):
        row = dict(zip(("text", "label") if is_pair(row) else positions(len(row)).keys, row, strict=True))
    return row | {"split": row.get("split", part)} if part and isinstance(row, dict) else row
