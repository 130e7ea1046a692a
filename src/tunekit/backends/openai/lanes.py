"""What each event loop has for itself: a client, and a number of calls at once. Knows loops and forks; no HTTP.

Connections belong to the loop that opened them and to the process. So every loop has its own client, which is closed
when the loop ends; a process that was forked leaves its parent's alone.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, Generic, Protocol, TypeVar

_log = logging.getLogger(__name__)


class Closing(Protocol):
    """What can be closed."""

    async def aclose(self) -> None:
        """Let go of it."""


C = TypeVar("C", bound=Closing)


class Lane(Generic[C]):
    """The client of one event loop, and whoever uses it.

    Args:
        client: What speaks to the host.
        connections: How many may use it at once.
        drain_s: How long it lets go on what nobody waits for any more.

    Attributes:
        slots: Take one before `enter`.
        spoilt: Whether something had to be cancelled; then nobody begins anything here any more.
    """

    def __init__(self, client: C, *, connections: int, drain_s: float) -> None:
        self.client = client
        self.slots = asyncio.Semaphore(connections)
        self.spoilt = False
        self.pid = os.getpid()
        self.loop = asyncio.get_running_loop()
        self._drain_s = drain_s
        self._users = 0
        self._closing = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._life = self._until_closed()

    async def open(self) -> None:
        """Bind the client's life to the loop's: a loop that ends closes its asynchronous generators first."""
        await anext(self._life)

    async def aclose(self) -> None:
        """Close the client, whatever it does."""
        if not self._closing:
            self._closing = True
            await self._life.aclose()

    async def _until_closed(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await self.client.aclose()

    def enter(self) -> None:
        """Begin to use the client; a slot is held."""
        self._users += 1

    def leave(self) -> None:
        """Give the slot back. The last to leave a spoilt lane closes it."""
        self._users -= 1
        self.slots.release()
        if self.spoilt and not self._users:
            self.background(self.aclose())

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that nobody waits for."""
        task = self.loop.create_task(work)
        self._tasks.add(task)  # a loop holds its tasks weakly
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.debug("a connection that was given up ended with %s", type(error).__name__)

    async def drain(self, task: asyncio.Task[Any]) -> None:
        """Let a task that was left behind come to its end, or put it to one and give the lane up."""
        await asyncio.wait({task}, timeout=self._drain_s)
        if not task.done():
            self.spoilt = True
            task.cancel()
            await asyncio.wait({task}, timeout=self._drain_s)


class Lanes(Generic[C]):
    """The lanes of one transport.

    Args:
        make: Makes a client for the running loop.
        connections: How many may use a client at once.
        drain_s: How long a lane lets go on what nobody waits for any more.
    """

    def __init__(self, make: Callable[[], C], *, connections: int, drain_s: float) -> None:
        self._make = make
        self._connections = connections
        self._drain_s = drain_s
        self._lanes: dict[asyncio.AbstractEventLoop, Lane[C]] = {}
        self._inherited: list[Lane[C]] = []

    async def here(self) -> Lane[C]:
        """The lane of the running loop."""
        loop = asyncio.get_running_loop()
        lane = self._lanes.get(loop)
        if lane is None or lane.spoilt or lane.pid != os.getpid():
            self._forget()
            lane = self._lanes[loop] = Lane(
                self._make(), connections=self._connections, drain_s=self._drain_s
            )
            await lane.open()
        return lane

    def _forget(self) -> None:
        """Drop the lanes of loops that have ended, and keep those of a parent process, unused."""
        for loop, lane in list(self._lanes.items()):
            if lane.pid != os.getpid():
                # Not closed, not even by the garbage collector: the parent's hosts would hear it.
                self._inherited.append(self._lanes.pop(loop))
            elif loop.is_closed():
                self._lanes.pop(loop, None)

    async def aclose(self) -> None:
        """Close the lanes of all loops that run; those of the others end with them."""
        self._forget()
        here = asyncio.get_running_loop()
        lanes = [self._lanes.pop(loop) for loop in list(self._lanes)]
        for lane in lanes:
            if lane.loop is here:
                await lane.aclose()
            elif lane.loop.is_running():
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(lane.aclose(), lane.loop))
