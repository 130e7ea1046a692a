"""A prompt and its completion, each a text or a list of messages as TRL has them. Knows no other names for the two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.data import messages
from tunekit.data.shapes import answers, fields
from tunekit.data.shapes.base import Shape
from tunekit.errors import DataError
from tunekit.examples import ChatExample, CompletionExample, Example, Message, message_to_dict

_KINDS = frozenset({"completion", "chat"})
_NAMES = ("prompt", "completion")


def _keys(record: Mapping[str, Any]) -> tuple[str, str]:
    """The two keys as they are written here: in any case, with stray spaces, as tables from people have them."""
    if "prompt" in record and "completion" in record:
        return _NAMES
    folded = {str(key).strip().casefold(): key for key in record}
    prompt, completion = ((name if name in record else folded.get(name, name)) for name in _NAMES)
    return prompt, completion


def _recognises(record: Mapping[str, Any]) -> bool:
    return all(
        isinstance(record[key], list)
        or fields.missing(record[key])
        or fields.spelled(record[key]) is not None
        if key in record
        else False
        for key in _keys(record)
    )


def _read(record: Mapping[str, Any], id: str) -> Example:
    prompt, completion = _keys(record)
    if isinstance(record.get(prompt), list) or isinstance(record.get(completion), list):
        return _chat(record, prompt, completion, id)
    return CompletionExample(
        prompt=fields.text(record, prompt),
        completion=fields.target(record, completion),
        id=id,
        meta=fields.rest(record, (prompt, completion)),
    )


def _chat(record: Mapping[str, Any], prompt: str, completion: str, id: str) -> ChatExample:
    before = answers.prompt(record[prompt], prompt) if record.get(prompt) else ()
    after = answers.turns(answers.answered(record.get(completion), completion))
    # TRL learns the completion alone; a turn of the assistant in the prompt is only read.
    read = tuple(turn.replace(weight=0.0) if turn.role == "assistant" else turn for turn in before)
    meta = fields.rest(record, (prompt, completion, "tools"))
    return ChatExample(messages=read + after, tools=messages.tools(record.get("tools")), id=id, meta=meta)


def _write(example: Example) -> dict[str, Any]:
    if isinstance(example, CompletionExample):
        return fields.with_meta({"prompt": example.prompt, "completion": example.completion}, example)
    if not isinstance(example, ChatExample):
        raise fields.refused(example, "prompt-completion", _KINDS)
    before, after = _parted(example.messages)
    body: dict[str, Any] = {
        "prompt": [message_to_dict(turn) for turn in before],
        "completion": [message_to_dict(turn) for turn in after],
    }
    if example.tools:
        body["tools"] = [dict(tool) for tool in example.tools]
    return fields.with_meta(body, example, ["tools"])


def _parted(turns: tuple[Message, ...]) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    """What is only read, and all from the first turn that is learned."""
    learned = [index for index, turn in enumerate(turns) if turn.role == "assistant" and turn.weight != 0]
    if not learned:
        raise DataError(
            "no turn is learned", field="messages", hint="leave such rows out, or give a turn weight 1"
        )
    first = learned[0]
    # Without its zero, which the place says: TRL knows no weights.
    before = tuple(turn.replace(weight=1.0) if turn.role == "assistant" else turn for turn in turns[:first])
    return before, turns[first:]


PROMPT_COMPLETION = Shape(
    name="prompt-completion",
    says="prompts and completions",
    kinds=_KINDS,
    recognises=_recognises,
    read=_read,
    write=_write,
)
