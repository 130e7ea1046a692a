"""Tools and calls of tools out of decoded JSON, and back. Knows OpenAI's form of both; no roles and no turns.

Three spellings of a tool are met: `{"type": "function", "function": {"name": ...}}`, which is ours, the function alone
(`{"name": ..., "parameters": ...}`), and both of them as one JSON text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from tunekit.data.json_text import parsed, written
from tunekit.data.wording import brief, shown
from tunekit.errors import DataError
from tunekit.examples import ToolCall

Tools: TypeAlias = tuple[Mapping[str, Any], ...]

_TOOLS = 'write [{"type": "function", "function": {...}}], or leave the key out'
_CALL = 'a call is {"id": "...", "type": "function", "function": {"name": "...", "arguments": "{...}"}}'
_CALL_KEYS = frozenset({"id", "type", "function", "name", "arguments", "index"})


def tools(value: Any, field: str = "tools") -> Tools:
    """Tool definitions, kept as they are. A JSON text of the list is read too: columnar stores need it so."""
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        value = parsed(value, field)
    if not isinstance(value, list) or not all(isinstance(tool, dict) for tool in value):
        raise DataError(f"expected a list of tool objects, found {shown(value)}", field=field, hint=_TOOLS)
    return tuple(value)


def from_functions(functions: Tools) -> Tools:
    """Tools of functions that stand alone; what is a tool already, or neither, stays as it is."""
    return tuple({"type": "function", "function": each} if _is_function(each) else each for each in functions)


def to_functions(tools: Tools, field: str = "tools") -> list[Mapping[str, Any]]:
    """The inverse of `from_functions`.

    Raises:
        DataError: A function stands alone already, and would not come back so.
    """
    for index, tool in enumerate(tools):
        if _is_function(tool):
            raise DataError(
                "a function stands where a tool is expected",
                field=f"{field}[{index}]",
                hint='write {"type": "function", "function": {...}}',
            )
    return [function_of(tool) or tool for tool in tools]


def function_of(tool: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The function of a tool that is nothing else; None for any other tool."""
    inner = tool.get("function")
    plain = len(tool) == 2 and tool.get("type") == "function"
    return inner if plain and isinstance(inner, Mapping) and _is_function(inner) else None


def _is_function(tool: Mapping[str, Any]) -> bool:
    return isinstance(tool.get("name"), str) and "function" not in tool and "type" not in tool


def calls(value: Any, field: str) -> tuple[ToolCall, ...]:
    """The calls of a turn."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise DataError(f"expected a list of tool calls, found {shown(value)}", field=field, hint=_CALL)
    return tuple(_call(call, f"{field}[{index}]") for index, call in enumerate(value))


def _call(value: Any, field: str) -> ToolCall:
    if not isinstance(value, dict) or value.get("type", "function") not in ("function", None):
        raise DataError(f"expected a call of type 'function', found {brief(value)}", field=field, hint=_CALL)
    for key in value:
        if key not in _CALL_KEYS and value[key] not in (None, [], {}, ""):
            where = f"{field}.{brief(key, quote=False)}"
            raise DataError(f"a call has the unknown key {brief(key)}", field=where, hint=_CALL)
    identifier = value.get("id")
    if identifier is not None and not isinstance(identifier, str):
        hint = "write it as a JSON text, or leave the key out"
        raise DataError(f"expected text, found {shown(identifier)}", field=f"{field}.id", hint=hint)
    if "function" not in value and "name" in value:
        return function_call(value, field, id=identifier or "")
    return function_call(value.get("function"), f"{field}.function", id=identifier or "")


def function_call(value: Any, field: str, *, id: str) -> ToolCall:
    """The call that `{"name": ..., "arguments": ...}` makes; arguments given as an object become their JSON text."""
    if not isinstance(value, dict):
        raise DataError(f"expected an object, found {shown(value)}", field=field, hint=_CALL)
    name, arguments = value.get("name"), value.get("arguments")
    if not isinstance(name, str):
        raise DataError(f"expected text, found {shown(name)}", field=f"{field}.name", hint=_CALL)
    if isinstance(arguments, dict):
        arguments = written(arguments, f"{field}.arguments")
    if not isinstance(arguments, str):
        raise DataError(
            f"expected an object or its JSON text, found {shown(arguments)}",
            field=f"{field}.arguments",
            hint="write the arguments as a JSON text, '{}' where there are none",
        )
    return ToolCall(id=id, name=name, arguments=arguments)


def arguments_of(call: ToolCall, field: str) -> dict[str, Any]:
    """The arguments as an object, for shapes that hold them so.

    Raises:
        DataError: They are no JSON object.
    """
    value = parsed(call.arguments, f"{field}.arguments")
    if not isinstance(value, dict):
        raise DataError(
            f"arguments are {shown(value)}, and this shape holds only an object",
            field=f"{field}.arguments",
            hint='give every argument its name, as in {"order": 7}',
        )
    return value
