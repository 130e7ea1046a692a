"""LLaMA-Factory's preferences: a ShareGPT conversation, and each answer as one more turn. Knows no other spelling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.data import tool_calls
from tunekit.data.shapes import answers, fields
from tunekit.data.shapes.answers import Answer
from tunekit.data.shapes.base import Shape
from tunekit.data.shapes.preference import KINDS, preferred
from tunekit.data.shapes.sharegpt import SHAREGPT
from tunekit.data.shapes.turns import with_system
from tunekit.errors import DataError
from tunekit.examples import ChatExample, Example, PreferenceExample

_COLUMNS = ("conversations", "conversation")
_ANSWERS = ("chosen", "rejected")


def _column(record: Mapping[str, Any]) -> str | None:
    return next((key for key in _COLUMNS if isinstance(record.get(key), list)), None)


def _recognises(record: Mapping[str, Any]) -> bool:
    known = all(isinstance(record.get(key), (dict, str)) for key in _ANSWERS)
    return known and _column(record) is not None and "prompt" not in record


def _read(record: Mapping[str, Any], id: str) -> Example:
    column = _column(record) or _COLUMNS[0]
    said = answers.conversation(record.get(column), column)
    chosen, rejected = (_answer(record, key, column) for key in _ANSWERS)
    return PreferenceExample(
        messages=with_system(said, fields.optional_text(record, "system")),
        chosen=answers.checked(chosen, "chosen"),
        rejected=rejected,
        tools=tool_calls.from_functions(tool_calls.tools(record.get("tools"))),
        id=id,
        meta=fields.rest(record, (column, *_ANSWERS, "system", "tools")),
    )


def _answer(record: Mapping[str, Any], key: str, column: str) -> Answer:
    value = record.get(key)
    if fields.missing(value):
        raise fields.blank(key)
    found = answers.answer(value, key)
    if isinstance(found, str):
        return found
    # Read once more after the conversation, where the ids of its calls go on from those before.
    whole = answers.conversation([*record[column], *(value if isinstance(value, list) else [value])], column)
    return whole[-len(found) :]


def _write(example: Example) -> dict[str, Any]:
    found = preferred(example, "sharegpt-preference")
    said, chosen = _written(found, found.chosen, "chosen")
    _, rejected = _written(found, found.rejected, "rejected")
    body: dict[str, Any] = {"conversations": said["conversations"], "chosen": chosen, "rejected": rejected}
    body |= {"tools": said["tools"]} if "tools" in said else {}
    return fields.with_meta(body, found, ("system", "tools", "prompt"))


def _written(found: PreferenceExample, answer: Answer, field: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The conversation as a ShareGPT row, and its answer as a turn."""
    turns = answers.turns(answer)
    if len(turns) != 1 or turns[0].role != "assistant":
        raise DataError(
            "the answer is more than one turn of the assistant",
            field=field,
            hint='write shape="preference", which holds several turns',
        )
    said = SHAREGPT.write(ChatExample(messages=found.messages + turns, tools=found.tools))
    turn: dict[str, Any] = said["conversations"].pop()
    return said, turn


SHAREGPT_PREFERENCE = Shape(
    name="sharegpt-preference",
    says="preferences: ShareGPT conversations with a chosen and a rejected turn",
    kinds=KINDS,
    recognises=_recognises,
    read=_read,
    write=_write,
)
