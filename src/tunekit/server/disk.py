"""Bytes of files and parts, each under its id. Knows the directory; not to whom a file belongs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from tunekit import _files

_COPY_BYTES = 1 << 20
_LEFTOVER_S = 24 * 3600.0


class Disk:
    """A directory with one file for each id.

    Args:
        root: The directory; it is created.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, file_id: str) -> Path:
        """Where the bytes of a file lie, or would. Ids are the server's own, so none leads elsewhere."""
        return self._root / file_id

    @asynccontextmanager
    async def arriving(self, file_id: str) -> AsyncIterator[BinaryIO]:
        """A file to write to that is there when the block ends, whole and on the disk, or not at all.

        Raises:
            StorageError: The disk said no; nothing is left behind.
        """
        writer = _files.atomic_writer(self.path(file_id))
        await asyncio.to_thread(_files.make_private_directory, self._root)
        file = await asyncio.to_thread(writer.__enter__)
        try:
            yield file
        except BaseException as error:
            writer.__exit__(type(error), error, error.__traceback__)
            raise
        await asyncio.to_thread(writer.__exit__, None, None, None)

    def write(self, file_id: str, data: bytes) -> None:
        """Write a small file."""
        _files.make_private_directory(self._root)
        _files.write_atomic(self.path(file_id), data)

    def join(self, file_id: str, parts: Sequence[str], seen: Callable[[bytes], object]) -> None:
        """Write a file of parts in order, showing each stretch of bytes on the way.

        Raises:
            StorageError: A part cannot be read, or the file not written; nothing is left behind.
        """
        with _files.atomic_writer(self.path(file_id)) as whole:
            for part in parts:
                with self.path(part).open("rb") as file:
                    while data := file.read(_COPY_BYTES):
                        seen(data)
                        whole.write(data)

    def remove(self, file_id: str) -> None:
        """Remove a file, if it is there."""
        with _files.storage_errors(f"cannot remove file {file_id!r}"):
            self.path(file_id).unlink(missing_ok=True)

    def strangers(self, known: Callable[[str], bool]) -> list[str]:
        """Files a day old that nobody knows: their process was killed before, or after, their row was there."""
        if not self._root.is_dir():
            return []
        old = [path for path in self._root.iterdir() if time.time() - _written_at(path) > _LEFTOVER_S]
        return [path.name for path in old if not known(path.name)]


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()
