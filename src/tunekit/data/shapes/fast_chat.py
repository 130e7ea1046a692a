"""Plain chats, decoded from JSON straight into examples. Knows the one simple form of a chat; the rest is `chat`'s.

Nearly all large files are lines of `{"messages": [{"role": ..., "content": ...}, ...]}` and nothing else. msgspec makes
the examples while it parses, many lines at a time, at the price of an untyped parse. A block of lines in which one row
has anything more, or anything wrong, is left to the careful reader, which gives the same examples for the same rows, or
says what is wrong with them.

One thing only the careful reader sees: a key that occurs twice in one object. It reads the first rows of every file, so
that a writer who repeats keys is found; in a single row further on the last value counts, as JSON parsers have it.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import force_setattr

from tunekit.examples import ChatExample

_GIVE_UP = 8
"""Blocks that were not plain, after which trying is taken to be wasted on the others."""

_decode = msgspec.json.Decoder(ChatExample).decode_lines


class FastChats:
    """Decodes blocks of lines; one for each pass over a source, which gives up where there are no plain chats.

    Args:
        name: First part of the row ids.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._missed = 0

    def __call__(self, block: bytes, number: int) -> list[ChatExample] | None:
        """An example for each line, the first of which has this number; None leaves them to the careful reader."""
        if self._missed > _GIVE_UP:
            return None
        found = plain(block, self._name, number)
        if found is None:
            self._missed += 1
        return found


def plain(block: bytes, name: str, first: int) -> list[ChatExample] | None:
    """The rows of lines that are plain chats and nothing else, with their ids."""
    try:
        found = _decode(block)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    end = -1
    for number, example in enumerate(found, first):
        # Each row but the last ends its line: nothing inside an object looks like this seam.
        if end >= 0 and block[end - 1 : end + 2] != b"}\n{" and block[end - 2 : end + 2] != b"}\r\n{":
            return None
        if example.tools or example.meta or example.id or not example.messages:
            return None
        for turn in example.messages:
            if turn.content is None or turn.weight != 1.0 or turn.name is not None or turn.tool_calls:
                return None
            if turn.parts or turn.reasoning is not None or turn.tool_call_id is not None:
                return None
        if turn.role != "assistant" or not turn.content or turn.content.isspace():
            return None  # the last is no answer; the careful reader looks for one further up
        end = block.find(b"\n", end + 1)
        force_setattr(example, "id", f"{name}:{number}")  # nobody else has seen it yet
    # As many lines as rows, or a blank line would shift the numbers of those after it.
    is_whole = end == len(block) - 1 if block.endswith(b"\n") else end == -1
    return found if is_whole else None
