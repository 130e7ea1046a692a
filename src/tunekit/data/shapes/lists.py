"""Records that are lists, or hold several examples in one: pairs of text and label, and an instruction's instances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.data.shapes import fields, prompts
from tunekit.data.shapes.base import Shape
from tunekit.data.wording import shown
from tunekit.errors import DataError
from tunekit.examples import CompletionExample, Example, LabelledExample

_LABELLED = frozenset({"labelled"})
_COMPLETION = frozenset({"completion"})
_PAIR = 'a pair is ["the text", "the label"]'
_INSTANCE = 'an instance is {"input": "...", "output": "..."}'


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
        raise fields.refused(example, "pairs", _LABELLED)
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
        raise fields.refused(example, "labelled", _LABELLED)
    return fields.with_meta({"text": example.text, "label": _plain_label(example)}, example)


# --- {"instruction": ..., "instances": [{"input": ..., "output": ...}]} -------------------------------


def _has_instances(record: Mapping[str, Any]) -> bool:
    return isinstance(record.get("instruction"), str) and isinstance(record.get("instances"), list)


def _read_instances(record: Mapping[str, Any], id: str) -> tuple[Example, ...]:
    found = fields.items(record.get("instances"), "instances")
    columns = fields.rest(record, ("instruction", "instances"))
    examples = [
        _instance(record, value, f"instances[{index}]", columns).replace(id=f"{id}.{index + 1}")
        for index, value in enumerate(found)
    ]
    return tuple(examples) if len(examples) > 1 else (examples[0].replace(id=id),)


def _instance(
    record: Mapping[str, Any], value: Any, field: str, columns: dict[str, Any]
) -> CompletionExample:
    if not isinstance(value, dict) or "output" not in value:
        raise DataError(f"expected an instance, found {shown(value)}", field=field, hint=_INSTANCE)
    output = fields.as_text(value["output"], f"{field}.output")
    given = value.get("input")
    said = "" if fields.missing(given) else fields.as_text(given, f"{field}.input")
    prompt, given = prompts.instruction({"instruction": record["instruction"], "input": said})
    meta = {**({"input": given} if given else {}), **columns, **fields.rest(value, ("input", "output"))}
    return CompletionExample(prompt=prompt, completion=fields.not_blank(output, f"{field}.output"), meta=meta)


def _write_instances(example: Example) -> dict[str, Any]:
    if not isinstance(example, CompletionExample):
        raise fields.refused(example, "instances", _COMPLETION)
    instruction, given = prompts.without_input(example.prompt, example.meta.get("input"))
    columns = example.replace(meta=fields.rest(example.meta, ("input",)))
    instance = {"input": given, "output": example.completion}
    return fields.with_meta({"instruction": instruction, "instances": [instance]}, columns)


PAIRS = Shape(
    name="pairs",
    says="pairs of text and label",
    kinds=_LABELLED,
    recognises=_is_pair,
    read=_read_pair,
    write=_write_pair,
)
LABELLED = Shape(
    name="labelled",
    says="texts and labels",
    kinds=_LABELLED,
    recognises=_is_labelled,
    read=_read_labelled,
    write=_write_labelled,
)
INSTANCES = Shape(
    name="instances",
    says="instructions with instances",
    kinds=_COMPLETION,
    recognises=_has_instances,
    read=_read_instances,
    write=_write_instances,
)
