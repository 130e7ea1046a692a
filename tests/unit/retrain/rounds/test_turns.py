"""The right to work on a pipeline, taken by a task that is cancelled while it waits for it."""

from __future__ import annotations

import asyncio
import threading

from tunekit.retrain.rounds.turns import turn
from tunekit.store import MemoryStore
from tunekit.store.base import Lease


class Slow(MemoryStore):
    """Whose lease comes only when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.let = threading.Event(), threading.Event()

    def acquire(self, name: str, *, ttl_s: float) -> Lease | None:
        self.asked.set()
        assert self.let.wait(10)
        return super().acquire(name, ttl_s=ttl_s)


async def test_it_is_given_back_by_whoever_was_cancelled_while_he_took_it() -> None:
    store = Slow()

    async def work() -> None:
        async with turn(store, "bot"):
            raise AssertionError("it was cancelled before")

    task = asyncio.create_task(work())
    await asyncio.to_thread(store.asked.wait, 10)
    task.cancel()
    store.let.set()
    await asyncio.wait({task})
    assert task.cancelled()
    async with turn(store, "bot") as lease:
        assert lease is not None
