"""Answers as they come, line by line in a file, until they go into the cache. Knows files and locks; not what is asked.

An answer is in the file some microseconds after it came, with nobody to wait for and no thread between, so that a
killed process loses none that it had. Its writer holds a lock on the file: one that nobody holds was left behind.
"""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from tunekit._files import make_private_directory, open_private, storage_errors

_ENDING = ".answers"


@dataclass(frozen=True, slots=True)
class Row:
    """One answer on its way.

    Attributes:
        key: What it is kept by.
        body: What is kept.
        kept_at: Unix seconds.
        lifetime_s: Seconds after which it is of no use; None for ever.
    """

    key: bytes
    body: str
    kept_at: float
    lifetime_s: float | None

    def line(self) -> bytes:
        """As it stands in the file: JSON in ASCII, so that no line end is in it."""
        return json.dumps([self.key.hex(), self.body, self.kept_at, self.lifetime_s]).encode() + b"\n"


class AnswerJournal:
    """The answers of one evaluation. May be written to from several threads.

    Args:
        directory: Where its file is made, with the first answer.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()
        self._path = directory / f"{os.getpid()}-{os.urandom(6).hex()}{_ENDING}"

    def write(self, rows: Sequence[Row]) -> None:
        """Add answers.

        Raises:
            StorageError: The file cannot be made or written; what is in it stays good.
        """
        lines = b"".join(row.line() for row in rows)
        with self._lock, storage_errors(f"cannot keep answers in {str(self._path)!r}"):
            if self._file is None:
                self._file = self._begun()
            if self._file.write(lines) < len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))

    def rows(self) -> Iterator[Row]:
        """What was written."""
        return _rows(self._path) if self._file is not None else iter(())

    def close(self) -> None:
        """Leave it to whoever looks for what was left behind."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def remove(self) -> None:
        """It is not needed any more."""
        self._path.unlink(missing_ok=True)
        self.close()

    def _begun(self) -> BinaryIO:
        """The file, locked before it has the name by which others look for it."""
        make_private_directory(self._directory)
        new = self._path.with_suffix(".new")
        file = open_private(new)
        fcntl.flock(file, fcntl.LOCK_EX)
        new.rename(self._path)
        return file


class LeftBehind:
    """A journal whose writer is gone, held so that nobody else takes it, too. Use it in a `with`.

    Attributes:
        path: Where it is.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path, self._file = path, file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def rows(self) -> Iterator[Row]:
        """What can be read of it: its last line may be cut."""
        return _rows(self.path)

    def remove(self) -> None:
        """It is not needed any more."""
        self.path.unlink(missing_ok=True)


def left_behind(directory: Path) -> Iterator[LeftBehind]:
    """The journals that nobody writes to any more.

    Raises:
        OSError: One cannot be opened.
    """
    for path in sorted(directory.glob(f"*{_ENDING}")):
        try:
            file = path.open("rb")
        except FileNotFoundError:
            continue  # somebody else was faster
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        yield LeftBehind(path, file)


def _rows(path: Path) -> Iterator[Row]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        for line in file:
            if (row := _row(line)) is not None:
                yield row


def _row(line: bytes) -> Row | None:
    """What `Row.line` wrote; None for what was cut off or spoilt, which is asked again."""
    try:
        key, body, kept_at, lifetime_s = json.loads(line)
        row = Row(bytes.fromhex(key), body, float(kept_at), None if lifetime_s is None else float(lifetime_s))
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None
    times = (row.kept_at, row.lifetime_s or 0.0)
    return row if isinstance(body, str) and body.isascii() and all(map(math.isfinite, times)) else None
