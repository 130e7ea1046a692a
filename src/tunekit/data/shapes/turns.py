"""What chat-like shapes share: the example around the turns, and saying what a shape cannot hold. Knows no shape."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from tunekit.data.shapes import fields
from tunekit.data.tool_calls import Tools, function_of
from tunekit.data.wording import brief, listed, shown
from tunekit.errors import DataError
from tunekit.examples import ChatExample, Example, Message

KINDS = frozenset({"chat"})

_SAYS = {
    "name": "the name of a speaker",
    "weight": "a weight",
    "tool_calls": "tool calls",
    "tool_call_id": "the id of a call",
    "parts": "parts",
    "reasoning": "reasoning",
}
_HOLDS_ALL = 'write shape="openai" or shape="tunekit", which hold it'


def chat(
    record: Mapping[str, Any],
    id: str,
    turns: tuple[Message, ...],
    tools: Tools,
    *,
    used: Collection[str],
    field: str = "messages",
) -> ChatExample:
    """The example of turns that were read; the keys of the record that were not used are meta columns.

    Raises:
        BlankTarget: No assistant turn can be learned.
        DataError: There is no assistant turn.
    """
    meta = fields.rest(record, used)
    return ChatExample(messages=fields.learnable(turns, field), tools=tools, id=id, meta=meta)


def chat_of(example: Example, shape: str) -> ChatExample:
    """The example, if it is a chat.

    Raises:
        DataError: It is of another kind.
    """
    if isinstance(example, ChatExample):
        return example
    raise fields.refused(example, shape, KINDS)


def with_system(turns: tuple[Message, ...], system: str, field: str = "system") -> tuple[Message, ...]:
    """The turns after what a column says as the system, if it says anything that the first turn does not.

    Raises:
        DataError: The system says something else in a turn.
    """
    first = Message(role="system", content=system)
    if not system.strip() or turns[0] == first:
        return turns
    if any(turn.role in ("system", "developer") for turn in turns):
        hint = "keep one of them; the column stands before the first turn"
        raise DataError("there are a system turn and a system column", field=field, hint=hint)
    return (first, *turns)


def refuse(turn: Message, field: str, shape: str, *features: str) -> None:
    """Raise `DataError` where a turn has one of these attributes, which the shape cannot hold."""
    for feature in features:
        if getattr(turn, feature) != _DEFAULTS[feature]:
            raise DataError(
                f"the shape {shape!r} cannot hold {_SAYS[feature]}",
                field=f"{field}.{feature}",
                hint=_HOLDS_ALL,
            )


def cannot_hold(what: str, field: str, shape: str, hint: str = "") -> DataError:
    """The error for anything else that a shape cannot hold."""
    return DataError(f"the shape {shape!r} cannot hold {what}", field=field, hint=hint or _HOLDS_ALL)


def function_with_schema(tool: Mapping[str, Any], field: str, shape: str) -> Mapping[str, Any]:
    """The function of a tool, for shapes that must have a schema of its parameters.

    Raises:
        DataError: It is no function, or has no such schema.
    """
    function = function_of(tool)
    if function is None:
        raise cannot_hold("a tool that is no function", field, shape)
    if not isinstance(function.get("parameters"), Mapping):
        hint = 'give it {"type": "object", "properties": {}} where it takes none'
        raise cannot_hold("a function without parameters", f"{field}.function.parameters", shape, hint)
    return function


def address(part: Mapping[str, Any]) -> str | None:
    """The URL of a part such as `{"type": "image_url", "image_url": {"url": "..."}}`; None for other parts."""
    held = part.get(str(part.get("type")))
    url = held.get("url") if isinstance(held, Mapping) else None
    return url if isinstance(url, str) else None


def only(value: Any, known: Collection[str], field: str, what: str) -> dict[str, Any]:
    """The value as an object that says nothing under keys besides these.

    Raises:
        DataError: It is no object, or an unknown key says something.
    """
    if not isinstance(value, dict):
        raise DataError(
            f"expected {what}, found {shown(value)}", field=field, hint=f"{what} has {listed(known)}"
        )
    for key, said in value.items():
        if key not in known and said not in (None, [], {}, "") and said is not False:
            raise DataError(
                f"{what} has the unknown key {brief(key)}",
                field=f"{field}.{brief(key, quote=False)}",
                hint=f"known keys are {listed(known)}",
            )
    return value


def text(value: dict[str, Any], key: str, field: str) -> str:
    """The text under a key of an object.

    Raises:
        DataError: It is not there, or no text.
    """
    said = value.get(key)
    if isinstance(said, str):
        return said
    raise DataError(
        f"expected text, found {shown(said)}", field=f"{field}.{key}", hint="write it as a JSON text"
    )


_DEFAULTS = {feature: getattr(Message(role="user"), feature) for feature in _SAYS}
