"""OpenAI's chat rows before `tools`: `functions`, `function_call`, the role "function". Knows no other shape.

The contract is OpenAI's API description, where these fields are marked as deprecated. A turn makes one call, and calls
have no ids; see `links` for the ids that they get.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.data import messages, tool_calls
from tunekit.data.shapes import fields, links, turns
from tunekit.data.shapes.base import Shape
from tunekit.data.shapes.dialects import dialect
from tunekit.errors import DataError
from tunekit.examples import ChatExample, Example, Message, message_to_dict

NAME = "openai-functions"
_USED = frozenset({"messages", "functions"})


def _recognises(record: Mapping[str, Any]) -> bool:
    return dialect(record) == NAME


def _read(record: Mapping[str, Any], id: str) -> ChatExample:
    found = messages.conversation(record.get("messages"), read=_message)
    functions = tool_calls.tools(record.get("functions"), "functions")
    tools = tool_calls.from_functions(functions)
    return turns.chat(record, id, links.linked(found), tools, used=_USED)


def _message(value: Any, field: str) -> Message:
    if not isinstance(value, dict) or ("function_call" not in value and value.get("role") != "function"):
        return messages.message(value, field)
    rest = {key: said for key, said in value.items() if key != "function_call"}
    if rest.get("role") == "function":
        rest["role"] = "tool"
        if rest.get("content") is None:
            rest["content"] = ""  # the API description allows null for a function that returns nothing
    call = value.get("function_call")
    if not call:
        return messages.message(rest, field)
    if rest.get("tool_calls"):
        hint = "write all calls of the row in one of the two forms"
        raise DataError("a turn has both function_call and tool_calls", field=field, hint=hint)
    made = tool_calls.function_call(call, f"{field}.function_call", id="")
    rest["tool_calls"] = [{"function": {"name": made.name, "arguments": made.arguments}}]
    return messages.message(rest, field)


def _write(example: Example) -> dict[str, Any]:
    chat = turns.chat_of(example, NAME)
    bare = links.unlinked(chat.messages, NAME, names=True)
    body: dict[str, Any] = {
        "messages": [_turn(turn, f"messages[{index}]") for index, turn in enumerate(bare)]
    }
    if chat.tools:
        body["functions"] = [dict(each) for each in _functions(chat.tools)]
    return fields.with_meta(body, chat, _USED)


def _functions(tools: tool_calls.Tools) -> list[Mapping[str, Any]]:
    for index, tool in enumerate(tools):
        if tool_calls.function_of(tool) is None:
            raise turns.cannot_hold("a tool that is no function", f"tools[{index}]", NAME)
    return tool_calls.to_functions(tools)


def _turn(turn: Message, field: str) -> dict[str, Any]:
    if len(turn.tool_calls) > 1:
        raise turns.cannot_hold("two calls in one turn", f"{field}.tool_calls", NAME)
    body = message_to_dict(turn)
    if turn.role == "tool":
        if turn.name is None:
            raise turns.cannot_hold("a tool turn without the name of its function", f"{field}.name", NAME)
        body["role"] = "function"
    if turn.tool_calls:
        [call] = body.pop("tool_calls")
        body["function_call"] = call["function"]
        if turn.content is None:
            del body["content"]
    return body


OPENAI_FUNCTIONS = Shape(
    name=NAME,
    says="OpenAI chat with the former functions and function_call",
    kinds=turns.KINDS,
    recognises=_recognises,
    read=_read,
    write=_write,
)
