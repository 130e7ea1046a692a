"""Files that can be gone through twice, for formats that need that. Knows where bytes lie; no format."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO

_IN_MEMORY_BYTES = 16 << 20
_COPY_BYTES = 256 << 10


@contextmanager
def rewindable(file: BinaryIO, head: bytes = b"") -> Iterator[tuple[IO[bytes], int]]:
    """A file that can go back, and where in it the content begins; a copy on disk where the file itself cannot.

    What a pipe gives, or what is unpacked as it is read, is gone once it has been read.

    Args:
        file: To read from where it stands.
        head: What was read of it before that.
    """
    if file.seekable():
        yield file, file.tell() - len(head)
        return
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as copy:
        copy.write(head)
        shutil.copyfileobj(file, copy, _COPY_BYTES)
        copy.seek(0)
        yield copy, 0
