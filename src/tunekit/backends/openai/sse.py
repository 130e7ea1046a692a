"""Server-sent events as JSON objects. Knows lines and `data:`; not what an event means, nor where bytes come from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tunekit.backends.openai.wire import unreadable

MAX_EVENT_BYTES = 8 << 20
"""One event is a few words; nothing larger is gathered."""

_DONE = b"[DONE]"
_MARK = b"\xef\xbb\xbf"
"""Of the order of bytes; one at the beginning of a stream is not a part of it (WHATWG HTML, 9.2.6)."""


class EventReader:
    r"""Makes events of a body that comes in pieces; a piece may end anywhere.

    Attributes:
        done: Whether the host has said that there is no more.

    Examples:
        >>> reader = EventReader()
        >>> list(reader.feed(b'data: {"a"')), list(reader.feed(b': 1}\n\n'))
        ([], [{'a': 1}])
    """

    def __init__(self) -> None:
        self.done = False
        self._begun = False
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._gathered = 0

    def feed(self, piece: bytes) -> Iterator[dict[str, Any]]:
        """The events that a piece completes.

        Raises:
            BackendError: An event is no JSON object, or larger than any event is.
        """
        start, known = 0, len(self._rest)
        self._rest += piece
        while not self.done and (end := self._rest.find(b"\n", max(start, known))) >= 0:
            yield from self._line(bytes(self._rest[start:end]).removesuffix(b"\r"))
            start = end + 1
        del self._rest[:start]
        if len(self._rest) + self._gathered > MAX_EVENT_BYTES:
            raise unreadable("an event of a stream", f"it has more than {MAX_EVENT_BYTES:,} bytes")

    def end(self) -> Iterator[dict[str, Any]]:
        """What the end of the body completes: some hosts leave out the last blank line.

        Raises:
            BackendError: As `feed`.
        """
        yield from self.feed(b"\n\n")

    def _line(self, line: bytes) -> Iterator[dict[str, Any]]:
        if not self._begun:
            self._begun, line = True, line.removeprefix(_MARK)
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
            self._gathered += len(line)
        elif not line and self._data:
            text = b"\n".join(self._data)
            self._data, self._gathered = [], 0
            self.done = text == _DONE
            if not self.done:
                yield _object(text)


def _object(text: bytes) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise unreadable("an event of a stream", f"it is {text[:40]!r}")
    return body
