"""Rows that a JSON document writes as lists: cells that need names. Knows positions and headers; no layout of files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tunekit.data.readers import header
from tunekit.data.readers.base import ReadOptions, Row
from tunekit.data.readers.header import Header
from tunekit.errors import DataError


def by_name(rows: Iterator[Row], options: ReadOptions, names: Sequence[str] | None = None) -> Iterator[Row]:
    """The rows, with lists as objects; but a `["text", "label"]` pair stays one unless columns are named or wanted.

    Args:
        rows: Numbered items.
        options: Say whether a list names the columns, and which columns are wanted.
        names: Of the columns, where the document gives them.

    Raises:
        DataError: The names do not fit, or a wanted column is not among them.
    """
    said = names if options.header is None else options.header
    table: Header | None = None
    lists = 0
    for number, row in rows:
        plain = table is None and said is None and not options.wanted
        if not isinstance(row, list) or (plain and is_pair(row)):
            yield number, row
            continue
        lists += 1
        if table is None:
            table = _header(row, lists, said, options.wanted)
            if table is None:
                continue  # above the row that the caller calls the header
            table.check(options.wanted)
            if table.index >= 0:
                continue
        yield number, _named(row, table)


def _header(
    row: list[Any], lists: int, said: bool | int | Sequence[str] | None, wanted: Sequence[str]
) -> Header | None:
    if said is None or said is False:
        found = header.guessed([row], wanted) if wanted and said is None else header.without(len(row))
        return found if set(wanted) <= set(found.names) else header.without(len(row))
    if isinstance(said, int):
        return header.of_row(row) if lists == int(said) else None
    return header.named(said, len(row))


def _named(row: list[Any], table: Header) -> Any:
    if len(row) != len(table.names):
        return DataError(
            f"the row has {len(row)} cell{'' if len(row) == 1 else 's'}, the table has {len(table.names)} columns",
            hint="write null for a cell without a value",
        )
    return dict(zip(table.keys, row, strict=True))


def is_pair(row: Any) -> bool:
    """Whether this is a list of a text and its label or labels."""
    if not isinstance(row, list) or len(row) != 2 or not isinstance(row[0], str):
        return False
    labels = row[1] if isinstance(row[1], list) else [row[1]]
    return all(isinstance(label, (str, int)) for label in labels)


def in_part(row: Any, part: str) -> Any:
    """The row with the name of its part under "split", unless it has such a key or is no row; a pair gets names."""
    if part and is_pair(row):
        row = dict(zip(("text", "label"), row, strict=True))
    return row | {"split": row.get("split", part)} if part and isinstance(row, dict) else row
