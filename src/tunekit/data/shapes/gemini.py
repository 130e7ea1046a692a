"""Gemini's rows: `systemInstruction`, `contents` of parts, `tools` of functionDeclarations. Knows no other shape.

The contract is the google-genai package (3.4, `types.Content` and what it reaches) and Vertex AI's pages on tuning
data, which give a function's result no role and no ids to calls; see `links`. Keys are read in both of Google's
spellings, `functionCall` and `function_call`. Names of types in a schema are upper case there, lower case here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tunekit.data import tool_calls
from tunekit.data.json_text import parsed, written
from tunekit.data.shapes import blocks, fields, links, turns
from tunekit.data.shapes.base import Shape
from tunekit.data.shapes.blocks import Block
from tunekit.data.shapes.dialects import dialect
from tunekit.data.wording import brief, listed, shown
from tunekit.errors import DataError
from tunekit.examples import ChatExample, Example, Message, Role, ToolCall

NAME = "gemini"
USED = frozenset({"systemInstruction", "system_instruction", "contents", "tools"})
"""Keys that mean something to the shape."""
_PARTS = ("text", "functionCall", "functionResponse", "inlineData", "fileData")
_CAMEL = {
    "function_call": "functionCall",
    "function_response": "functionResponse",
    "inline_data": "inlineData",
    "file_data": "fileData",
    "thought_signature": "thoughtSignature",
    "mime_type": "mimeType",
    "file_uri": "fileUri",
    "display_name": "displayName",
    "function_declarations": "functionDeclarations",
}
_SCHEMA = ("parameters", "parametersJsonSchema", "parameters_json_schema")
_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
_VALUES = frozenset({"enum", "const", "default", "example", "examples", "required"})
_FILE = frozenset({"mimeType", "fileUri", "displayName"})


def _recognises(record: Mapping[str, Any]) -> bool:
    return dialect(record) == NAME


def _read(record: Mapping[str, Any], id: str) -> ChatExample:
    found = tools(record.get("tools"))
    return turns.chat(record, id, conversation(record), found, used=USED, field="contents")


def conversation(record: Mapping[str, Any]) -> tuple[Message, ...]:
    """The turns of a record, the system instruction first."""
    key = "systemInstruction" if "systemInstruction" in record else "system_instruction"
    system = record.get(key)
    first = _messages("system", system, key) if system else []
    return links.linked((*first, *blocks.conversation(record.get("contents"), "contents", _turns)))


def _turns(value: Any, field: str) -> list[Message]:
    role = value.get("role") if isinstance(value, dict) else None
    if role not in (None, "user", "model", "function"):
        raise DataError(
            f"unknown role {brief(role)}", field=f"{field}.role", hint='roles are "user" and "model"'
        )
    return _messages("assistant" if role == "model" else "user", value, field)


def _messages(role: Role, value: Any, field: str) -> list[Message]:
    parts = turns.only(value, ("role", "parts"), field, "a content").get("parts")
    if not isinstance(parts, list):
        hint = 'write "parts": [{"text": "..."}]'
        raise DataError(f"expected a list of parts, found {shown(parts)}", field=f"{field}.parts", hint=hint)
    found = [_block(_camel(part), f"{field}.parts[{index}]") for index, part in enumerate(parts)]
    return blocks.messages_of(role, found, f"{field}.parts")


def _camel(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {_CAMEL.get(key, key): each for key, each in value.items()}


def _block(value: Any, field: str) -> Block:
    match value:
        case {"text": str(said), **rest} if not rest.keys() - {"thought", "thoughtSignature"}:
            return Block("thought", said) if rest.get("thought") else Block("said", _text(said))
        case {"functionCall": dict(held), **rest} if not rest.keys() - {"thoughtSignature"}:
            return Block("call", _call(held, f"{field}.functionCall"))
        case {"functionResponse": dict(held), **rest} if not rest:
            return Block("result", _result(held, f"{field}.functionResponse"))
        case {"inlineData": dict(held), **rest} if not rest:
            return Block("said", _inline(_camel(held), f"{field}.inlineData"))
        case {"fileData": dict(held), **rest} if not rest and _camel(held).keys() <= _FILE:
            return Block("said", {"type": "file", "file": _camel(held)})
    known = listed(_PARTS)
    raise DataError(f"expected a part, found {brief(value)}", field=field, hint=f"parts are one of {known}")


def _text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def _call(value: dict[str, Any], field: str) -> ToolCall:
    call = turns.only(value, ("id", "name", "args"), field, "a call")
    arguments = call.get("args")
    if arguments is not None and not isinstance(arguments, dict):
        raise DataError(
            f"expected an object, found {shown(arguments)}", field=f"{field}.args", hint="write {...}"
        )
    id = turns.text(call, "id", field) if call.get("id") is not None else ""
    return ToolCall(
        id=id, name=turns.text(call, "name", field), arguments=written(arguments or {}, f"{field}.args")
    )


def _result(value: dict[str, Any], field: str) -> Message:
    result = turns.only(value, ("id", "name", "response"), field, "a response")
    response = result.get("response")
    if not isinstance(response, dict):
        hint = 'write {"output": ...}'
        raise DataError(f"expected an object, found {shown(response)}", field=f"{field}.response", hint=hint)
    said = response["output"] if _is_output(response) else written(response, f"{field}.response")
    name = turns.text(result, "name", field)
    id = turns.text(result, "id", field) if result.get("id") is not None else None
    return Message(role="tool", content=said, name=name, tool_call_id=id)


def _is_output(response: Mapping[str, Any]) -> bool:
    return response.keys() == {"output"} and isinstance(response["output"], str)


def _inline(value: Mapping[str, Any], field: str) -> dict[str, Any]:
    held = turns.only(value, ("mimeType", "data"), field, "inlineData")
    media_type = turns.text(held, "mimeType", field)
    url = blocks.data_url(media_type, turns.text(held, "data", field))
    if media_type.startswith("image/"):
        return blocks.image(url)
    return {"type": "file", "file": {"file_data": url}}


def tools(value: Any) -> tuple[Mapping[str, Any], ...]:
    """The functions that a record declares, as tools."""
    found: list[Mapping[str, Any]] = []
    for index, tool in enumerate(tool_calls.tools(value)):
        field = f"tools[{index}]"
        held = turns.only(_camel(tool), ("functionDeclarations",), field, "a tool")
        functions = tool_calls.tools(held.get("functionDeclarations"), f"{field}.functionDeclarations")
        found += (_function(each, f"{field}.functionDeclarations[{at}]") for at, each in enumerate(functions))
    return tuple({"type": "function", "function": each} for each in found)


def _function(value: Mapping[str, Any], field: str) -> dict[str, Any]:
    schema = next((key for key in _SCHEMA if key in value), None)
    function = {("parameters" if key == schema else key): each for key, each in value.items()}
    turns.text(function, "name", field)
    if schema is not None:
        function["parameters"] = _cased(function["parameters"], upper=False)
    return function


def _cased(schema: Any, *, upper: bool) -> Any:
    if isinstance(schema, list):
        return [_cased(each, upper=upper) for each in schema]
    if not isinstance(schema, dict):
        return schema
    cased = {key: each if key in _VALUES else _cased(each, upper=upper) for key, each in schema.items()}
    kind = schema.get("type")
    if isinstance(kind, str) and kind.lower() in _TYPES:
        cased["type"] = kind.upper() if upper else kind.lower()
    return cased


# --- out ----------------------------------------------------------------------------------------------


def _write(example: Example) -> dict[str, Any]:
    chat = turns.chat_of(example, NAME)
    said, body = links.unlinked(chat.messages, NAME, names=True), dict[str, Any]()
    if said[0].role == "system":
        turns.refuse(said[0], "messages[0]", NAME, "name", "weight", "reasoning", "tool_calls")
        body["systemInstruction"] = {"parts": list(_parts(said[0], "messages[0]"))}
    start = len(body)
    body["contents"] = [_written(group) for group in blocks.grouped(said[start:], start)]
    if chat.tools:
        functions = [_written_tool(tool, f"tools[{index}]") for index, tool in enumerate(chat.tools)]
        body["tools"] = [{"functionDeclarations": functions}]
    return fields.with_meta(body, chat, USED)


def _written(group: list[tuple[str, Message]]) -> dict[str, Any]:
    [*_, (field, turn)] = group
    if turn.role == "tool":
        return {"role": "user", "parts": [_written_result(result, at) for at, result in group]}
    if turn.role not in ("user", "assistant"):
        raise turns.cannot_hold(f"a turn of {turn.role!r} here", f"{field}.role", NAME)
    turns.refuse(turn, field, NAME, "name", "weight", "tool_call_id")
    if turn.role == "user":
        turns.refuse(turn, field, NAME, "reasoning", "tool_calls")
    return {"role": "model" if turn.role == "assistant" else "user", "parts": list(_parts(turn, field))}


def _parts(turn: Message, field: str) -> Iterator[dict[str, Any]]:
    if turn.reasoning is not None:
        yield {"text": turn.reasoning, "thought": True}
    if not (blocks.parts_of(turn) or turn.tool_calls or turn.reasoning is not None):
        raise turns.cannot_hold("a turn that says nothing", f"{field}.content", NAME)
    for index, part in enumerate(blocks.parts_of(turn)):
        yield _written_part(part, f"{field}.content[{index}]")
    for index, call in enumerate(turn.tool_calls):
        arguments = tool_calls.arguments_of(call, f"{field}.tool_calls[{index}]")
        yield {"functionCall": {"name": call.name, "args": arguments}}


def _written_result(turn: Message, field: str) -> dict[str, Any]:
    turns.refuse(turn, field, NAME, "weight", "reasoning", "tool_calls", "parts")
    if turn.name is None or turn.content is None:
        raise turns.cannot_hold("a result without a name and a text", field, NAME)
    return {"functionResponse": {"name": turn.name, "response": _response(turn.content)}}


def _response(said: str) -> dict[str, Any]:
    """The object that a result is, where it is one and comes back to the letter; else the text as its output."""
    try:
        value = parsed(said, "content") if said.startswith("{") else None
    except DataError:
        value = None
    if isinstance(value, dict) and not _is_output(value) and written(value, "content") == said:
        return value
    return {"output": said}


def _written_part(part: Mapping[str, Any], field: str) -> dict[str, Any]:
    match part:
        case {"type": "text", "text": str(said), **rest} if not rest:
            return {"text": said}
        case {"type": "file", "file": {"fileUri": str()} as held, **rest} if (
            not rest and held.keys() <= _FILE
        ):
            return {"fileData": held}
        case {"type": "file", "file": {"file_data": str(url), **more}, **rest} if not (rest or more):
            found = blocks.from_data_url(url)
            usable = found is not None and not found[0].startswith("image/")
        case _:
            found = blocks.from_data_url(blocks.image_url(part) or "")
            usable = found is not None and found[0].startswith("image/")
    if found is None or not usable:
        raise turns.cannot_hold(f"a part of type {part.get('type')!r} with all that it says", field, NAME)
    return {"inlineData": {"mimeType": found[0], "data": found[1]}}


def _written_tool(tool: Mapping[str, Any], field: str) -> dict[str, Any]:
    function = tool_calls.function_of(tool)
    if function is None:
        raise turns.cannot_hold("a tool that is no function", field, NAME)
    cased = {"parameters": _cased(function["parameters"], upper=True)} if "parameters" in function else {}
    return {**function, **cased}


GEMINI = Shape(
    name=NAME,
    says="Gemini contents",
    kinds=turns.KINDS,
    recognises=_recognises,
    read=_read,
    write=_write,
)
