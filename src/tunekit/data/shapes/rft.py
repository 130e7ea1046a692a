"""Prompts to be graded: a conversation that ends with the user, and what graders compare answers with. Knows no grader.

OpenAI's rows for reinforcement fine-tuning: every key beside `messages` and `tools` is a variable of the grader, and so
part of the reference. A key `meta` holds what is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.data import messages
from tunekit.data.shapes import answers, fields, prompts
from tunekit.data.shapes.answers import Turns
from tunekit.data.shapes.base import Shape
from tunekit.data.shapes.dialects import REFERENCES
from tunekit.data.shapes.preference import with_tools
from tunekit.data.wording import brief
from tunekit.errors import DataError
from tunekit.examples import Example, PromptExample, message_to_dict

_KINDS = frozenset({"prompt"})
_OWN = ("messages", "tools", "meta")
_ANSWERED = frozenset({"completion", "output", "response", "chosen", "rejected"})
_NOTHING = frozenset({"tools", "parallel_tool_calls"})
_VERDICTS = frozenset({"label", "labels", "kto_tag"})
SOLUTIONS = ("solution", "ground_truth", "reference_answer")
"""What data sets for TRL's GRPO have beside a prompt in plain text, for their rewards to compare answers with."""


def _recognises(record: Mapping[str, Any]) -> bool:
    if isinstance(record.get("messages"), list):
        return _is_open(record["messages"]) and _is_graded(record)
    if _ANSWERED & record.keys():
        return False
    prompt = record.get("prompt")
    return _is_open(prompt) or (isinstance(prompt, str) and (len(record) == 1 or _is_solved(record)))


def _is_solved(record: Mapping[str, Any]) -> bool:
    has_solution = any(fields.spelled(record.get(key)) for key in SOLUTIONS)
    return has_solution and not (_VERDICTS | {"answer"}) & record.keys()


def _is_open(turns: Any) -> bool:
    return isinstance(turns, list) and bool(turns) and _role(turns[-1]) == "user"


def _is_graded(record: Mapping[str, Any]) -> bool:
    if REFERENCES & record.keys():
        return True
    asked_only = not any(_role(turn) == "assistant" for turn in record["messages"])
    return asked_only and bool(record.keys() - _NOTHING - {"messages"})


def _role(turn: Any) -> Any:
    return turn.get("role") if isinstance(turn, dict) else None


def _read(record: Mapping[str, Any], id: str) -> Example:
    key = "messages" if "messages" in record else prompts.key_of(record) or "messages"
    if key == "messages":
        turns, used = answers.conversation(record.get(key), key), tuple[str, ...]()
    else:
        turns, used = prompts.read(record, key)
    return PromptExample(
        messages=asked(turns, key),
        reference=fields.rest(record, {key, *used, *_OWN}),
        tools=messages.tools(record.get("tools")),
        id=id,
        meta=fields.mapping(record.get("meta", {}), "meta"),
    )


def asked(turns: Turns, field: str) -> Turns:
    """The turns of a prompt.

    Raises:
        DataError: The assistant has answered already.
    """
    if turns and turns[-1].role != "assistant":
        return turns
    raise DataError(
        "the conversation ends with the assistant, and the model is to answer it",
        field=field,
        hint="leave the last answer out, or put it under a key of its own as the reference",
    )


def _write(example: Example) -> dict[str, Any]:
    if not isinstance(example, PromptExample):
        raise fields.refused(example, "rft", _KINDS)
    asked(example.messages, "messages")
    for key in _OWN:
        if key in example.reference:
            raise DataError(
                f"the reference has the key {brief(key)}, which is taken in this shape",
                field=f"reference.{key}",
                hint='rename it, or write shape="tunekit"',
            )
    body: dict[str, Any] = {"messages": [message_to_dict(turn) for turn in example.messages]}
    body |= with_tools(example.tools)
    record = body | dict(example.reference)
    _refuse_other_shape(body, record)
    return record | {"meta": dict(example.meta)} if example.meta else record


def _refuse_other_shape(body: dict[str, Any], record: dict[str, Any]) -> None:
    # It knows all shapes, and so comes after this module. Without a reference the turns alone look like a chat.
    from tunekit.data.shapes.catalogue import recognised

    known = (RFT, recognised(body), None)
    if recognised(record) in known:
        return
    key = next((key for key in record if recognised({**body, key: record[key]}) not in known), "")
    raise DataError(
        f"the reference has the key {brief(key)}, which makes a row of another shape",
        field=f"reference.{key}",
        hint='rename it, or write shape="tunekit"',
    )


RFT = Shape(
    name="rft",
    says="prompts with references for graders",
    kinds=_KINDS,
    recognises=_recognises,
    read=_read,
    write=_write,
)
