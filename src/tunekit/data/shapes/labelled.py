"""A text and its label or labels: as an object, or as a pair in a list (CLINC150). Knows no columns of other names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.data.shapes import fields
from tunekit.data.shapes.base import Shape
from tunekit.data.wording import shown
from tunekit.errors import DataError
from tunekit.examples import Example, LabelledExample

_KINDS = frozenset({"labelled"})
_PAIR = 'a pair is ["the text", "the label"]'


def by_position(record: list[Any]) -> dict[str, Any]:
    """A list as a row of a table without a header: "column 1", "column 2", ..."""
    return {f"column {number}": value for number, value in enumerate(record, start=1)}


# --- [text, label] ------------------------------------------------------------------------------------


def _is_pair(record: Any) -> bool:
    return (
        isinstance(record, (list, tuple))
        and len(record) == 2
        and isinstance(record[0], str)
        and (isinstance(record[1], list) or fields.spelled(record[1]) is not None)
    )


def _read_pair(record: Any, id: str) -> Example:
    if not isinstance(record, (list, tuple)) or len(record) != 2:
        raise DataError(f"expected a pair, found {shown(record)}", hint=_PAIR)
    row = by_position(list(record))
    text = fields.not_blank(fields.text(row, "column 1"), "column 1")
    return LabelledExample(text=text, label=fields.label(row, "column 2"), id=id)


def _write_pair(example: Example) -> list[Any]:
    if not isinstance(example, LabelledExample):
        raise fields.refused(example, "pairs", _KINDS)
    if example.meta:
        raise DataError(
            "a pair has no place for meta columns",
            field="meta",
            hint='write shape="labelled", which keeps them',
        )
    return [example.text, _plain_label(example)]


def _plain_label(example: LabelledExample) -> str | list[str]:
    return example.label if isinstance(example.label, str) else list(example.label)


# --- {"text": ..., "label": ...} ----------------------------------------------------------------------


def _label_key(record: Mapping[str, Any]) -> str:
    return "labels" if "labels" in record and "label" not in record else "label"


def _is_labelled(record: Mapping[str, Any]) -> bool:
    value = record.get(_label_key(record))
    known = isinstance(value, (bool, list)) or fields.spelled(value) is not None
    flat = not isinstance(value, list) or not any(isinstance(each, (list, dict)) for each in value)
    return isinstance(record.get("text"), str) and known and flat


def _read_labelled(record: Mapping[str, Any], id: str) -> Example:
    key = _label_key(record)
    text = fields.not_blank(fields.text(record, "text"), "text")
    return LabelledExample(
        text=text, label=fields.label(record, key), id=id, meta=fields.rest(record, ("text", key))
    )


def _write_labelled(example: Example) -> dict[str, Any]:
    if not isinstance(example, LabelledExample):
        raise fields.refused(example, "labelled", _KINDS)
    return fields.with_meta({"text": example.text, "label": _plain_label(example)}, example)


PAIRS = Shape(
    name="pairs",
    says="pairs of text and label",
    kinds=_KINDS,
    recognises=_is_pair,
    read=_read_pair,
    write=_write_pair,
)
LABELLED = Shape(
    name="labelled",
    says="texts and labels",
    kinds=_KINDS,
    recognises=_is_labelled,
    read=_read_labelled,
    write=_write_labelled,
)
