"""Open connections of this process: each lent to one thread at a time, none carried across a fork. Knows no SQL.

SQLite keeps a list of its POSIX locks in memory. A child that is forked while a connection is open inherits the list
but not the locks, and would trust locks that it does not hold; closing what it inherited is no better
(sqlite.org/howtocorrupt.html, section 2.6). So it inherits nothing: before a fork, the parent waits for transactions
under way, which take milliseconds, and closes the rest. `subprocess` does not fork in this sense.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tunekit.errors import StorageError, TunekitError

_PATIENCE_S = 5.0
_MAX_IDLE = 4

FileId = tuple[int, int] | None


class _Process:
    """What this process has open. A forked child starts with a new one."""

    def __init__(self, *, tainted: bool = False) -> None:
        self.changed = threading.Condition()
        self.lent = 0
        self.forks = 0
        self.tainted = tainted
        self.pools: weakref.WeakSet[Pool] = weakref.WeakSet()


class Pool:
    """Connections to one file, kept open between uses because opening and closing costs more than most transactions.

    Args:
        connect: Opens a connection that any thread may use.
        file_id: Tells which file the path leads to now; a connection to an earlier one is not used again.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], file_id: Callable[[], FileId]) -> None:
        self._connect = connect
        self._file_id = file_id
        self._idle: list[tuple[sqlite3.Connection, FileId]] = []
        weakref.finalize(self, _close, self._idle)

    @contextmanager
    def lend(self) -> Iterator[sqlite3.Connection]:
        """A connection for one transaction, with forks held off.

        Raises:
            StorageError: This process was forked in the middle of somebody's transaction.
        """
        with _forks_held_off() as process:
            connection, file = self._take(process)
            sound = False
            try:
                yield connection
                sound = True
            except TunekitError:
                sound = True  # an answer, not an accident
                raise
            finally:
                self._give_back(process, connection, file) if sound else connection.close()

    def close(self) -> None:
        """Close what is not in use."""
        with _process.changed:
            _close(self._idle)

    def _take(self, process: _Process) -> tuple[sqlite3.Connection, FileId]:
        with process.changed:
            now = self._file_id()
            if self._idle and self._idle[-1][1] != now:
                _close(self._idle)
            if self._idle:
                return self._idle.pop()
        connection = self._connect()
        return connection, self._file_id()

    def _give_back(self, process: _Process, connection: sqlite3.Connection, file: FileId) -> None:
        with process.changed:
            if len(self._idle) < _MAX_IDLE:
                self._idle.append((connection, file))
                process.pools.add(self)
                return
        connection.close()


@contextmanager
def _forks_held_off() -> Iterator[_Process]:
    process = _process
    if process.tainted:
        raise StorageError(
            "this process was forked while another thread was using the store, so file locks cannot be trusted here",
            hint="start workers with subprocess or spawn, or fork before other threads use tunekit",
        )
    with process.changed:
        process.changed.wait_for(lambda: process.forks == 0)
        process.lent += 1
    try:
        yield process
    finally:
        with process.changed:
            process.lent -= 1
            process.changed.notify_all()


def _close(idle: list[tuple[sqlite3.Connection, FileId]]) -> None:
    while idle:
        idle.pop()[0].close()


def _before_fork() -> None:
    _process.changed.acquire()
    _process.forks += 1
    _process.changed.wait_for(lambda: _process.lent == 0, timeout=_PATIENCE_S)
    for pool in list(_process.pools):
        pool.close()


def _after_fork_in_parent() -> None:
    _process.forks -= 1
    _process.changed.notify_all()
    _process.changed.release()


def _after_fork_in_child() -> None:
    global _process
    _process = _Process(tainted=_process.tainted or _process.lent > 0)


_process = _Process()  # one per process, like SQLite's list of locks
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
    )
