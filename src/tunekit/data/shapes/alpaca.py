"""Stanford's Alpaca: instruction, input and output, with LLaMA-Factory's system and history and Dolly's other names.

Rows with the keys `system` or `history` are chats, whatever stands there; rows without are prompts and completions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.data.shapes import answers, fields, prompts
from tunekit.data.shapes.base import Shape
from tunekit.data.shapes.turns import with_system
from tunekit.errors import DataError
from tunekit.examples import ChatExample, CompletionExample, Example, Message

_KINDS = frozenset({"completion", "chat"})
_OUTPUTS = ("output", "response")
_CHAT = ("system", "history")
_READ = ("instruction", "input", "context", *_OUTPUTS)


def _output(record: Mapping[str, Any]) -> str:
    return next((key for key in _OUTPUTS if key in record), _OUTPUTS[0])


def _recognises(record: Mapping[str, Any]) -> bool:
    return isinstance(record.get("instruction"), str) and any(
        fields.missing(record[key]) or fields.spelled(record[key]) is not None
        for key in _OUTPUTS
        if key in record
    )


def _read(record: Mapping[str, Any], id: str) -> Example:
    output = _output(record)
    prompt, given = prompts.instruction(record)
    answer = fields.target(record, output)
    # The input is kept, so that the two can be told apart again.
    meta = {"input": given} if given else {}
    if not any(key in record for key in _CHAT):
        meta |= fields.rest(record, _READ)
        return CompletionExample(prompt=prompt, completion=answer, id=id, meta=meta)
    rounds = prompts.history(record.get("history"))
    user = Message(role="user", content=prompt)
    turns = with_system((*rounds, user), fields.optional_text(record, "system"))
    meta |= fields.rest(record, (*_READ, *_CHAT))
    return ChatExample(messages=(*turns, *answers.turns(answer)), id=id, meta=meta)


def _write(example: Example) -> dict[str, Any]:
    if isinstance(example, CompletionExample):
        prompt, answer, chat = example.prompt, example.completion, dict[str, Any]()
    elif isinstance(example, ChatExample):
        prompt, answer, chat = _of_chat(example)
    else:
        raise fields.refused(example, "alpaca", _KINDS)
    instruction, given = prompts.without_input(prompt, example.meta.get("input"))
    columns = example.replace(meta=fields.rest(example.meta, {"input"}))
    body = {"instruction": instruction, "input": given, "output": answer, **chat}
    return fields.with_meta(body, columns, _READ if chat else (*_READ, *_CHAT))


def _of_chat(example: ChatExample) -> tuple[str, str, dict[str, Any]]:
    turns = example.messages
    system = turns[0].content or "" if turns[0].role == "system" else ""
    rounds = turns[1:] if turns[0].role == "system" else turns
    if example.tools or not _plain(turns):
        raise _cannot("its turns have more than texts, or it has tools")
    if turns[0].role == "system" and not system.strip():
        raise _cannot("its system turn is empty")
    if [turn.role for turn in rounds] != ["user", "assistant"] * (len(rounds) // 2) or not rounds:
        raise _cannot("user and assistant do not take turns in it")
    said = [turn.content or "" for turn in rounds]
    history = [list(pair) for pair in zip(said[:-2:2], said[1:-2:2], strict=True)]
    return said[-2], said[-1], {"system": system, "history": history}


def _plain(turns: tuple[Message, ...]) -> bool:
    return all(
        turn.content is not None and turn == Message(role=turn.role, content=turn.content) for turn in turns
    )


def _cannot(why: str) -> DataError:
    return DataError(
        f"alpaca cannot hold this chat: {why}", field="messages", hint='write shape="openai", which holds any'
    )


ALPACA = Shape(
    name="alpaca",
    says="Alpaca instructions",
    kinds=_KINDS,
    recognises=_recognises,
    read=_read,
    write=_write,
)
