"""What is in a file of the host, in pieces and lines, however large it is. Knows bytes; not what they mean."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

from tunekit.backends.openai import wire
from tunekit.backends.openai.transport import Call, Safety, Transport
from tunekit.errors import BackendError, DeadlineError

MAX_ATTEMPTS = 5
MAX_LINE_BYTES = 64 << 20
"""A line is one answer, of some megabytes at most; nothing larger is gathered."""


async def pieces(transport: Transport, file_id: str) -> AsyncGenerator[bytes, None]:
    """What is in one file. Where it breaks off it is read again, and what was given already is passed over.

    Raises:
        BackendError: The host refused, or the file breaks off again and again.
        DeadlineError: Nothing came for too long, again and again.
        NotFoundError: There is no such file.
    """
    call = Call(method="GET", path=f"/files/{wire.quoted(file_id)}/content", safety=Safety.READ)
    given = 0
    for left in reversed(range(MAX_ATTEMPTS)):
        at = 0
        try:
            async with aclosing(cast("AsyncGenerator[bytes, None]", transport.stream(call))) as stream:
                async for piece in stream:
                    fresh = piece[max(0, given - at) :]
                    at += len(piece)
                    given += len(fresh)
                    if fresh:
                        yield fresh
            return
        except (BackendError, DeadlineError) as error:
            if not left or not error.retryable:
                raise


async def lines(transport: Transport, file_id: str) -> AsyncGenerator[bytes, None]:
    """The lines of one file without their ends, and without those that are empty. Raises what `pieces` does."""
    rest = bytearray()
    async with aclosing(pieces(transport, file_id)) as stream:
        async for piece in stream:
            known = len(rest)
            rest += piece
            start = 0
            while (end := rest.find(b"\n", max(start, known))) >= 0:
                if line := bytes(rest[start:end]).strip():
                    yield line
                start = end + 1
            del rest[:start]
            if len(rest) > MAX_LINE_BYTES:
                raise wire.unreadable("a file", f"a line of it has more than {MAX_LINE_BYTES:,} bytes")
    if line := bytes(rest).strip():
        yield line
