"""Mistral's rows: OpenAI's chat under some other names. Knows no other shape.

The contract is mistral-finetune's reader (`finetune/data/tokenize.py`): `messages` or `interactions`, `content` or
`text`, `tools` or `available_tools`, never both of a pair; `system_prompt`; `only_last`, which leaves all answers but
the last out of the loss; ids of calls of nine letters and digits (mistral-common 1.13, `validator.py`), which are made
from other ids when a row is written. Thoughts stand in a first part of type "thinking".
"""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Mapping
from typing import Any

from tunekit.data import messages, tool_calls
from tunekit.data.shapes import fields, turns
from tunekit.data.shapes.base import Shape
from tunekit.data.shapes.dialects import dialect
from tunekit.data.wording import shown
from tunekit.errors import DataError
from tunekit.examples import ChatExample, Example, Message, message_to_dict

NAME = "mistral"
_PAIRS = (("messages", "interactions"), ("tools", "available_tools"))
_USED = frozenset({*(name for pair in _PAIRS for name in pair), "system_prompt", "only_last"})
_ID = re.compile(r"[a-zA-Z0-9]{9}")
_LETTERS = string.digits + string.ascii_letters


def _recognises(record: Mapping[str, Any]) -> bool:
    return dialect(record) == NAME


def _read(record: Mapping[str, Any], id: str) -> ChatExample:
    said, offered = (_one_of(pair, record, "") for pair in _PAIRS)
    found = messages.conversation(record.get(said), said, read=_turn)
    found = turns.with_system(found, fields.optional_text(record, "system_prompt"), "system_prompt")
    if record.get("only_last"):
        found = _only_last(found)
    return turns.chat(
        record, id, found, tool_calls.tools(record.get(offered), offered), used=_USED, field=said
    )


def _one_of(pair: tuple[str, str], record: Mapping[str, Any], field: str) -> str:
    given = [name for name in pair if record.get(name) is not None]
    if len(given) > 1:
        raise DataError(
            f"there are both {pair[0]!r} and {pair[1]!r}",
            field=f"{field}.{pair[1]}" if field else pair[1],
            hint="keep one of them",
        )
    return given[0] if given else pair[0]


def _turn(value: Any, field: str) -> Message:
    if not isinstance(value, dict):
        return messages.message(value, field)
    said = _one_of(("content", "text"), value, field)
    content, thoughts = _thoughts(value.get(said), f"{field}.{said}")
    rest = {key: each for key, each in value.items() if key not in ("content", "text")}
    if thoughts:
        rest["reasoning_content"] = "".join(thoughts)
    return messages.message({**rest, "content": content}, field)


def _thoughts(content: Any, field: str) -> tuple[Any, list[str]]:
    """The content without the thoughts it begins with, and those."""
    thoughts: list[str] = []
    while isinstance(content, list) and content and _is_thought(content[0]):
        held = content[0].get("thinking")
        for index, chunk in enumerate(held if isinstance(held, list) else [{"text": held}]):
            where = f"{field}[{len(thoughts)}].thinking" + (f"[{index}]" if isinstance(held, list) else "")
            if not isinstance(chunk, dict) or not isinstance(chunk.get("text"), str):
                hint = 'a thought is {"type": "thinking", "thinking": "..."}'
                raise DataError(f"expected text, found {shown(chunk)}", field=where, hint=hint)
            thoughts.append(chunk["text"])
        content = content[1:]
    if thoughts and isinstance(content, list) and len(content) == 1:
        match content[0]:
            case {"type": "text", "text": str(said), **rest} if not rest:
                return said, thoughts
    return content, thoughts


def _is_thought(chunk: Any) -> bool:
    return isinstance(chunk, dict) and chunk.get("type") == "thinking"


def _only_last(found: tuple[Message, ...]) -> tuple[Message, ...]:
    last = max((index for index, turn in enumerate(found) if turn.role == "assistant"), default=0)
    return tuple(
        turn.replace(weight=0.0) if turn.role == "assistant" and index < last else turn
        for index, turn in enumerate(found)
    )


# --- out ----------------------------------------------------------------------------------------------


def _write(example: Example) -> dict[str, Any]:
    chat = turns.chat_of(example, NAME)
    body: dict[str, Any] = {
        "messages": [_written(turn, f"messages[{index}]") for index, turn in enumerate(chat.messages)]
    }
    if chat.tools:
        body["tools"] = [dict(tool) for tool in chat.tools]
    return fields.with_meta(body, chat, _USED)


def _written(turn: Message, field: str) -> dict[str, Any]:
    if turn.role == "developer":
        raise turns.cannot_hold(f"the role {turn.role!r}", f"{field}.role", NAME)
    if turn.role != "tool":
        turns.refuse(turn, field, NAME, "name")
    body = message_to_dict(turn)
    thought = body.pop("reasoning_content", None)
    if thought is not None:
        said = turn.parts or ([] if turn.content is None else [{"type": "text", "text": turn.content}])
        body["content"] = [{"type": "thinking", "thinking": thought}, *said]
    if body["content"] is None:
        del body["content"]
    for call in body.get("tool_calls", ()):
        call["id"] = _nine(call["id"])
    if turn.tool_call_id is not None:
        body["tool_call_id"] = _nine(turn.tool_call_id)
    return body


def _nine(id: str) -> str:
    """The id, or nine letters and digits that stand for it everywhere."""
    if _ID.fullmatch(id):
        return id
    number = int.from_bytes(
        hashlib.blake2b(id.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big"
    )
    found = ""
    for _ in range(9):
        number, at = divmod(number, len(_LETTERS))
        found += _LETTERS[at]
    return found


MISTRAL = Shape(
    name=NAME,
    says="Mistral messages",
    kinds=turns.KINDS,
    recognises=_recognises,
    read=_read,
    write=_write,
)
