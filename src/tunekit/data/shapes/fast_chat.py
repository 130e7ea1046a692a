"""Plain chats, decoded from JSON straight into examples. Knows the one simple form of a chat; everything else is `chat`'s.

Nearly all large files are lines of `{"messages": [{"role": ..., "content": ...}, ...]}` and nothing else. msgspec makes
the messages while it parses, at the price of an untyped parse. A row with anything more, or anything wrong, is left to
the careful reader, which gives the same example for the same row, or says what is wrong with it.
"""

from __future__ import annotations

import msgspec

from tunekit.examples import ChatExample, Message


class ChatRow(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A decoded row that looks plain; `example` tells whether it is."""

    messages: tuple[Message, ...]


decode = msgspec.json.Decoder(ChatRow).decode
"""Raises `msgspec.MsgspecError`, or `RecursionError`, for any row that does not look plain."""


def example(row: ChatRow, id: str) -> ChatExample | None:
    """The example, or None where the row is for the careful reader."""
    has_answer = False
    for turn in row.messages:
        if not turn.content or turn.tool_calls or turn.parts or turn.weight != 1.0:
            return None
        if turn.reasoning is not None or turn.name is not None or turn.tool_call_id is not None:
            return None
        has_answer = has_answer or (turn.role == "assistant" and not turn.content.isspace())
    return ChatExample(id=id, messages=row.messages) if has_answer else None
