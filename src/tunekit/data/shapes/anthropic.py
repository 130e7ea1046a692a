"""Anthropic's rows: a `system` prompt, `messages` of text or blocks, `tools` with an `input_schema`.

The contract is the anthropic package (2.12, `types/message_param.py` and what it reaches); fine-tuning on Bedrock
takes the same rows with plain texts. Blocks are text, image, thinking, tool_use and tool_result. Requests to cache and
the signatures of thoughts are not kept. Knows no other shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.data import tool_calls
from tunekit.data.json_text import written
from tunekit.data.shapes import blocks, fields, links, turns
from tunekit.data.shapes.base import Shape
from tunekit.data.shapes.blocks import Block
from tunekit.data.shapes.dialects import dialect
from tunekit.data.wording import brief, listed, shown
from tunekit.errors import DataError
from tunekit.examples import ChatExample, Example, Message, ToolCall

NAME = "anthropic"
_USED = frozenset({"system", "messages", "tools"})
_BLOCKS = ("text", "image", "thinking", "tool_use", "tool_result")
_SOURCE = 'a source is {"type": "base64", "media_type": "image/png", "data": "..."} or {"type": "url", "url": "..."}'
_NOT_KEPT = ("cache_control", "caller")  # about the API's own work, nothing to learn
_SYSTEM = 'write "system": "..." or "system": [{"type": "text", "text": "..."}]'


def _recognises(record: Mapping[str, Any]) -> bool:
    return dialect(record) == NAME


def _read(record: Mapping[str, Any], id: str) -> ChatExample:
    found = blocks.conversation(record.get("messages"), "messages", _turns)
    tools = tuple(
        _tool(tool, f"tools[{index}]") for index, tool in enumerate(tool_calls.tools(record.get("tools")))
    )
    return turns.chat(record, id, (*_system(record.get("system")), *found), tools, used=_USED)


def _system(value: Any) -> list[Message]:
    if not value:
        return []
    if not isinstance(value, (str, list)):
        raise DataError(f"expected text, found {shown(value)}", field="system", hint=_SYSTEM)
    return _messages("system", value, "system")


def _turns(value: Any, field: str) -> list[Message]:
    return blocks.turn(value, field, _messages)


def _messages(role: Any, content: Any, field: str) -> list[Message]:
    if isinstance(content, str):
        return [Message(role=role, content=content)]
    if not isinstance(content, list):
        hint = f"a content is a text or a list of blocks: {listed(_BLOCKS)}"
        raise DataError(f"expected text or blocks, found {shown(content)}", field=field, hint=hint)
    found = [_block(block, f"{field}[{index}]") for index, block in enumerate(content)]
    return blocks.messages_of(role, found, field)


def _block(value: Any, field: str) -> Block:
    kind = value.get("type") if isinstance(value, dict) else None
    match kind:
        case "text":
            turns.text(value, "text", field)
            return Block("said", _kept(value))
        case "image":
            return Block("said", blocks.image(_image(value, field)))
        case "thinking":
            return Block("thought", turns.text(value, "thinking", field))
        case "tool_use":
            return Block("call", _call(value, field))
        case "tool_result":
            return Block("result", _result(value, field))
        case _:
            hint = f"blocks are {listed(_BLOCKS)}"
            raise DataError(f"unknown block {brief(kind)}", field=f"{field}.type", hint=hint)


def _kept(block: Mapping[str, Any]) -> dict[str, Any]:
    return {key: each for key, each in block.items() if each is not None and key not in _NOT_KEPT}


def _image(value: Any, field: str) -> str:
    block = turns.only(value, ("type", "source", *_NOT_KEPT), field, "an image")
    source = block.get("source")
    match source:
        case {"type": "base64", "media_type": str(media_type), "data": str(data)}:
            return blocks.data_url(media_type, data)
        case {"type": "url", "url": str(url)}:
            return url
        case _:
            raise DataError(
                f"an image without a known source: {shown(source)}", field=f"{field}.source", hint=_SOURCE
            )


def _call(value: Any, field: str) -> ToolCall:
    block = turns.only(value, ("type", "id", "name", "input", *_NOT_KEPT), field, "a call")
    if not isinstance(block.get("input"), dict):
        raise DataError(
            f"expected an object, found {shown(block.get('input'))}",
            field=f"{field}.input",
            hint="write the arguments as an object, {} where there are none",
        )
    arguments = written(block["input"], f"{field}.input")
    return ToolCall(
        id=turns.text(block, "id", field), name=turns.text(block, "name", field), arguments=arguments
    )


def _result(value: Any, field: str) -> Message:
    block = turns.only(value, ("type", "tool_use_id", "content", "is_error", *_NOT_KEPT), field, "a result")
    if block.get("is_error"):
        hint = "a tool turn has no place for it; say it in the content"
        raise DataError("a result that is an error", field=f"{field}.is_error", hint=hint)
    content = block.get("content")
    [result] = _messages("tool", content if content else "", f"{field}.content")
    return result.replace(tool_call_id=turns.text(block, "tool_use_id", field))


def _tool(value: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    if value.get("type") not in (None, "custom"):
        hint = "only tools with a name and an input_schema can be learned"
        raise DataError(f"a tool of type {brief(value['type'])}", field=f"{field}.type", hint=hint)
    turns.text(dict(value), "name", field)
    function = {("parameters" if key == "input_schema" else key): each for key, each in value.items()}
    plain = {key: each for key, each in function.items() if key != "type" and key not in _NOT_KEPT}
    return {"type": "function", "function": plain}


# --- out ----------------------------------------------------------------------------------------------


def _write(example: Example) -> dict[str, Any]:
    chat = turns.chat_of(example, NAME)
    said, body = links.nameless(chat.messages), dict[str, Any]()
    if said[0].role == "system":
        body["system"] = _written_system(said[0])
    start = len(body)
    body["messages"] = [_written(group) for group in blocks.grouped(said[start:], start)]
    if chat.tools:
        body["tools"] = [_written_tool(tool, f"tools[{index}]") for index, tool in enumerate(chat.tools)]
    return fields.with_meta(body, chat, _USED)


def _written_system(turn: Message) -> Any:
    turns.refuse(turn, "messages[0]", NAME, "name", "weight", "reasoning", "tool_calls", "tool_call_id")
    if not turn.content:
        raise turns.cannot_hold("a system turn that says nothing", "messages[0].content", NAME)
    return _content(turn, "messages[0]")


def _written(group: list[tuple[str, Message]]) -> dict[str, Any]:
    for at, turn in group:
        turns.refuse(turn, at, NAME, "name", "weight")
    [*_, (field, turn)] = group
    if turn.role == "tool":
        return {"role": "user", "content": [_written_result(result, at) for at, result in group]}
    if turn.role not in ("user", "assistant"):
        raise turns.cannot_hold(f"a turn of {turn.role!r} here", f"{field}.role", NAME)
    turns.refuse(turn, field, NAME, "tool_call_id")
    if turn.reasoning is None and not turn.tool_calls:
        return {"role": turn.role, "content": _content(turn, field)}
    if turn.role == "user":
        turns.refuse(turn, field, NAME, "reasoning", "tool_calls")
    thought = [] if turn.reasoning is None else [{"type": "thinking", "thinking": turn.reasoning}]
    calls = [
        _written_call(call, f"{field}.tool_calls[{index}]") for index, call in enumerate(turn.tool_calls)
    ]
    return {"role": turn.role, "content": [*thought, *_said(turn, field), *calls]}


def _written_result(turn: Message, field: str) -> dict[str, Any]:
    turns.refuse(turn, field, NAME, "reasoning", "tool_calls")
    if turn.tool_call_id is None:
        raise turns.cannot_hold("a result without the id of its call", f"{field}.tool_call_id", NAME)
    return {"type": "tool_result", "tool_use_id": turn.tool_call_id, "content": _content(turn, field)}


def _written_call(call: ToolCall, field: str) -> dict[str, Any]:
    arguments = tool_calls.arguments_of(call, field)
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": arguments}


def _content(turn: Message, field: str) -> Any:
    said = _said(turn, field)
    if not said:
        raise turns.cannot_hold("a turn that says nothing", f"{field}.content", NAME)
    return said[0]["text"] if blocks.is_text(tuple(said)) else said


def _said(turn: Message, field: str) -> list[dict[str, Any]]:
    return [
        _written_part(part, f"{field}.content[{index}]") for index, part in enumerate(blocks.parts_of(turn))
    ]


def _written_part(part: Mapping[str, Any], field: str) -> dict[str, Any]:
    if part.get("type") == "text":
        return _kept(part)
    url = blocks.image_url(part)
    if url is None:
        raise turns.cannot_hold(f"a part of type {part.get('type')!r} with all that it says", field, NAME)
    found = blocks.from_data_url(url)
    if found is None:
        return {"type": "image", "source": {"type": "url", "url": url}}
    return {"type": "image", "source": {"type": "base64", "media_type": found[0], "data": found[1]}}


def _written_tool(tool: Mapping[str, Any], field: str) -> dict[str, Any]:
    function = turns.function_with_schema(tool, field, NAME)
    for key in ("type", "input_schema"):
        if key in function:
            raise turns.cannot_hold(f"the key {key!r} of a function", f"{field}.function.{key}", NAME)
    return {("input_schema" if key == "parameters" else key): each for key, each in function.items()}


ANTHROPIC = Shape(
    name=NAME,
    says="Anthropic messages",
    kinds=turns.KINDS,
    recognises=_recognises,
    read=_read,
    write=_write,
)
