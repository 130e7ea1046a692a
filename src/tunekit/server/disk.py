"""Bytes of files and parts, each under its id. Knows two directories; not to whom a file belongs."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tunekit import _files
from tunekit.data.readers.compressed import MAGIC_BYTES, packing_of

_COPY_BYTES = 1 << 20
_LEFTOVER_S = 24 * 3600.0


class Disk:
    """A directory with one file for each id, and one beside it for what is being removed.

    Args:
        root: The directory; it is created.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._aside = root.with_name(f"{root.name}-removed")

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
        await asyncio.to_thread(self._make_directories)
        file = await asyncio.to_thread(writer.__enter__)
        try:
            yield file
        except BaseException as error:
            writer.__exit__(type(error), error, error.__traceback__)
            raise
        await asyncio.to_thread(writer.__exit__, None, None, None)

    def write(self, file_id: str, data: bytes) -> None:
        """Write a small file."""
        self._make_directories()
        _files.write_atomic(self.path(file_id), data)

    def append(self, file_id: str, data: bytes) -> None:
        """Write lines behind those that a file has, and see them on the disk.

        Raises:
            StorageError: The disk said no.
        """
        self._make_directories()
        with _files.storage_errors(f"cannot write file {file_id!r}"), self.path(file_id).open("ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def whole_lines(self, file_id: str) -> Iterator[bytes]:
        """The lines of a file that `append` wrote; what a kill left of another one is cut off."""
        path = self.path(file_id)
        if not path.exists():
            return
        whole = 0
        with path.open("rb+") as file:
            for line in file:
                if line.endswith(b"\n"):
                    whole += len(line)
                    yield line
            file.truncate(whole)

    def size(self, file_id: str) -> int:
        """Bytes of a file; 0 where there is none."""
        path = self.path(file_id)
        return path.stat().st_size if path.exists() else 0

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

    def packing(self, file_id: str) -> str | None:
        """What packed a file, by how it begins; None for what is not packed, or not there."""
        try:
            with self.path(file_id).open("rb") as file:
                return packing_of(file.read(MAGIC_BYTES))
        except FileNotFoundError:
            return None

    def set_aside(self, file_id: str) -> None:
        """Take a file away from its place, in one step and without any new space: from here on it is gone.

        Raises:
            StorageError: The disk said no; the file is whole.
        """
        self._make_directories()
        with _files.storage_errors(f"cannot remove file {file_id!r}"), suppress(FileNotFoundError):
            os.replace(self.path(file_id), self._aside / file_id)

    def is_aside(self, file_id: str) -> bool:
        """Whether a file was set aside, and its removal has not ended."""
        return (self._aside / file_id).exists()

    def all_aside(self) -> list[str]:
        """What was set aside by those who did not end, or have not yet."""
        return sorted(path.name for path in self._aside.iterdir()) if self._aside.is_dir() else []

    def free_aside(self, file_id: str) -> None:
        """Give back the space of a file that was set aside, and see it remembered as such."""
        with _files.storage_errors(f"cannot remove file {file_id!r}"), suppress(FileNotFoundError):
            os.truncate(self._aside / file_id, 0)
            _files.fsync_directory(self._aside)

    def remove_aside(self, file_id: str) -> None:
        """End the removal of a file that was set aside."""
        with _files.storage_errors(f"cannot remove file {file_id!r}"):
            (self._aside / file_id).unlink(missing_ok=True)

    def _make_directories(self) -> None:
        _files.make_private_directory(self._root)
        # Now, for a full disk may have no room for it.
        _files.make_private_directory(self._aside)

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
