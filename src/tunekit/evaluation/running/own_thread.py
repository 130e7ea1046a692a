"""Functions of the host that may block, in a thread of their own. Knows threads and cancellation; not what is called.

One question at a time, because nobody promised that the function is thread-safe.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Q = TypeVar("Q")
A = TypeVar("A")


async def called_in_own_thread(function: Callable[[Q], A], questions: Iterable[Q], *, thread: str) -> list[A]:
    """What the function says to each, in order, in a thread of this name. Once cancelled, it is called no further."""
    stop = threading.Event()

    def work() -> list[A]:
        return [function(question) for question in _until(stop, questions)]

    # Not the loop's own threads: a judge would hold one of them while what it asks is waiting for one.
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=thread)
    try:
        return await asyncio.get_running_loop().run_in_executor(pool, contextvars.copy_context().run, work)
    finally:
        stop.set()
        pool.shutdown(wait=False)


def _until(stop: threading.Event, questions: Iterable[Q]) -> Iterator[Q]:
    for question in questions:
        if stop.is_set():
            return
        yield question
