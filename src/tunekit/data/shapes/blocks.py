"""Turns made of blocks, as Anthropic, Bedrock and Gemini have them: what belongs to which message. Knows no spelling.

A turn of the user holds the results of tools, then what the user says; a turn of the assistant holds what it thought,
then what it says, then the calls it makes. Blocks in another order have no place in a message, and are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from tunekit.data import messages
from tunekit.data.shapes import turns
from tunekit.data.wording import brief, listed
from tunekit.errors import DataError
from tunekit.examples import Message, Role, ToolCall, text_of

Kind = Literal["result", "thought", "said", "call"]
_ORDERS: Mapping[Role, tuple[Kind, ...]] = {
    "user": ("result", "said"),
    "assistant": ("thought", "said", "call"),
    "system": ("said",),
    "tool": ("said",),
}
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,")


class Block(NamedTuple):
    """One block of a turn: a `Message` of a tool, a thought, a part in OpenAI's form, or a call."""

    kind: Kind
    value: Any


def conversation(
    value: Any, field: str, read: Callable[[Any, str], Iterable[Message]]
) -> tuple[Message, ...]:
    """The messages of a non-empty list of turns."""
    found = messages.items(value, field)
    return tuple(turn for index, item in enumerate(found) for turn in read(item, f"{field}[{index}]"))


def turn(value: Any, field: str, read: Callable[[Role, Any, str], list[Message]]) -> list[Message]:
    """The messages of a turn of the user or the assistant, its content read as the shape spells blocks.

    Raises:
        DataError: It is another's, or no turn.
    """
    held = turns.only(value, ("role", "content"), field, "a message")
    role = held.get("role")
    if role == "user" or role == "assistant":
        return read(role, held.get("content"), f"{field}.content")
    hint = 'roles are "user" and "assistant"; what the system says stands under "system"'
    raise DataError(f"unknown role {brief(role)}", field=f"{field}.role", hint=hint)


def messages_of(role: Role, blocks: Iterable[Block], field: str) -> list[Message]:
    """The messages of a turn: one for every result of a tool, and one for all that its speaker says.

    Raises:
        DataError: The blocks are of kinds, or in an order, that such a turn has no place for; or there are none.
    """
    found = list(blocks)
    order = _ORDERS[role]
    places = [order.index(block.kind) if block.kind in order else -1 for block in found]
    if -1 in places or places != sorted(places) or not found:
        raise DataError(
            f"a turn of {role!r} with these blocks: {listed(block.kind for block in found) or 'none'}",
            field=field,
            hint=f"a turn holds, in this order: {', '.join(order)}",
        )
    spoken = [block for block in found if block.kind != "result"]
    results: list[Message] = [block.value for block in found if block.kind == "result"]
    return [*results, _spoken(role, spoken)] if spoken else results


def _spoken(role: Role, blocks: list[Block]) -> Message:
    parts: tuple[Mapping[str, Any], ...] = tuple(block.value for block in blocks if block.kind == "said")
    thoughts: list[str] = [block.value for block in blocks if block.kind == "thought"]
    calls: tuple[ToolCall, ...] = tuple(block.value for block in blocks if block.kind == "call")
    return Message(
        role=role,
        content=text_of(parts) if parts else None,
        parts=() if is_text(parts) else parts,
        reasoning="".join(thoughts) if thoughts else None,
        tool_calls=calls,
    )


def is_text(parts: tuple[Mapping[str, Any], ...]) -> bool:
    """Whether the parts are one text and nothing else, which a message holds as its content alone."""
    return len(parts) == 1 and parts[0].keys() == {"type", "text"} and parts[0]["type"] == "text"


def parts_of(turn: Message) -> tuple[Mapping[str, Any], ...]:
    """What a message says, in parts; () where it says nothing."""
    if turn.parts:
        return turn.parts
    return () if turn.content is None else ({"type": "text", "text": turn.content},)


def grouped(turns: Iterable[Message], start: int) -> Iterator[list[tuple[str, Message]]]:
    """Messages with their fields, in groups that share a turn: results of tools next to each other.

    Args:
        turns: The messages.
        start: Position of the first of them.
    """
    group: list[tuple[str, Message]] = []
    for index, turn in enumerate(turns, start):
        if group and not (turn.role == group[-1][1].role == "tool"):
            yield group
            group = []
        group.append((f"messages[{index}]", turn))
    if group:
        yield group


def data_url(media_type: str, data: str) -> str:
    """Base64 data as a URL."""
    return f"data:{media_type};base64,{data}"


def from_data_url(url: str) -> tuple[str, str] | None:
    """Media type and base64 data of such a URL; None for another URL."""
    found = _DATA_URL.match(url)
    return (found[1], url[found.end() :]) if found else None


def image(url: str) -> dict[str, Any]:
    """A picture as a part in OpenAI's form."""
    return {"type": "image_url", "image_url": {"url": url}}


def image_url(part: Mapping[str, Any]) -> str | None:
    """The URL of such a part, if it says nothing besides."""
    held = part.get("image_url")
    plain = part.keys() == {"type", "image_url"} and isinstance(held, Mapping) and held.keys() == {"url"}
    url = held["url"] if plain and isinstance(held, Mapping) else None
    return url if isinstance(url, str) else None
