"""The one place where blocking calls meet async ones. Knows loops and threads; not what the coroutines do.

Every blocking public method runs its async sibling here, on one private event loop in a daemon thread. That works from
a script, a thread, a notebook, and even from inside a running loop (which it blocks, so it warns once there). The loop
belongs to one process: after a fork the child gets its own.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import sys
import threading
import warnings
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_loops: dict[int, asyncio.AbstractEventLoop] = {}
_warned: set[str] = set()
_background: set[concurrent.futures.Future[Any]] = set()


class BlockingCallWarning(RuntimeWarning):
    """A blocking method was called from inside a running event loop; its `_async` sibling would not block it."""


def run(coroutine: Coroutine[Any, Any, T], *, instead: str = "") -> T:
    """Run a coroutine to its end from blocking code.

    Args:
        coroutine: What to run.
        instead: The async way, such as `"FineTuneJob.submit_async"`, for the warning given when a loop is running in
            this thread.

    Raises:
        RuntimeError: Called from the portal's own thread, where it could never return.
    """
    loop = _loop()
    running = _running_loop()
    if running is loop:
        coroutine.close()
        raise RuntimeError(
            f"a blocking tunekit call was made from tunekit's own event loop; use `{instead}` there"
        )
    if running is not None:
        try:
            _warn(instead)
        except BlockingCallWarning:
            coroutine.close()  # the host made it an error; without this a second warning would follow
            raise
    future = asyncio.run_coroutine_threadsafe(coroutine, loop)
    try:
        return future.result()
    except BaseException:
        # KeyboardInterrupt lands in the waiting thread: stop the work too, then let it through.
        future.cancel()
        raise


async def shielded(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on the private loop, whatever becomes of the caller.

    A plain `asyncio.shield` is not enough: `asyncio.run` cancels every task that is left when its main one ends.
    The private loop ends only with the process.
    """
    future = asyncio.run_coroutine_threadsafe(coroutine, _loop())
    _background.add(future)  # a loop holds its tasks weakly
    future.add_done_callback(_background.discard)
    waiting = asyncio.wrap_future(future)
    waiting.add_done_callback(_retrieve)
    return await asyncio.shield(waiting)


def _retrieve(waiting: asyncio.Future[Any]) -> None:
    # A shield that is cancelled first stops watching: asyncio would log the failure as "never retrieved". Whoever
    # left did not ask for it, and whoever still waits gets it all the same.
    if not waiting.cancelled():
        waiting.exception()


def _loop() -> asyncio.AbstractEventLoop:
    pid = os.getpid()
    loop = _loops.get(pid)
    if loop is not None:
        return loop
    with _lock:
        if pid not in _loops:
            _loops.clear()  # loops of a parent process: their threads did not survive the fork
            _loops[pid] = _start_loop()
        return _loops[pid]


def _start_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="tunekit-portal", daemon=True).start()
    return loop


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _warn(instead: str) -> None:
    # In a notebook the loop always runs and cells are meant to block.
    if "ipykernel" in sys.modules or instead in _warned:
        return
    _warned.add(instead)
    warnings.warn(
        f"a blocking tunekit call holds up the running event loop; use `{instead}` there",
        BlockingCallWarning,
        stacklevel=4,
    )


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()  # another thread may have held the old one at the moment of the fork


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
