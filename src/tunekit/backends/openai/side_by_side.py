"""The same work on many items, a few at a time. Knows tasks; not what the work is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def each(items: Sequence[T], work: Callable[[T], Awaitable[R]], *, at_once: int) -> list[R]:
    """What the work comes to for every item, in their order.

    The first error ends the others and is raised as it is; so does cancelling this.

    Args:
        items: What to work on.
        work: Done once for each item.
        at_once: How many at a time.
    """
    done: dict[int, R] = {}
    waiting = iter(enumerate(items))

    async def worker() -> None:
        for at, item in waiting:
            done[at] = await work(item)

    tasks = [asyncio.create_task(worker()) for _ in range(min(at_once, len(items)))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return [done[at] for at in range(len(items))]
