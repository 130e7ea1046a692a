"""The same work on many items, a few at a time. Knows tasks; not what the work is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from tunekit.errors import NotFoundError, SpecError, TunekitError

T = TypeVar("T")
R = TypeVar("R")
HOPELESS_AFTER = 10


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


async def outcome_of_each(
    items: Sequence[T], work: Callable[[T], Awaitable[R]], *, at_once: int
) -> list[R | TunekitError]:
    """As `each`, but an item that fails costs itself alone, for the others may have been paid for.

    Where the first `HOPELESS_AFTER` all fail, the rest is not tried: it has the error of the first. That there is no
    such model is raised, unless it has answered before; and so is what no host was asked, for it is nothing to ask.
    """
    failures: list[TunekitError] = []
    went_well = False

    async def outcome(item: T) -> R | TunekitError:
        nonlocal went_well
        if len(failures) >= HOPELESS_AFTER and not went_well:
            return failures[0]
        try:
            found = await work(item)
        except TunekitError as error:
            if isinstance(error, SpecError) or (isinstance(error, NotFoundError) and not went_well):
                raise
            failures.append(error)
            return error
        went_well = True
        return found

    return await each(items, outcome, at_once=at_once)
