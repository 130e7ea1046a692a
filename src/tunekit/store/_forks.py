"""Forks wait until no store operation is under way in this process. Knows fork hooks; it knows no SQL.

SQLite keeps a list of its POSIX locks in memory. A child that is forked while a connection is open inherits the list
but not the locks, and would trust locks that it does not hold (sqlite.org/howtocorrupt.html, section 2.6). Connections
are open for milliseconds only, so a fork in another thread waits for them; `subprocess` does not fork in this sense.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tunekit.errors import StorageError

_PATIENCE_S = 5.0


class _Gate:
    """Operations pass while no fork is under way; a fork passes while no operation is."""

    def __init__(self, *, tainted: bool = False) -> None:
        self.quiet = threading.Condition()
        self.operations = 0
        self.forks = 0
        self.tainted = tainted


_gate = _Gate()  # one per process, like the list of locks that it protects


@contextmanager
def operation() -> Iterator[None]:
    """Hold off forks. Raises `StorageError` in a child that was forked in the middle of an operation all the same."""
    gate = _gate
    if gate.tainted:
        raise StorageError(
            "this process was forked while another thread was using the store, so file locks cannot be trusted here",
            hint="start workers with subprocess or spawn, or fork before other threads use tunekit",
        )
    with gate.quiet:
        gate.quiet.wait_for(lambda: gate.forks == 0)
        gate.operations += 1
    try:
        yield
    finally:
        with gate.quiet:
            gate.operations -= 1
            gate.quiet.notify_all()


def _before_fork() -> None:
    _gate.quiet.acquire()
    _gate.forks += 1
    _gate.quiet.wait_for(lambda: _gate.operations == 0, timeout=_PATIENCE_S)


def _after_fork_in_parent() -> None:
    _gate.forks -= 1
    _gate.quiet.notify_all()
    _gate.quiet.release()


def _after_fork_in_child() -> None:
    global _gate
    _gate = _Gate(tainted=_gate.tainted or _gate.operations > 0)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
    )
