"""Files that are whole or absent, and logs that are read only up to their last newline. Knows POSIX; not tunekit.

Publishing follows the order that survives a power cut: write beside, flush, fsync the file, rename, fsync the directory
(Pillai et al., OSDI 2014).
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from tunekit.errors import StorageError

_HINTS = {
    errno.ENOSPC: "free some space, or point TUNEKIT_HOME at another disk; nothing published was harmed",
    errno.EDQUOT: "your disk quota is used up; free some space or point TUNEKIT_HOME elsewhere",
    errno.EROFS: "the filesystem is read-only; point TUNEKIT_HOME at a directory you can write to",
    errno.EACCES: "point TUNEKIT_HOME at a directory you can write to",
    errno.EPERM: "point TUNEKIT_HOME at a directory you can write to",
}


@contextmanager
def storage_errors(doing: str, *, hint: str = "") -> Iterator[None]:
    """Turn an `OSError` inside the block into a `StorageError` that names the path and what to do.

    Args:
        doing: What was being done, naming the path.
        hint: What to do about it, where the path is not one of tunekit's own.
    """
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        path = os.fspath(error.filename) if isinstance(error.filename, (str, bytes, os.PathLike)) else ""
        reason = os.strerror(error.errno) if error.errno else str(error)
        advice = hint or _HINTS.get(error.errno or 0, "check that the path exists and can be written")
        where = f" {str(path)!r}" if path else ""
        raise StorageError(f"{doing}: {reason}{where}", hint=advice) from error


def make_private_directory(path: Path) -> Path:
    """Create a directory (and its parents) that only its owner can enter."""
    with storage_errors(f"cannot create directory {str(path)!r}"):
        # Not parents=True, which gives the parents the umask's permissions.
        for directory in reversed((path, *path.parents)):
            if not directory.is_dir():
                directory.mkdir(mode=0o700, exist_ok=True)
    return path


def open_private(path: Path) -> BinaryIO:
    """A log to append to, readable by its owner only; every write goes to the file at once."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "ab", buffering=0)


def write_atomic(path: Path, data: bytes, *, mode: int = 0o600, hint: str = "") -> None:
    """Replace a file so that a reader, or a crash, sees the old bytes or the new ones, never a part.

    Args:
        path: The file.
        data: Its new content.
        mode: Permissions before the umask; the owner's only, unless told.
        hint: What to do if it cannot be written, where the path is not one of tunekit's own.
    """
    with atomic_writer(path, mode=mode, hint=hint) as file:
        file.write(data)


@contextmanager
def atomic_writer(path: Path, *, mode: int = 0o600, hint: str = "") -> Iterator[BinaryIO]:
    """A file to write to piece by piece that appears under its name whole, when the block ends, or not at all.

    Takes what `write_atomic` takes.
    """
    with storage_errors(f"cannot write {str(path)!r}", hint=hint):
        # A rename would put a file in place of /dev/null for every process of the machine.
        if path.exists() and not path.is_file():
            raise StorageError(
                f"cannot write {str(path)!r}: it is no plain file", hint=hint or "give the path of a file"
            )
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        try:
            with _durable(temporary, mode) as file:
                yield file
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        fsync_directory(path.parent)


def write_durable(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a new file, readable by its owner only unless told, and wait until the disk has it."""
    with _durable(path, mode) as file:
        file.write(data)


@contextmanager
def _durable(path: Path, mode: int) -> Iterator[BinaryIO]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def write_json(path: Path, value: Any) -> None:
    """`write_atomic` for a JSON document that people may read."""
    write_atomic(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n")


def publish_directory(path: Path, fill: Callable[[Path], None]) -> bool:
    """Create a directory that appears complete or not at all.

    Args:
        path: Final name. It must not exist yet, or this is a no-op.
        fill: Writes the content into the temporary directory it is given.

    Returns:
        True if this call published it, False if it was there already.

    Raises:
        StorageError: The disk said no; nothing is left behind.
    """
    if path.exists():
        return False
    with storage_errors(f"cannot write {str(path)!r}"):
        make_private_directory(path.parent)
        temporary = path.with_name(f".partial-{path.name}-{os.getpid()}-{os.urandom(4).hex()}")
        try:
            temporary.mkdir(mode=0o700)
            fill(temporary)
            fsync_tree(temporary)
            try:
                os.rename(temporary, path)
            except OSError as error:
                if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                    return False
                raise
            fsync_directory(path.parent)
            return True
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def fsync_tree(root: Path) -> None:
    """Wait until the disk has every file and directory below `root`."""
    for directory, _, names in os.walk(root):
        for name in names:
            descriptor = os.open(os.path.join(directory, name), os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        fsync_directory(Path(directory))


def fsync_directory(path: Path) -> None:
    """Wait until the disk has the names in a directory."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes in hex, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_lines_from(path: Path, offset: int, *, max_bytes: int = 1 << 20) -> tuple[list[bytes], int]:
    """Complete lines of a growing file from a byte offset on, and the offset to go on from.

    A line without its newline is still being written and waits for the next call. A line longer than `max_bytes` is
    still read whole.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            chunk = file.read(max_bytes)
            while chunk and b"\n" not in chunk:
                more = file.read(max_bytes)
                if not more:
                    break
                chunk += more
    except FileNotFoundError:
        return [], offset
    end = chunk.rfind(b"\n") + 1
    return chunk[:end].split(b"\n")[:-1], offset + end


def remove_leftovers(parent: Path, *, older_than_s: float) -> None:
    """Remove what `publish_directory` and `remove_directory` left hidden in `parent` when their process was killed.

    Age tells the dead from the living here: process ids mean nothing between containers that share a directory.
    """
    for pattern in (".partial-*", ".trash-*"):
        for path in parent.glob(pattern):
            if _age_s(path) > older_than_s:
                shutil.rmtree(path, ignore_errors=True)


def remove_old_files(parent: Path, pattern: str, *, older_than_s: float) -> None:
    """Remove files that nobody has written to for a while."""
    for path in parent.glob(pattern):
        if _age_s(path) > older_than_s:
            path.unlink(missing_ok=True)


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0  # its own process has just finished with it


def remove_directory(path: Path) -> None:
    """Remove a directory tree so that a crash leaves it whole or hidden, never half there under its name."""
    with storage_errors(f"cannot remove {str(path)!r}"):
        trash = path.with_name(f".trash-{path.name}-{os.urandom(4).hex()}")
        os.rename(path, trash)
        os.utime(trash)  # its age counts from now
        fsync_directory(path.parent)
        while trash.exists():  # a trainer that has just ended removes its checkpoints in there
            with suppress(FileNotFoundError):
                shutil.rmtree(trash)
