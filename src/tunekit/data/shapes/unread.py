"""Rows that no shape reads: what they are instead, as errors that say what to do. Knows keys; reads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunekit.data.shapes.base import Shape
from tunekit.data.shapes.catalogue import shape as named
from tunekit.data.shapes.labelled import by_position
from tunekit.data.wording import listed, shown
from tunekit.errors import DataError
from tunekit.examples import ROLES

_SHAPES = (
    'rows are {"messages": [...]}, {"prompt": ..., "completion": ...} or {"text": ...};'
    " for other keys pass input= and target="
)
_TOKENS = ("input_ids", "token_ids", "tokens")
# Rows with these keys that no shape recognises are of that shape with a mistake in them: its reader says which.
_TELLING = (
    ("messages", "openai"),
    ("chosen", "preference"),
    ("prompt", "prompt-completion"),
    ("instruction", "alpaca"),
)


def as_record(row: Any) -> Mapping[str, Any]:
    """The row as an object; a list of cells is one with the keys "column 1", "column 2", ...

    Raises:
        DataError: It is neither.
    """
    return by_position(row) if isinstance(row, list) and not is_chat(row) else as_object(row)


def as_object(row: Any) -> Mapping[str, Any]:
    """The row, if it is an object; a chat that is a list of turns and nothing else is one with the key "messages".

    Raises:
        DataError: It is neither.
    """
    if isinstance(row, Mapping):
        return row
    if is_chat(row):
        return {"messages": row}
    raise DataError(f"expected an object, found {shown(row)}", hint=_SHAPES)


def is_chat(row: Any) -> bool:
    """Whether the row is a list of turns."""
    return isinstance(row, list) and bool(row) and all(map(_is_turn, row))


def _is_turn(item: Any) -> bool:
    return isinstance(item, Mapping) and isinstance(item.get("role", item.get("from")), str)


def meant(record: Mapping[str, Any]) -> Shape | None:
    """The shape whose row this would be without a mistake."""
    return next((named(name) for key, name in _TELLING if key in record), None)


def unknown(record: Mapping[str, Any]) -> DataError:
    """The error for a row that says nothing of what it is."""
    return DataError(f"unknown shape with the keys {listed(map(str, record)) or 'none'}", hint=_SHAPES)


def refuse_turns(records: Sequence[Mapping[str, Any]]) -> None:
    """Raise `DataError` for rows that are the turns of one chat."""
    if all(each.get("role") in ROLES and isinstance(each.get("content"), (str, list)) for each in records):
        raise DataError(
            "these are the turns of one chat, and each would be a row",
            hint='a row is a whole chat: {"messages": [...]}, or the list of its turns',
        )


def refuse_tokens(record: Mapping[str, Any]) -> None:
    """Raise `DataError` for a row that was tokenised."""
    for key in _TOKENS:
        value = record.get(key)
        if isinstance(value, list) and value and all(type(each) is int for each in value[:20]):
            raise DataError(
                "these are rows of token ids, not text",
                field=key,
                hint="load the data from before they were tokenised: ids mean something to one tokenizer only",
            )
