"""LLaMA-Factory's v1 rows: content in parts of `{"type", "value"}`, `loss_weight` on every turn. Knows no other shape.

The contract is LLaMA-Factory's `v1/utils/types.py` and what its renderer reads (`v1/core/rendering/format.py`): parts
are text, reasoning, tool_call (a JSON text of name and arguments), image_url, video_url and audio_url; `tools` is a
JSON text; a turn without `loss_weight` has 1.0 if it is the assistant's, and nobody else's turn is learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.data import messages, tool_calls
from tunekit.data.json_text import parsed, written
from tunekit.data.shapes import fields, links, turns
from tunekit.data.shapes.base import Shape
from tunekit.data.shapes.dialects import dialect
from tunekit.data.wording import brief, listed
from tunekit.errors import DataError
from tunekit.examples import ChatExample, Example, Message, ToolCall, text_of

NAME = "typed-parts"
_USED = frozenset({"messages", "tools"})
_MEDIA = ("image_url", "video_url", "audio_url")
_KEYS = ("role", "content", *messages.WEIGHTS)
_TYPES = ("text", "reasoning", "tool_call", *_MEDIA)


def _recognises(record: Mapping[str, Any]) -> bool:
    return dialect(record) == NAME


def _read(record: Mapping[str, Any], id: str) -> ChatExample:
    found = conversation(record.get("messages"), "messages")
    return turns.chat(record, id, found, tool_calls.tools(record.get("tools")), used=_USED)


def conversation(value: Any, field: str) -> tuple[Message, ...]:
    """The turns of a list of messages with such parts; plain messages among them are read too."""
    return links.linked(messages.conversation(value, field, read=_turn))


def _turn(value: Any, field: str) -> Message:
    content = value.get("content") if isinstance(value, dict) else None
    if not isinstance(content, list) or not content:
        return messages.message(value, field)
    turns.only(value, _KEYS, field, "a message")
    parts = [_part(part, f"{field}.content[{index}]") for index, part in enumerate(content)]
    said = tuple(_shown(kind, given) for kind, given, _ in parts if kind == "text" or kind in _MEDIA)
    thought = [given for kind, given, _ in parts if kind == "reasoning"]
    calls = [_call(given, where) for kind, given, where in parts if kind == "tool_call"]
    turn = messages.message({**value, "content": ""}, field)
    if turn.role != "assistant" and len(said) < len(parts):
        hint = "only the assistant's turns have parts of type 'reasoning' and 'tool_call'"
        raise DataError(
            f"a turn of {turn.role!r} thinks or makes a call", field=f"{field}.content", hint=hint
        )
    return turn.replace(
        content=text_of(said) if said else None,
        parts=() if len(said) == 1 and said[0]["type"] == "text" else said,
        reasoning="".join(thought) if thought else None,
        tool_calls=tuple(calls),
    )


def _part(value: Any, field: str) -> tuple[str, str, str]:
    """Type and value of a part, and the field of the value."""
    part = turns.only(value, ("type", "value"), field, "a part")
    kind = part.get("type")
    if kind not in _TYPES:
        raise DataError(
            f"unknown part {brief(kind)}", field=f"{field}.type", hint=f"types are {listed(_TYPES)}"
        )
    return str(kind), turns.text(part, "value", field), f"{field}.value"


def _shown(kind: str, given: str) -> Mapping[str, Any]:
    return {"type": kind, kind: given if kind == "text" else {"url": given}}


def _call(given: str, field: str) -> ToolCall:
    return tool_calls.function_call(parsed(given, field), field, id="")


# --- out ----------------------------------------------------------------------------------------------


def _write(example: Example) -> dict[str, Any]:
    chat = turns.chat_of(example, NAME)
    bare = links.unlinked(chat.messages, NAME, names=False)
    said = [_written(turn, f"messages[{index}]") for index, turn in enumerate(bare)]
    body: dict[str, Any] = {"messages": said}
    if chat.tools:
        body["tools"] = written(list(chat.tools), "tools")
    return fields.with_meta(body, chat, _USED)


def _written(turn: Message, field: str) -> dict[str, Any]:
    turns.refuse(turn, field, NAME, "name", *(() if turn.role == "assistant" else ("weight",)))
    content = [] if turn.reasoning is None else [{"type": "reasoning", "value": turn.reasoning}]
    if turn.parts:
        content += [_written_part(part, f"{field}.content[{index}]") for index, part in enumerate(turn.parts)]
    elif turn.content is not None:
        content.append({"type": "text", "value": turn.content})
    for index, call in enumerate(turn.tool_calls):
        arguments = tool_calls.arguments_of(call, f"{field}.tool_calls[{index}]")
        content.append(
            {"type": "tool_call", "value": written({"name": call.name, "arguments": arguments}, field)}
        )
    weight = turn.weight if turn.role == "assistant" else 0.0
    return {"role": turn.role, "content": content, "loss_weight": weight}


def _written_part(part: Mapping[str, Any], field: str) -> dict[str, str]:
    kind = str(part.get("type"))
    given = part.get("text") if kind == "text" else turns.address(part)
    if not isinstance(given, str) or part != _shown(kind, given):
        raise turns.cannot_hold(f"a part of type {kind!r} with all that it says", field, NAME)
    return {"type": kind, "value": given}


TYPED_PARTS = Shape(
    name=NAME,
    says="LLaMA-Factory's messages in typed parts",
    kinds=turns.KINDS,
    recognises=_recognises,
    read=_read,
    write=_write,
)
