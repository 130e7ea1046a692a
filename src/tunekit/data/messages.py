"""Chat messages and tools out of decoded JSON, checked by hand. Knows OpenAI's chat shape; no files and no lines.

Hand-written because every row passes here: a schema library costs several times the parse itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.data.wording import brief, listed, shown
from tunekit.errors import DataError
from tunekit.examples import ROLES, Message, ToolCall

_ROLES = frozenset(ROLES)
_KNOWN = frozenset({"role", "content", "name", "weight", "tool_calls", "tool_call_id"})
_CHAT = 'a chat is [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]'
_CALL = 'a call is {"id": "...", "type": "function", "function": {"name": "...", "arguments": "{...}"}}'


def conversation(value: Any, field: str = "messages") -> tuple[Message, ...]:
    """A non-empty list of messages."""
    if not isinstance(value, list):
        raise DataError(f"expected a list of messages, found {shown(value)}", field=field, hint=_CHAT)
    if not value:
        raise DataError("the list of messages is empty", field=field, hint=_CHAT)
    return tuple([_message(item, index, field) for index, item in enumerate(value)])


def has_answer(messages: tuple[Message, ...]) -> bool:
    """Whether an assistant turn says or calls something and counts in the loss: else there is nothing to learn."""
    return any(
        turn.role == "assistant" and turn.weight > 0 and (turn.tool_calls or (turn.content or "").strip())
        for turn in messages
    )


def tools(value: Any) -> tuple[Mapping[str, Any], ...]:
    """Tool definitions, kept as they are."""
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(tool, dict) for tool in value):
        raise DataError(
            f"expected a list of tool objects, found {shown(value)}",
            field="tools",
            hint='write [{"type": "function", "function": {...}}], or leave the key out',
        )
    return tuple(value)


def _message(value: Any, index: int, field: str) -> Message:
    # The common turn has a role and a text and nothing else: two look-ups and it is done.
    if type(value) is dict and len(value) == 2:
        role, content = value.get("role"), value.get("content")
        if type(role) is str and role in _ROLES and type(content) is str:
            return Message(role=role, content=content)  # type: ignore[arg-type]  # checked against ROLES
    return _careful(value, f"{field}[{index}]")


def _careful(value: Any, field: str) -> Message:
    if not isinstance(value, dict):
        raise DataError(f"expected a message object, found {shown(value)}", field=field, hint=_CHAT)
    _refuse_unknown(value, field)
    role = _role(value, field)
    calls = _tool_calls(value.get("tool_calls"), f"{field}.tool_calls")
    return Message(
        role=role,  # type: ignore[arg-type]  # checked against ROLES
        content=_content(value, field, optional=role == "assistant" and bool(calls)),
        name=_optional_text(value, "name", field),
        weight=_weight(value, field),
        tool_calls=calls,
        tool_call_id=_optional_text(value, "tool_call_id", field),
    )


def _refuse_unknown(value: dict[str, Any], field: str) -> None:
    for key in value:
        # Exports carry "refusal": null, "annotations": [] and the like; what says nothing can go.
        if key not in _KNOWN and value[key] not in (None, [], {}, ""):
            legacy = key == "function_call"
            raise DataError(
                f"a message has the unknown key {brief(key)}",
                field=f"{field}.{brief(key, quote=False)}",
                hint="write the call as tool_calls" if legacy else f"known keys are {listed(sorted(_KNOWN))}",
            )


def _role(value: dict[str, Any], field: str) -> str:
    role = value.get("role")
    if isinstance(role, str) and role in _ROLES:
        return role
    hint = f"roles are {listed(ROLES)}"
    if "role" not in value:
        raise DataError("a message has no role", field=field, hint=hint)
    if role == "function":
        hint = "write the legacy role 'function' as 'tool', with the tool_call_id of the call it answers"
    raise DataError(f"unknown role {brief(role)}", field=f"{field}.role", hint=hint)


def _content(value: dict[str, Any], field: str, *, optional: bool) -> str | None:
    content = value.get("content")
    if isinstance(content, str) or (content is None and optional):
        return content
    field = f"{field}.content"
    if content is None:
        raise DataError(
            "a message has no content", field=field, hint="only an assistant turn with tool_calls may"
        )
    if isinstance(content, list):
        hint = "join the text parts into one text; images and other parts are not read yet"
        raise DataError("content in parts is not read yet", field=field, hint=hint)
    raise DataError(f"expected text, found {shown(content)}", field=field, hint="write it as a JSON text")


def _optional_text(value: dict[str, Any], key: str, field: str) -> str | None:
    text = value.get(key)
    if text is None or isinstance(text, str):
        return text
    raise DataError(
        f"expected text, found {shown(text)}",
        field=f"{field}.{key}",
        hint="write it as a JSON text, or leave the key out",
    )


def _weight(value: dict[str, Any], field: str) -> float:
    weight = value.get("weight")
    if weight is None:
        return 1.0
    # bool is an int to Python, and true is a mistake here; the bound keeps infinity and huge ints out.
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight <= 1e9:
        raise DataError(
            f"expected a weight of 0 or more, found {brief(weight)}",
            field=f"{field}.weight",
            hint="0 leaves the turn out of the loss, 1 is what a turn without a weight has",
        )
    return float(weight)


def _tool_calls(value: Any, field: str) -> tuple[ToolCall, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise DataError(f"expected a list of tool calls, found {shown(value)}", field=field, hint=_CALL)
    return tuple(_tool_call(call, f"{field}[{index}]") for index, call in enumerate(value))


def _tool_call(value: Any, field: str) -> ToolCall:
    if not isinstance(value, dict) or value.get("type", "function") != "function":
        raise DataError(f"expected a call of type 'function', found {brief(value)}", field=field, hint=_CALL)
    function = value.get("function")
    if not isinstance(function, dict):
        raise DataError(f"expected an object, found {shown(function)}", field=f"{field}.function", hint=_CALL)
    for key in ("name", "arguments"):
        if not isinstance(function.get(key), str):
            found = shown(function.get(key))
            hint = "write the arguments as a JSON text" if key == "arguments" else _CALL
            raise DataError(f"expected text, found {found}", field=f"{field}.function.{key}", hint=hint)
    identifier = _optional_text(value, "id", field)
    return ToolCall(id=identifier or "", name=function["name"], arguments=function["arguments"])
