"""A better and a worse answer, in the shapes of OpenAI, TRL, LLaMA-Factory and many single files. Knows no verdicts.

TRL's explicit form (`prompt`, `chosen`, `rejected` as messages) is the one that is written unless another is asked for.
Its reader takes every other name and spelling that is not a shape of its own. Scores and the like go to `meta`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.data import messages
from tunekit.data.shapes import answers, fields, prompts, transcripts
from tunekit.data.shapes.answers import Answer, Turns
from tunekit.data.shapes.base import Shape
from tunekit.data.wording import brief, listed
from tunekit.errors import DataError
from tunekit.examples import Example, PreferenceExample, message_to_dict

KINDS = frozenset({"preference"})
# TRL and most others; sentence-transformers and retrieval sets; LLaMA-Factory's v1.
_PAIRS = (("chosen", "rejected"), ("pos", "neg"), ("positive", "negative"))
_INPUT = ("messages", "tools", "parallel_tool_calls")


def preferred(example: Example, shape: str) -> PreferenceExample:
    """The example, if it is a preference.

    Raises:
        DataError: It is of another kind.
    """
    if isinstance(example, PreferenceExample):
        return example
    raise fields.refused(example, shape, KINDS)


# --- one prompt and two answers -----------------------------------------------------------------------


def _pair(record: Mapping[str, Any]) -> tuple[str, str] | None:
    for pair in _PAIRS:
        if all(isinstance(record.get(key), (str, list, dict)) for key in pair):
            return pair
    return None


def _recognises(record: Mapping[str, Any]) -> bool:
    pair = _pair(record)
    return pair is not None and (pair[0] == "chosen" or prompts.has(record))


def _read(record: Mapping[str, Any], id: str) -> Example:
    keys = _pair(record) or _PAIRS[0]
    chosen, rejected = (_answer(record, key) for key in keys)
    key = prompts.key_of(record)
    if key is None:
        used = prompts.empty_prompt(record)
        turns, chosen, rejected = _implicit(chosen, rejected, keys[0])
    else:
        turns, used = prompts.read(record, key)
        if _is_whole(chosen) or _is_whole(rejected):
            turns, chosen, rejected = _with_prompt(turns, chosen, rejected, keys[0])
    return PreferenceExample(
        messages=turns,
        chosen=answers.checked(chosen, keys[0]),
        rejected=rejected,
        tools=messages.tools(record.get("tools")),
        id=id,
        meta=fields.rest(record, {*keys, *used, "tools"}),
    )


def _answer(record: Mapping[str, Any], key: str) -> Answer:
    if key not in record:
        raise DataError(
            f"no key {key!r}; the keys are {listed(map(str, record)) or 'none'}",
            hint='a preference is {"prompt": ..., "chosen": ..., "rejected": ...}',
        )
    value = record[key]
    if fields.missing(value):
        raise fields.blank(key)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        if len(value) != 1:
            raise DataError(
                f"{len(value)} answers stand in one list", field=key, hint="write one row for each pair"
            )
        value = value[0]
    # A transcript is a whole conversation, as in Anthropic's HH data.
    said = transcripts.parsed(value) if isinstance(value, str) else None
    return said or answers.answer(value, key)


def _is_whole(answer: Answer) -> bool:
    return not isinstance(answer, str) and answer[0].role not in ("assistant", "tool")


def _implicit(chosen: Answer, rejected: Answer, key: str) -> tuple[Turns, Answer, Answer]:
    """Both answers are whole conversations; their common beginning is the prompt."""
    if isinstance(chosen, str) or isinstance(rejected, str):
        raise DataError(
            "the row has two answers and no prompt",
            field=key,
            hint='add the prompt under "prompt", or write conversations from "\\n\\nHuman:" on',
        )
    return answers.parted(chosen, rejected, key)


def _with_prompt(turns: Turns, chosen: Answer, rejected: Answer, key: str) -> tuple[Turns, Answer, Answer]:
    """Whole conversations beside their prompt (UltraFeedback): the prompt must be the one that they begin with."""
    before, better, worse = _implicit(chosen, rejected, key)
    if turns[-1] not in before and turns != answers.turns(chosen):
        raise DataError(
            f"the prompt {brief(turns[-1].content)} is not in the two conversations",
            field=key,
            hint="leave the prompt out, or keep only the answers in the two lists",
        )
    return before, better, worse


def _write(example: Example) -> dict[str, Any]:
    found = preferred(example, "preference")
    if not found.messages or _is_whole(found.chosen) or _is_whole(found.rejected):
        raise DataError(
            "an answer begins with a turn that is not the assistant's, or there is no prompt",
            field="chosen",
            hint='write shape="tunekit", which keeps the turns as they are',
        )
    body: dict[str, Any] = {
        "prompt": [message_to_dict(turn) for turn in found.messages],
        "chosen": answers.written(found.chosen),
        "rejected": answers.written(found.rejected),
    }
    return fields.with_meta(body | with_tools(found.tools), found, prompts.RESERVED)


def with_tools(tools: tuple[Mapping[str, Any], ...]) -> dict[str, Any]:
    """The key with the tools, where there are any."""
    return {"tools": [dict(tool) for tool in tools]} if tools else {}


# --- OpenAI -------------------------------------------------------------------------------------------


def _recognises_openai(record: Mapping[str, Any]) -> bool:
    return "preferred_output" in record and "non_preferred_output" in record


def _read_openai(record: Mapping[str, Any], id: str) -> Example:
    given = fields.mapping(record.get("input"), "input")
    strange = next((key for key in given if key not in _INPUT), None)
    if strange is not None:
        raise DataError(
            f"unknown key {brief(strange)} in 'input'",
            field=f"input.{brief(strange, quote=False)}",
            hint=f"OpenAI reads {listed(_INPUT)} there; other columns stand beside it",
        )
    meta = fields.rest(record, ("input", "preferred_output", "non_preferred_output"))
    if "parallel_tool_calls" in given:
        meta["parallel_tool_calls"] = given["parallel_tool_calls"]
    return PreferenceExample(
        messages=answers.conversation(given.get("messages"), "input.messages"),
        chosen=answers.answered(record.get("preferred_output"), "preferred_output"),
        rejected=answers.answer(record.get("non_preferred_output"), "non_preferred_output"),
        tools=messages.tools(given.get("tools"), "input.tools"),
        id=id,
        meta=meta,
    )


def _write_openai(example: Example) -> dict[str, Any]:
    found = preferred(example, "openai-preference")
    body: dict[str, Any] = {
        "input": {"messages": [message_to_dict(turn) for turn in found.messages]} | with_tools(found.tools),
        "preferred_output": answers.written(found.chosen),
        "non_preferred_output": answers.written(found.rejected),
    }
    if "parallel_tool_calls" in found.meta:
        body["input"]["parallel_tool_calls"] = found.meta["parallel_tool_calls"]
    columns = found.replace(meta=fields.rest(found.meta, ("parallel_tool_calls",)))
    return fields.with_meta(body, columns)


PREFERENCE = Shape(
    name="preference",
    says="preferences: prompts with a chosen and a rejected answer",
    kinds=KINDS,
    recognises=_recognises,
    read=_read,
    write=_write,
)
OPENAI_PREFERENCE = Shape(
    name="openai-preference",
    says="OpenAI preferences",
    kinds=KINDS,
    recognises=_recognises_openai,
    read=_read_openai,
    write=_write_openai,
)
