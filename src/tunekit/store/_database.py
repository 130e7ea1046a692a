"""One SQLite file, used in short transactions. Knows files, locks, waiting and SQLite's errors; no runs, no leases."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tunekit._files import fsync_directory, make_private_directory, storage_errors
from tunekit.errors import DeadlineError, StorageError
from tunekit.store._connections import FileId, Pool
from tunekit.store._filesystem import refuse_shared_filesystem

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

_BUSY_TIMEOUT_S = 10.0
# PROTOCOL is what WAL says when its own retries under contention ran out.
_CONTENDED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_APPLICATION_ID = 0x74756E65  # "tune": tells our files from other programs' databases

_HINTS = {
    sqlite3.SQLITE_FULL: "free some space, or point TUNEKIT_HOME at another disk; what was stored before is intact",
    sqlite3.SQLITE_IOERR: "check that the disk is not full or failing, or point TUNEKIT_HOME at another one",
    sqlite3.SQLITE_NOTADB: "move the file away to start with an empty store, or restore it from a backup",
    sqlite3.SQLITE_CORRUPT: "restore the file from a backup, or salvage it with: sqlite3 FILE .recover",
    sqlite3.SQLITE_READONLY: "point TUNEKIT_HOME at a directory you can write to",
    sqlite3.SQLITE_CANTOPEN: "point TUNEKIT_HOME at a directory you can write to",
    sqlite3.SQLITE_PERM: "point TUNEKIT_HOME at a directory you can write to",
}


class Database:
    """A file and the schema that it must have.

    Args:
        path: The SQLite file; created with its directory (0700) when first used.
        schema: Statements that make an empty file ready.
        version: Version of that schema, kept in the file.
        deadline_s: How long to wait for other processes before giving up, in seconds.
        survives_power_loss: Whether each transaction waits for the disk. Without, one costs a tenth; a crash of the
            process loses nothing all the same, and a power failure the last transactions.
    """

    def __init__(
        self,
        path: Path,
        *,
        schema: tuple[str, ...],
        version: int,
        deadline_s: float,
        survives_power_loss: bool = True,
    ) -> None:
        self.path = path
        self._schema = schema
        self._version = version
        self._deadline_s = deadline_s
        self._synchronous = "FULL" if survives_power_loss else "NORMAL"
        self._place_is_local = False
        self._connections = Pool(self._connect, self._file_id)

    def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction that has the write lock from its start; commit, or leave nothing behind."""
        return self._patiently(lambda connection: _in_transaction(connection, work))

    def read(self, work: Work[T]) -> T:
        """Run `work`, which is one SELECT."""
        return self._patiently(work)

    def _patiently(self, work: Work[T]) -> T:
        end = time.monotonic() + self._deadline_s
        while True:
            try:
                with self._connections.lend() as connection:
                    return work(connection)
            except sqlite3.Error as error:
                if not _primary_code(error):
                    raise  # Python's, not SQLite's: a mistake in a query
                if _primary_code(error) not in _CONTENDED:
                    raise self._explained(error) from error
                if time.monotonic() >= end:
                    raise self._busy() from error
            time.sleep(_JITTER.uniform(0.001, 0.05))

    def close(self) -> None:
        """Let go of the file until it is used again."""
        self._connections.close()

    def _connect(self) -> sqlite3.Connection:
        with storage_errors(f"cannot open the store {str(self.path)!r}"):
            self._ensure_file()
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw",  # rw: SQLite itself would create the file readable by everyone
            uri=True,
            timeout=min(_BUSY_TIMEOUT_S, self._deadline_s),
            isolation_level=None,
            check_same_thread=False,  # the pool lends it to one thread at a time
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _file_id(self) -> FileId:
        try:
            found = os.stat(self.path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _ensure_file(self) -> None:
        if not self._place_is_local:
            refuse_shared_filesystem(self.path.parent)
            self._place_is_local = True
        if not self.path.is_file():
            self._create_file()

    def _create_file(self) -> None:
        make_private_directory(self.path.parent)
        # Made beside and linked in: closing a descriptor of the store itself would drop the POSIX locks that other
        # connections of this process hold on it (sqlite.org/howtocorrupt.html, section 2.2).
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            os.link(temporary, self.path)
        except FileExistsError:
            if not self.path.is_file():
                raise StorageError(
                    f"the store {str(self.path)!r} is not a file",
                    hint="move what is there away, or set TUNEKIT_HOME",
                ) from None
        finally:
            temporary.unlink()
        fsync_directory(self.path.parent)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # One snapshot for all that is looked at: another process may be filling the file right now.
        ready = _in_transaction(connection, self._is_ready, kind="DEFERRED")
        (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise StorageError(
                f"SQLite cannot use its write-ahead log for {str(self.path)!r} (it says {mode!r})",
                hint="set TUNEKIT_HOME to a directory on a local disk",
            )
        connection.execute(f"PRAGMA synchronous={self._synchronous}")
        if not ready:
            _in_transaction(connection, self._fill)

    def _is_ready(self, connection: sqlite3.Connection) -> bool:
        """Whether the file has our tables; False if it is empty. Anything else is refused before it is touched."""
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if (application, version) == (_APPLICATION_ID, self._version):
            return True
        if application == _APPLICATION_ID:
            raise StorageError(
                f"{str(self.path)!r} has layout {version}; this tunekit knows {self._version}",
                hint="a newer tunekit made it: upgrade tunekit here too, or use another TUNEKIT_HOME",
            )
        if application or version or connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise StorageError(
                f"{str(self.path)!r} is a database of another program",
                hint="point TUNEKIT_HOME at a directory of its own",
            )
        return False

    def _fill(self, connection: sqlite3.Connection) -> None:
        if self._is_ready(connection):
            return  # another process was faster
        for statement in self._schema:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={self._version}")

    def _explained(self, error: sqlite3.Error) -> StorageError:
        hint = _HINTS.get(_primary_code(error), "check the file and the disk it lies on")
        return StorageError(f"the store {str(self.path)!r} cannot be used: {error}", hint=hint)

    def _busy(self) -> DeadlineError:
        return DeadlineError(
            f"the store {str(self.path)!r} was busy for {self._deadline_s:g} s",
            hint="another process is stopped in the middle of a write, or the disk is very slow; try again",
            retryable=True,
        )


# Its own generator: jitter must not draw from the sequence that the host may have seeded.
_JITTER = random.SystemRandom()


def _in_transaction(connection: sqlite3.Connection, work: Work[T], kind: str = "IMMEDIATE") -> T:
    # A DEFERRED transaction that turns to writing fails at once under contention, whatever the timeout.
    connection.execute(f"BEGIN {kind}")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def _primary_code(error: sqlite3.Error) -> int:
    # The low byte; the rest of an extended code is detail (sqlite.org/rescode.html).
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
