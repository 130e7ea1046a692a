"""An instruction with several inputs and outputs in one record, as Self-Instruct has them. Knows no other lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.data.shapes import fields, prompts
from tunekit.data.shapes.base import Shape
from tunekit.data.wording import shown
from tunekit.errors import DataError
from tunekit.examples import CompletionExample, Example

_KINDS = frozenset({"completion"})
_INSTANCE = 'an instance is {"input": "...", "output": "..."}'


def _recognises(record: Mapping[str, Any]) -> bool:
    return isinstance(record.get("instruction"), str) and isinstance(record.get("instances"), list)


def _read(record: Mapping[str, Any], id: str) -> tuple[Example, ...]:
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


def _write(example: Example) -> dict[str, Any]:
    if not isinstance(example, CompletionExample):
        raise fields.refused(example, "instances", _KINDS)
    instruction, given = prompts.without_input(example.prompt, example.meta.get("input"))
    columns = example.replace(meta=fields.rest(example.meta, ("input",)))
    instance = {"input": given, "output": example.completion}
    return fields.with_meta({"instruction": instruction, "instances": [instance]}, columns)


INSTANCES = Shape(
    name="instances",
    says="instructions with instances",
    kinds=_KINDS,
    recognises=_recognises,
    read=_read,
    write=_write,
)
