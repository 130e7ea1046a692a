"""Blocking calls that tell of progress. Knows the calling thread and the portal; not what is done.

The work runs on the portal's loop, where a callback that blocks would hold up every other call. So progress is handed
over and told by the thread that waits anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tunekit import _portal
from tunekit.evaluation.running.runner import tell

T = TypeVar("T")
N = TypeVar("N")


def run(
    work: Callable[[Callable[[N], object] | None], Coroutine[Any, Any, T]],
    callback: Callable[[N], object] | None,
    *,
    instead: str,
) -> T:
    """Run the coroutine that `work` makes to its end; its progress goes to `callback`, in this thread.

    Args:
        work: Makes the coroutine, given what to call with each progress.
        callback: The host's; what it raises is logged.
        instead: The async way, for the warning where a loop is running in this thread.
    """
    if callback is None:
        return _portal.run(work(None), instead=instead)
    news: asyncio.Queue[N | None] = asyncio.Queue()
    task = _portal.run(_started(work, news), instead=instead)
    try:
        while (progress := _portal.run(news.get(), instead=instead)) is not None:
            tell(callback, progress)
    except BaseException:  # KeyboardInterrupt lands here, in the waiting thread or in the callback
        task.get_loop().call_soon_threadsafe(task.cancel)
        raise
    return _portal.run(_ended(task), instead=instead)


async def _started(
    work: Callable[[Callable[[N], object] | None], Coroutine[Any, Any, T]], news: asyncio.Queue[N | None]
) -> asyncio.Task[T]:
    task = asyncio.create_task(work(news.put_nowait))
    task.add_done_callback(lambda _: news.put_nowait(None))
    return task


async def _ended(task: asyncio.Task[T]) -> T:
    return await task
