"""ShareGPT rows: `conversations` of `{"from", "value"}`, with `system` and `tools` beside them. Knows no other shape.

There is no contract but what loaders read: LLaMA-Factory's `SharegptDatasetConverter` (roles human, gpt, system,
function_call, observation; `tools` as a JSON text of functions; a call as a JSON text, several as a list of them),
axolotl's and FastChat's names for the roles, and the keys `role` and `content` in place of `from` and `value`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.data import messages, tool_calls
from tunekit.data.json_text import parsed, written
from tunekit.data.shapes import fields, links, turns
from tunekit.data.shapes.base import Shape
from tunekit.data.shapes.dialects import dialect
from tunekit.data.wording import brief, listed, shown
from tunekit.errors import DataError
from tunekit.examples import ChatExample, Example, Message, ToolCall

NAME = "sharegpt"
_COLUMNS = ("conversations", "conversation", "messages")
_USED = frozenset({"conversations", "system", "tools"})
_SPEAKERS: Mapping[str, str] = {
    **dict.fromkeys(("human", "user", "prompter"), "user"),
    **dict.fromkeys(("gpt", "assistant", "chatgpt", "bing", "bard", "model", "bot"), "assistant"),
    "system": "system",
    **dict.fromkeys(("observation", "tool", "function_response", "tool_response"), "tool"),
}
_CALLING = frozenset({"function_call", "tool_call", "function-call"})
_WRITTEN = {"user": "human", "assistant": "gpt", "system": "system", "tool": "observation"}
_CALL = 'a call is {"name": "...", "arguments": {...}} as a JSON text, or a list of such objects'


def _recognises(record: Mapping[str, Any]) -> bool:
    return dialect(record) == NAME


def _read(record: Mapping[str, Any], id: str) -> ChatExample:
    column = next((name for name in _COLUMNS if name in record), _COLUMNS[0])
    found = conversation(record.get(column), column)
    found = turns.with_system(found, fields.optional_text(record, "system"))
    tools = tool_calls.from_functions(tool_calls.tools(record.get("tools")))
    return turns.chat(record, id, found, tools, used=_USED | {column}, field=column)


def conversation(value: Any, field: str) -> tuple[Message, ...]:
    """The turns of a list of `{"from", "value"}`; turns in OpenAI's form among them are read too."""
    return links.linked(messages.conversation(value, field, read=_turn))


def _turn(value: Any, field: str) -> Message:
    if not isinstance(value, dict):
        raise DataError(
            f"expected a turn, found {shown(value)}",
            field=field,
            hint='a turn is {"from": "human", "value": "..."}',
        )
    key = "from" if "from" in value else "role"
    speaker = _speaker(value, key, field)
    if speaker in _CALLING:
        said = "value" if "value" in value else "content"
        turns.only(value, (key, said, *messages.WEIGHTS), field, "a turn")
        weights = {name: each for name, each in value.items() if name in messages.WEIGHTS}
        weighed = messages.message({"role": "assistant", "content": "", **weights}, field)
        return weighed.replace(content=None, tool_calls=_calls(value.get(said), f"{field}.{said}"))
    plain = {"content" if name == "value" else name: each for name, each in value.items() if name != key}
    return messages.message({"role": _SPEAKERS[speaker], **plain}, field)


def _speaker(value: dict[str, Any], key: str, field: str) -> str:
    said = value.get(key)
    speaker = said.strip().casefold() if isinstance(said, str) else ""
    if speaker in _SPEAKERS or speaker in _CALLING:
        return speaker
    hint = f"speakers are {listed([*_WRITTEN.values(), 'function_call'])}"
    if key not in value:
        raise DataError("a turn does not say who speaks", field=field, hint=hint)
    raise DataError(f"unknown speaker {brief(said)}", field=f"{field}.{key}", hint=hint)


def _calls(value: Any, field: str) -> tuple[ToolCall, ...]:
    made = parsed(value, field) if isinstance(value, str) else value
    several = made if isinstance(made, list) else [made]
    if not several or not all(isinstance(call, dict) for call in several):
        raise DataError(f"expected a call, found {shown(made)}", field=field, hint=_CALL)
    return tuple(tool_calls.function_call(call, field, id="") for call in several)


# --- out ----------------------------------------------------------------------------------------------


def _write(example: Example) -> dict[str, Any]:
    chat = turns.chat_of(example, NAME)
    bare = links.unlinked(chat.messages, NAME, names=False)
    said = [_written(turn, f"messages[{index}]") for index, turn in enumerate(bare)]
    body: dict[str, Any] = {"conversations": said}
    if chat.tools:
        body["tools"] = written(tool_calls.to_functions(chat.tools), "tools")
    return fields.with_meta(body, chat, _USED)


def _written(turn: Message, field: str) -> dict[str, Any]:
    turns.refuse(turn, field, NAME, "name", "parts", "reasoning")
    speaker = _WRITTEN.get(turn.role)
    if speaker is None:
        raise turns.cannot_hold(f"the role {turn.role!r}", f"{field}.role", NAME)
    if turn.tool_calls:
        if turn.role != "assistant" or turn.content:
            raise turns.cannot_hold("a call and a text in one turn", f"{field}.content", NAME)
        made = [
            {"name": call.name, "arguments": tool_calls.arguments_of(call, f"{field}.tool_calls[{index}]")}
            for index, call in enumerate(turn.tool_calls)
        ]
        said = written(made[0] if len(made) == 1 else made, field)
        body = {"from": "function_call", "value": said}
    else:
        if turn.content is None:
            raise turns.cannot_hold("a turn that says nothing", f"{field}.content", NAME)
        body = {"from": speaker, "value": turn.content}
    return body if turn.weight == 1.0 else {**body, "weight": turn.weight}


SHAREGPT = Shape(
    name=NAME,
    says="ShareGPT conversations",
    kinds=turns.KINDS,
    recognises=_recognises,
    read=_read,
    write=_write,
)
