"""Files that are only appended to, by many processes at once: each writes its own. Knows locks; not what is in a line.

A file that is written to ends in `.open`, one that nobody writes to any more in `.jsonl`. Its writer locks it for each
line and looks whether it still has its name, so that anybody may seal it at any moment and then change it in peace.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tunekit._files import atomic_writer, make_private_directory, open_private, storage_errors
from tunekit.errors import DeadlineError

OPEN, SEALED = ".open", ".jsonl"
_LOCK = "sweep.lock"
_WAIT_S = 0.01


class AppendFiles:
    """Where one process, and after a fork its child, adds lines. May be used from several threads.

    Args:
        directory: Where the files are made.
        max_bytes: Size from which on a new one is begun.
        survives_power_loss: Whether `write` waits until the disk has the line.
    """

    def __init__(self, directory: Path, *, max_bytes: int, survives_power_loss: bool) -> None:
        self.directory = directory
        self._max_bytes, self._survives = max_bytes, survives_power_loss
        self._own = _Own()

    def write(self, line: bytes) -> None:
        """Add a line. When this returns, the operating system has it.

        Raises:
            StorageError: It could not be written; what was there before is unharmed.
        """
        own = self._own
        if own.pid != os.getpid():
            # The parent's lock may be held for ever by a thread that this process does not have.
            own = self._own = _Own()
        with own.lock, storage_errors(f"cannot collect in {str(self.directory)!r}"):
            file = self._locked(own)
            try:
                if file.write(line) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(own.path))
                if self._survives:
                    os.fsync(file.fileno())
                if file.tell() >= self._max_bytes:
                    own.path.rename(own.path.with_suffix(SEALED))
            except OSError:
                own.close()  # a line that was cut off ends its file, or the next would be spoilt by it
                _remove_empty(own.path)
                raise
            fcntl.flock(file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Seal this process's file."""
        own = self._own
        if own.pid == os.getpid():
            with own.lock:
                own.close()
                seal(own.path, patience_s=0.0)

    def _locked(self, own: _Own) -> BinaryIO:
        """The file, locked, and still under its name."""
        while True:
            file = own.file or self._begun(own)
            with suppress(BlockingIOError):  # somebody is about to seal it: no reason to wait
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if own.path.exists():
                    return file
            own.close()

    def _begun(self, own: _Own) -> BinaryIO:
        make_private_directory(self.directory)
        moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        own.path = self.directory / f"{moment}-{os.getpid()}-{os.urandom(6).hex()}{OPEN}"
        own.file = open_private(own.path)
        return own.file


def _remove_empty(path: Path) -> None:
    """A disk that is full takes no line, but a name for each that is tried."""
    with suppress(OSError):
        if not path.stat().st_size:
            path.unlink()


class _Own:
    """The file of this process, and the lock of its threads."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.file: BinaryIO | None = None
        self.path = Path()

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None

    def __del__(self) -> None:
        # A host need not close a collector: nothing is buffered.
        self.close()


def files(directory: Path) -> list[Path]:
    """Every file with lines, oldest first, under the name that it has now."""
    found = {path.stem: path for ending in (OPEN, SEALED) for path in directory.glob(f"[!.]*{ending}")}
    return [found[stem] for stem in sorted(found)]


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Whole lines with their numbers. One without its end was never acknowledged, or is being written."""
    try:
        file = path.open("rb")
    except FileNotFoundError:  # sealed since it was listed, or gone
        try:
            file = path.with_suffix(SEALED).open("rb")
        except FileNotFoundError:
            return
    with file:
        for number, line in enumerate(file, start=1):
            if line.endswith(b"\n"):
                yield number, line


def seal(path: Path, *, patience_s: float) -> bool:
    """Take a file from its writer, who will begin another. False where it holds on to it longer than our patience."""
    try:
        file = path.open("rb")
    except (FileNotFoundError, IsADirectoryError):
        return True
    with file:
        if not _lock(file, patience_s):
            return False
        with suppress(FileNotFoundError):  # somebody else was faster
            path.rename(path.with_suffix(SEALED))
    return True


def rewrite(path: Path, keep: Callable[[bytes], bool]) -> int:
    """Take lines out of a sealed file; without any left it is removed. Call it inside `alone`.

    Returns:
        How many lines went.
    """
    kept = [keep(line) for _, line in lines(path)]
    if all(kept) and kept:
        return 0
    with storage_errors(f"cannot take rows out of {str(path)!r}"):
        if not any(kept):
            path.unlink(missing_ok=True)
        else:
            with atomic_writer(path) as new:
                for (_, line), stays in zip(lines(path), kept, strict=True):
                    if stays:
                        new.write(line)
    return len(kept) - sum(kept)


@contextmanager
def alone(directory: Path, *, patience_s: float) -> Iterator[None]:
    """Nobody else takes lines out meanwhile. What one who was killed at it left half done is removed.

    Raises:
        DeadlineError: Somebody else is at it for longer than our patience.
        StorageError: The directory cannot be written.
    """
    make_private_directory(directory)
    with storage_errors(f"cannot lock {str(directory)!r}"):
        lock = open_private(directory / _LOCK)
    with lock:
        if not _lock(lock, patience_s):
            raise DeadlineError(
                f"another process has been taking rows out of {str(directory)!r} for {patience_s:g} s",
                hint="call it again later",
                retryable=True,
            )
        for path in directory.glob(f".*{SEALED}.*"):
            path.unlink(missing_ok=True)
        yield


def _lock(file: BinaryIO, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(_WAIT_S)
