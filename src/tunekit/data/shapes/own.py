"""Our own rows: what `tunekit.examples.to_dict` writes, with the row id and the meta columns. Knows no other shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tunekit.data import messages
from tunekit.data.shapes import answers, fields
from tunekit.data.shapes.base import Shape
from tunekit.data.wording import brief, listed, shown
from tunekit.errors import DataError
from tunekit.examples import (
    EXAMPLE_KINDS,
    ChatExample,
    CompletionExample,
    Example,
    LabelledExample,
    PreferenceExample,
    PromptExample,
    Segment,
    SegmentsExample,
    UnpairedExample,
    to_dict,
)

_KEYS: Mapping[str, frozenset[str]] = {
    kind: frozenset(cls.__struct_fields__) | {"kind"} for kind, cls in EXAMPLE_KINDS.items()
}
_NEEDED: Mapping[str, frozenset[str]] = {
    kind: frozenset(field.name for field in msgspec.structs.fields(cls) if field.required)
    for kind, cls in EXAMPLE_KINDS.items()
}
_SEGMENT = 'a segment is {"text": "...", "learn": true}'


def _recognises(record: Mapping[str, Any]) -> bool:
    kind = record.get("kind")
    return isinstance(kind, str) and kind in _KEYS and _NEEDED[kind] <= record.keys()


def _read(record: Mapping[str, Any], id: str) -> Example:
    kind = record.get("kind")
    if not isinstance(kind, str) or kind not in _KEYS:
        raise DataError(f"unknown kind {brief(kind)}", field="kind", hint=f"kinds are {listed(_KEYS)}")
    strange = next((key for key in record if key not in _KEYS[kind]), None)
    if strange is not None:
        raise DataError(
            f"unknown key {brief(strange)} in a {kind!r} row",
            field=strange,
            hint="put columns of your own under 'meta'",
        )
    row_id = record.get("id", "")
    if not isinstance(row_id, str):
        raise DataError(
            f"expected text, found {shown(row_id)}", field="id", hint="put quotes around it, or leave it out"
        )
    meta = fields.mapping(record.get("meta", {}), "meta")
    return _READERS[kind](record).replace(id=row_id or id, meta=meta)


# --- one reader for each kind -------------------------------------------------------------------------


def _chat(record: Mapping[str, Any]) -> Example:
    turns = messages.conversation(record.get("messages"))
    return ChatExample(messages=fields.learnable(turns), tools=messages.tools(record.get("tools")))


def _completion(record: Mapping[str, Any]) -> Example:
    return CompletionExample(
        prompt=fields.text(record, "prompt"), completion=fields.target(record, "completion")
    )


def _preference(record: Mapping[str, Any]) -> Example:
    return PreferenceExample(
        messages=messages.conversation(record.get("messages")),
        chosen=answers.answered(record.get("chosen"), "chosen"),
        rejected=answers.answer(record.get("rejected"), "rejected"),
        tools=messages.tools(record.get("tools")),
    )


def _unpaired(record: Mapping[str, Any]) -> Example:
    desirable = record.get("desirable")
    if not isinstance(desirable, bool):
        raise DataError(
            f"expected true or false, found {shown(desirable)}",
            field="desirable",
            hint="true says that the answer is good, false that it is bad",
        )
    return UnpairedExample(
        messages=messages.conversation(record.get("messages")),
        completion=answers.answered(record.get("completion"), "completion"),
        desirable=desirable,
        tools=messages.tools(record.get("tools")),
    )


def _prompt(record: Mapping[str, Any]) -> Example:
    return PromptExample(
        messages=messages.conversation(record.get("messages")),
        reference=fields.mapping(record.get("reference", {}), "reference"),
        tools=messages.tools(record.get("tools")),
    )


def _labelled(record: Mapping[str, Any]) -> Example:
    text = fields.not_blank(fields.text(record, "text"), "text")
    return LabelledExample(text=text, label=fields.label(record, "label"))


def _segments(record: Mapping[str, Any]) -> Example:
    found = [
        _segment(value, f"segments[{index}]")
        for index, value in enumerate(fields.items(record.get("segments"), "segments"))
    ]
    if not any(segment.learn and segment.text for segment in found):
        raise fields.blank("segments", "no segment is learned")
    return SegmentsExample(segments=tuple(found))


def _segment(value: Any, field: str) -> Segment:
    if not isinstance(value, dict) or value.keys() != {"text", "learn"}:
        raise DataError(f"expected a segment, found {shown(value)}", field=field, hint=_SEGMENT)
    if not isinstance(value["learn"], bool):
        raise DataError(
            f"expected true or false, found {shown(value['learn'])}", field=f"{field}.learn", hint=_SEGMENT
        )
    return Segment(text=fields.as_text(value["text"], f"{field}.text"), learn=value["learn"])


_READERS = {
    "chat": _chat,
    "completion": _completion,
    "preference": _preference,
    "unpaired": _unpaired,
    "prompt": _prompt,
    "labelled": _labelled,
    "segments": _segments,
}


OWN = Shape(
    name="tunekit",
    says="tunekit's own rows",
    kinds=frozenset(EXAMPLE_KINDS),
    recognises=_recognises,
    read=_read,
    write=to_dict,
)
