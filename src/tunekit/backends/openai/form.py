"""A multipart form whose length is known before it is sent. Knows RFC 7578 and files; no connection.

A file is read in pieces, each in a thread, so that memory stays flat and the event loop goes on.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from io import FileIO
from pathlib import Path

from tunekit._files import storage_errors
from tunekit.backends.openai.transport import FilePart, Query
from tunekit.data.wording import brief
from tunekit.errors import SpecError, StorageError

CHUNK_BYTES = 1 << 18

# As browsers write them (WHATWG, "multipart/form-data encoding algorithm").
_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})
_READ_HINT = "check that the file exists and can be read"
_UNCHANGED_HINT = "leave the file alone while it is sent, or send a copy; nothing came of this attempt"


class Form:
    """Text fields and at most one file, to be sent as often as needed.

    Args:
        fields: Names and texts, in order.
        file: The file, or a stretch of one.

    Raises:
        SpecError: The stretch is none of the bytes given, or the content type cannot be sent.
    """

    def __init__(self, fields: Query, file: FilePart | None) -> None:
        _check(file)
        self._boundary = secrets.token_hex(16)
        self._file = file
        self._head = b"".join(self._text(name, value) for name, value in fields)
        if file is not None:
            self._head += self._file_head(file)
        self._tail = (b"\r\n" if file else b"") + f"--{self._boundary}--\r\n".encode()
        self._identity: tuple[int, ...] | None = None

    @property
    def content_type(self) -> str:
        """What the form is called in a header."""
        return f"multipart/form-data; boundary={self._boundary}"

    @property
    def length(self) -> int:
        """Bytes of the whole form."""
        return len(self._head) + (self._file.length if self._file else 0) + len(self._tail)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The form from its beginning, each time anew. Closing it closes the file.

        Raises:
            StorageError: The file cannot be read, is shorter than was said, or changed since it was first sent.
        """
        yield self._head
        if self._file is not None:
            async with aclosing(self._file_chunks(self._file)) as chunks:
                async for chunk in chunks:
                    yield chunk
        yield self._tail

    async def _file_chunks(self, part: FilePart) -> AsyncGenerator[bytes, None]:
        if isinstance(part.source, bytes):
            for start in range(part.start, part.start + part.length, CHUNK_BYTES):
                yield part.source[start : min(start + CHUNK_BYTES, part.start + part.length)]
            return
        # Not in a thread: whoever is cancelled while he waits for one would leave an open file behind.
        file = self._opened(part.source, part.start)
        try:
            left = part.length
            while left:
                chunk = await asyncio.to_thread(self._read, part.source, file, left)
                left -= len(chunk)
                yield chunk
        finally:
            file.close()

    def _opened(self, path: Path, start: int) -> FileIO:
        with storage_errors(f"cannot read {str(path)!r}", hint=_READ_HINT):
            file = FileIO(path)
            file.seek(start)
        self._check_same(path, file)
        return file

    def _read(self, path: Path, file: FileIO, left: int) -> bytes:
        with storage_errors(f"cannot read {str(path)!r}", hint=_READ_HINT):
            chunk = file.read(min(left, CHUNK_BYTES))
        if not chunk:
            raise _changed(path, f"ended {left} bytes before what was to be sent of it")
        if len(chunk) == left:
            self._check_same(path, file)
        return chunk

    def _check_same(self, path: Path, file: FileIO) -> None:
        """Before the first and the last bytes go out: the host must not take a mixture of two files for one."""
        facts = os.fstat(file.fileno())
        identity = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)
        self._identity = self._identity or identity
        if identity != self._identity:
            file.close()
            raise _changed(path, "changed while it was being sent")

    def _text(self, name: str, value: str) -> bytes:
        head = (
            f'--{self._boundary}\r\nContent-Disposition: form-data; name="{name.translate(_ESCAPES)}"\r\n\r\n'
        )
        return f"{head}{value}\r\n".encode()

    def _file_head(self, part: FilePart) -> bytes:
        names = f'name="{part.field.translate(_ESCAPES)}"; filename="{part.filename.translate(_ESCAPES)}"'
        lines = (
            f"--{self._boundary}",
            f"Content-Disposition: form-data; {names}",
            f"Content-Type: {part.content_type}",
        )
        return "\r\n".join((*lines, "", "")).encode()


def _check(part: FilePart | None) -> None:
    if part is None:
        return
    if not part.content_type.isascii() or not part.content_type.isprintable():
        raise SpecError(
            f"{brief(part.content_type)} is no content type", hint='for example "application/jsonl"'
        )
    size = len(part.source) if isinstance(part.source, bytes) else None
    if part.start < 0 or part.length < 0 or (size is not None and part.start + part.length > size):
        raise SpecError(
            f"bytes {part.start} to {part.start + part.length} of {brief(part.filename)} are not there",
            hint="start and length must lie within the file",
        )


def _changed(path: Path, how: str) -> StorageError:
    return StorageError(f"{str(path)!r} {how}", hint=_UNCHANGED_HINT)
