"""Rows of segments, each learned or only read: axolotl's `input_output`, without any template. Knows no other shape.

The contract is axolotl's documentation of template-free prompts: `{"segments": [{"label": true, "text": "..."}]}`; the
texts are joined as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.data.shapes import fields, turns
from tunekit.data.shapes.base import Shape
from tunekit.data.wording import brief
from tunekit.errors import DataError
from tunekit.examples import Example, Segment, SegmentsExample

NAME = "segments"
_KINDS = frozenset({"segments"})
_USED = frozenset({"segments"})
_SEGMENT = 'a segment is {"label": true, "text": "..."}; true means that it is learned'


def _recognises(record: Mapping[str, Any]) -> bool:
    found = record.get("segments")
    if not isinstance(found, list) or not found or "kind" in record:
        return False
    return isinstance(found[0], dict) and found[0].keys() >= {"label", "text"}


def _read(record: Mapping[str, Any], id: str) -> SegmentsExample:
    found = fields.items(record.get("segments"), "segments")
    segments = tuple(_segment(each, f"segments[{index}]") for index, each in enumerate(found))
    if not any(segment.learn and segment.text.strip() for segment in segments):
        raise fields.blank("segments", "no segment is learned")
    return SegmentsExample(segments=segments, id=id, meta=fields.rest(record, _USED))


def _segment(value: Any, field: str) -> Segment:
    segment = turns.only(value, ("label", "text"), field, "a segment")
    label = segment.get("label")
    if label is not True and label is not False:
        raise DataError(
            f"expected true or false, found {brief(label)}", field=f"{field}.label", hint=_SEGMENT
        )
    return Segment(text=turns.text(segment, "text", field), learn=label)


def _write(example: Example) -> dict[str, Any]:
    if not isinstance(example, SegmentsExample):
        raise fields.refused(example, NAME, _KINDS)
    body = {"segments": [{"label": each.learn, "text": each.text} for each in example.segments]}
    return fields.with_meta(body, example)


SEGMENTS = Shape(
    name=NAME,
    says="segments, learned or only read",
    kinds=_KINDS,
    recognises=_recognises,
    read=_read,
    write=_write,
)
