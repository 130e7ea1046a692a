"""Plain chats, decoded from JSON straight into examples. Knows the one simple form of a chat; the rest is `chat`'s.

Nearly all large files are lines of `{"messages": [{"role": ..., "content": ...}, ...]}` and nothing else. msgspec makes
the messages while it parses, at the price of an untyped parse. A row with anything more, or anything wrong, is left to
the careful reader, which gives the same example for the same row, or says what is wrong with it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tunekit.data.shapes.choose import Read
from tunekit.examples import ChatExample, Example, Message

_GIVE_UP = 50
"""Rows in a row that were not plain, after which trying is wasted on the others."""


class ChatRow(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A decoded row that is plain: text turns, one of them an answer."""

    messages: tuple[Message, ...]


_decode = msgspec.json.Decoder(ChatRow).decode


class FastChats:
    """Decodes lines of plain chats, and makes examples of them; one for each pass over a source.

    Args:
        careful: Reads every other row.
    """

    def __init__(self, careful: Read) -> None:
        self._careful = careful
        self._missed = 0

    def decode(self, line: bytes | str) -> ChatRow | None:
        """The row, or None where the line is for the careful reader."""
        if self._missed > _GIVE_UP:
            return None
        row = plain(line)
        self._missed = 0 if row else self._missed + 1
        return row

    def read(self, value: Any, id: str) -> Example | tuple[Example, ...]:
        """The example of a row, whoever decoded it."""
        if type(value) is ChatRow:
            return ChatExample(id=id, messages=value.messages)
        return self._careful(value, id)


def plain(line: bytes | str) -> ChatRow | None:
    """The row that a line is, if it is a plain chat and nothing else."""
    try:
        row = _decode(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    # A key that occurs twice would be decided in silence. Inside a text, the quote has a backslash before it, so only
    # texts that end in one and other spacing send a good row the careful way.
    keys = line.count(b'":' if isinstance(line, bytes) else '":')  # type: ignore[arg-type]  # of the line's own type
    if keys != 2 * len(row.messages) + 1:
        return None
    learned = False
    for turn in row.messages:
        if not turn.content or turn.parts or turn.tool_calls:
            return None
        learned = learned or (turn.role == "assistant" and not turn.content.isspace())
    return row if learned else None
