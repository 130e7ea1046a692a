"""Raw text to continue: one text in a record, all of it learned. Knows no prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.data.shapes import fields
from tunekit.data.shapes.base import Shape
from tunekit.errors import DataError
from tunekit.examples import CompletionExample, Example

_KEYS = ("text", "content")
# What corpora put beside the text (C4, The Pile, FineWeb, Dolma): none of it could be the target of a row.
_ABOUT = frozenset(
    {"id", "url", "source", "timestamp", "date", "added", "created", "meta", "metadata", "dump"}
)
_KINDS = frozenset({"completion"})


def _key(record: Mapping[str, Any]) -> str | None:
    return next((key for key in _KEYS if key in record), None)


def _recognises(record: Mapping[str, Any]) -> bool:
    key = _key(record)
    return key is not None and fields.spelled(record[key]) is not None and not record.keys() - _ABOUT - {key}


def _read(record: Mapping[str, Any], id: str) -> Example:
    key = _key(record) or "text"
    return CompletionExample(
        prompt="", completion=fields.target(record, key), id=id, meta=fields.rest(record, {key})
    )


def _write(example: Example) -> dict[str, Any]:
    if not isinstance(example, CompletionExample):
        raise fields.refused(example, "text", _KINDS)
    if example.prompt:
        raise DataError(
            "the row has a prompt, and raw text is all learned",
            field="prompt",
            hint='write shape="prompt-completion"',
        )
    return fields.with_meta({"text": example.completion}, example)


TEXT = Shape(name="text", says="raw text", kinds=_KINDS, recognises=_recognises, read=_read, write=_write)
