"""Bedrock's Converse rows: `schemaVersion`, `system`, `messages` of blocks, `toolConfig`. Knows no other shape.

The contract is botocore's description of bedrock-runtime (1.44, `Message` and what it reaches) and the Nova user guide
for the version. A block is an object with one key. Cache points and the signatures of thoughts are not kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tunekit.data import tool_calls
from tunekit.data.json_text import written
from tunekit.data.shapes import blocks, fields, links, turns
from tunekit.data.shapes.base import Shape
from tunekit.data.shapes.blocks import Block
from tunekit.data.shapes.dialects import dialect
from tunekit.data.wording import brief, listed, shown
from tunekit.errors import DataError
from tunekit.examples import ChatExample, Example, Message, Role, ToolCall

NAME = "converse"
VERSION = "bedrock-conversation-2024"
_USED = frozenset({"schemaVersion", "system", "messages", "toolConfig"})
_BLOCKS = ("text", "image", "video", "reasoningContent", "toolUse", "toolResult")
_TOOLS = 'write {"tools": [{"toolSpec": {"name": "...", "inputSchema": {"json": {...}}}}]}'


def _recognises(record: Mapping[str, Any]) -> bool:
    return dialect(record) == NAME


def _read(record: Mapping[str, Any], id: str) -> ChatExample:
    version = record.get("schemaVersion", VERSION)
    if version != VERSION:
        hint = f"the version that is read is {VERSION!r}"
        raise DataError(f"unknown version {brief(version)}", field="schemaVersion", hint=hint)
    system = record.get("system")
    first = _messages("system", system, "system") if system else []
    found = blocks.conversation(record.get("messages"), "messages", _turns)
    tools = _tools(record.get("toolConfig"))
    return turns.chat(record, id, (*first, *found), tools, used=_USED)


def _turns(value: Any, field: str) -> list[Message]:
    return blocks.turn(value, field, _messages)


def _messages(role: Role, content: Any, field: str) -> list[Message]:
    if not isinstance(content, list):
        hint = f'a content is a list of blocks such as {{"text": "..."}}: {listed(_BLOCKS)}'
        raise DataError(f"expected a list of blocks, found {shown(content)}", field=field, hint=hint)
    found = (_block(block, f"{field}[{index}]") for index, block in enumerate(content))
    return blocks.messages_of(role, (block for block in found if block is not None), field)


def _block(value: Any, field: str) -> Block | None:
    match value:
        case {"text": str(said), **rest} if not rest:
            return Block("said", {"type": "text", "text": said})
        case {"image": {"format": str(form), "source": {"bytes": str(data), **more}, **rest}} if not (
            rest or more
        ):
            return Block("said", blocks.image(blocks.data_url(f"image/{form}", data)))
        case {"image": dict(held)}:
            return Block("said", {"type": "image", "image": held})
        case {"video": dict(held)}:
            return Block("said", {"type": "video", "video": held})
        case {"reasoningContent": {"reasoningText": {"text": str(thought)}}}:
            return Block("thought", thought)
        case {"toolUse": dict(held)}:
            return Block("call", _call(held, f"{field}.toolUse"))
        case {"toolResult": dict(held)}:
            return Block("result", _result(held, f"{field}.toolResult"))
        case {"cachePoint": _}:
            return None
        case _:
            kind = next(iter(value), None) if isinstance(value, dict) else value
            raise DataError(f"unknown block {brief(kind)}", field=field, hint=f"blocks are {listed(_BLOCKS)}")


def _call(value: dict[str, Any], field: str) -> ToolCall:
    turns.only(value, ("toolUseId", "name", "input"), field, "a call")
    if not isinstance(value.get("input"), dict):
        hint = "write the arguments as an object, {} where there are none"
        raise DataError(
            f"expected an object, found {shown(value.get('input'))}", field=f"{field}.input", hint=hint
        )
    arguments = written(value["input"], f"{field}.input")
    name = turns.text(value, "name", field)
    return ToolCall(id=turns.text(value, "toolUseId", field), name=name, arguments=arguments)


def _result(value: dict[str, Any], field: str) -> Message:
    turns.only(value, ("toolUseId", "content", "status"), field, "a result")
    if value.get("status") not in (None, "success"):
        hint = "a tool turn has no place for it; say it in the content"
        raise DataError(
            f"a result with the status {brief(value['status'])}", field=f"{field}.status", hint=hint
        )
    content = value.get("content")
    if isinstance(content, list):
        content = [_as_text(block, f"{field}.content[{index}]") for index, block in enumerate(content)]
    [result] = _messages("tool", content or [{"text": ""}], f"{field}.content")
    return result.replace(tool_call_id=turns.text(value, "toolUseId", field))


def _as_text(block: Any, field: str) -> Any:
    if isinstance(block, dict) and block.keys() == {"json"}:
        return {"text": written(block["json"], f"{field}.json")}
    return block


def _tools(value: Any) -> tuple[Mapping[str, Any], ...]:
    if not value:
        return ()
    config = turns.only(value, ("tools", "toolChoice"), "toolConfig", "a toolConfig")
    if config.get("toolChoice") not in (None, {}, {"auto": {}}):
        hint = "leave the choice to the model, or leave the key out"
        raise DataError("a choice of tool", field="toolConfig.toolChoice", hint=hint)
    tools = tool_calls.tools(config.get("tools"), "toolConfig.tools")
    read = (_tool(tool, f"toolConfig.tools[{index}]") for index, tool in enumerate(tools))
    return tuple(tool for tool in read if tool is not None)


def _tool(value: Mapping[str, Any], field: str) -> Mapping[str, Any] | None:
    match value:
        case {"toolSpec": {"name": str(), "inputSchema": {"json": dict(schema), **more}} as spec} if not more:
            function = {("parameters" if key == "inputSchema" else key): each for key, each in spec.items()}
            return {"type": "function", "function": {**function, "parameters": schema}}
        case {"cachePoint": _}:
            return None
        case _:
            raise DataError("expected a toolSpec with a name and an inputSchema", field=field, hint=_TOOLS)


# --- out ----------------------------------------------------------------------------------------------


def _write(example: Example) -> dict[str, Any]:
    chat = turns.chat_of(example, NAME)
    said, body = links.nameless(chat.messages), dict[str, Any](schemaVersion=VERSION)
    if said[0].role == "system":
        turns.refuse(said[0], "messages[0]", NAME, *_NOT_SPOKEN)
        body["system"] = _said(said[0], "messages[0]")
    start = len(body) - 1
    body["messages"] = [_written(group) for group in blocks.grouped(said[start:], start)]
    if chat.tools:
        tools = [_written_tool(tool, f"tools[{index}]") for index, tool in enumerate(chat.tools)]
        body["toolConfig"] = {"tools": tools}
    return fields.with_meta(body, chat, _USED)


_NOT_SPOKEN = ("name", "weight", "reasoning", "tool_calls", "tool_call_id")


def _written(group: list[tuple[str, Message]]) -> dict[str, Any]:
    [*_, (field, turn)] = group
    if turn.role == "tool":
        return {"role": "user", "content": [_written_result(result, at) for at, result in group]}
    if turn.role == "user":
        turns.refuse(turn, field, NAME, *_NOT_SPOKEN)
        return {"role": "user", "content": _said(turn, field)}
    if turn.role != "assistant":
        raise turns.cannot_hold(f"a turn of {turn.role!r} here", f"{field}.role", NAME)
    turns.refuse(turn, field, NAME, "name", "weight", "tool_call_id")
    return {"role": "assistant", "content": [*_thought(turn), *_said(turn, field), *_calls(turn, field)]}


def _thought(turn: Message) -> Iterator[dict[str, Any]]:
    if turn.reasoning is not None:
        yield {"reasoningContent": {"reasoningText": {"text": turn.reasoning}}}


def _calls(turn: Message, field: str) -> Iterator[dict[str, Any]]:
    for index, call in enumerate(turn.tool_calls):
        arguments = tool_calls.arguments_of(call, f"{field}.tool_calls[{index}]")
        yield {"toolUse": {"toolUseId": call.id, "name": call.name, "input": arguments}}


def _written_result(turn: Message, field: str) -> dict[str, Any]:
    turns.refuse(turn, field, NAME, "name", "weight", "reasoning", "tool_calls")
    if turn.tool_call_id is None:
        raise turns.cannot_hold("a result without the id of its call", f"{field}.tool_call_id", NAME)
    return {"toolResult": {"toolUseId": turn.tool_call_id, "content": _said(turn, field)}}


def _said(turn: Message, field: str) -> list[dict[str, Any]]:
    parts = blocks.parts_of(turn)
    if not parts and turn.role != "assistant":
        raise turns.cannot_hold("a turn that says nothing", f"{field}.content", NAME)
    return [_written_part(part, f"{field}.content[{index}]") for index, part in enumerate(parts)]


def _written_part(part: Mapping[str, Any], field: str) -> dict[str, Any]:
    found = blocks.from_data_url(blocks.image_url(part) or "")
    if found is not None and found[0].startswith("image/"):
        return {"image": {"format": found[0].removeprefix("image/"), "source": {"bytes": found[1]}}}
    match part:
        case {"type": "text", "text": str(said), **rest} if not rest:
            return {"text": said}
        case {"type": "image", "image": dict(held), **rest} if not rest:
            return {"image": held}
        case {"type": "video", "video": dict(held), **rest} if not rest:
            return {"video": held}
    raise turns.cannot_hold(f"a part of type {part.get('type')!r} with all that it says", field, NAME)


def _written_tool(tool: Mapping[str, Any], field: str) -> dict[str, Any]:
    function = turns.function_with_schema(tool, field, NAME)
    if "inputSchema" in function:
        raise turns.cannot_hold("the key 'inputSchema' of a function", f"{field}.function.inputSchema", NAME)
    spec = {("inputSchema" if key == "parameters" else key): each for key, each in function.items()}
    return {"toolSpec": {**spec, "inputSchema": {"json": function["parameters"]}}}


CONVERSE = Shape(
    name=NAME,
    says="Bedrock Converse messages",
    kinds=turns.KINDS,
    recognises=_recognises,
    read=_read,
    write=_write,
)
