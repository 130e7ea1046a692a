"""What each event loop has for itself: seats with a client each. Knows loops, threads and forks; no HTTP.

Connections belong to the loop that opened them and to the process. So every loop has a lane of its own, which is closed
when the loop ends or nobody has the transport any more; a process that was forked leaves its parent's alone.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

_log = logging.getLogger(__name__)


class Closing(Protocol):
    """What can be closed."""

    async def aclose(self) -> None:
        """Let go of it."""


C = TypeVar("C", bound=Closing)
T = TypeVar("T")


class Seat(Generic[C]):
    """Room for one exchange at a time.

    Args:
        client: What speaks to the host; nobody else uses it meanwhile.

    Attributes:
        spoilt: Whether something went wrong in the middle; then the client is closed, and not used again.
        free_since_s: Time of the loop at which it was last given back.
    """

    def __init__(self, client: C) -> None:
        self.client = client
        self.spoilt = False
        self.free_since_s = 0.0


class Lane(Generic[C]):
    """The seats of one event loop, and whoever has one.

    Args:
        make: Makes a client.
        connections: How many seats there are.
        drain_s: How long it lets go on what nobody waits for any more.
        idle_s: How long a client is kept that nobody uses.

    Attributes:
        closed: Whether it has been closed, or is about to be.
    """

    def __init__(self, make: Callable[[], C], *, connections: int, drain_s: float, idle_s: float) -> None:
        self.closed = False
        self.pid = os.getpid()
        self.loop = asyncio.get_running_loop()
        self._make = make
        self._drain_s = drain_s
        self._idle_s = idle_s
        self._slots = asyncio.Semaphore(connections)
        self._free: deque[Seat[C]] = deque()  # the longest unused one comes first
        self._seats: set[Seat[C]] = set()  # with those that are taken
        # Of both kinds: a loop holds its tasks weakly.
        self._working: set[asyncio.Task[Any]] = set()
        self._behind: set[asyncio.Task[Any]] = set()
        self._ending: asyncio.Task[None] | None = None
        self._is_bound = True
        self._life = self._until_closed()

    async def open(self) -> None:
        """Bind the lane's life to the loop's: a loop that ends closes its asynchronous generators first."""
        await anext(self._life)

    async def _until_closed(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            if self._is_bound:
                self._is_bound = False
                await asyncio.wait({ending := self.end()})
                if ending.cancelled():  # `asyncio.run` cancels all tasks before it comes to this
                    await self._shut()

    async def take(self) -> Seat[C] | None:
        """Wait for a seat; None where the lane is closed."""
        await self._slots.acquire()
        seat = None
        try:
            if not self.closed:
                seat = self._free.pop() if self._free else Seat(self._make())
                self._seats.add(seat)
            return seat
        finally:
            if seat is None:
                self._slots.release()

    def give_back(self, seat: Seat[C]) -> None:
        """End the use of a seat."""
        self._slots.release()
        if self.closed:
            return  # all seats are being closed
        if seat.spoilt:
            self.background(self._close(seat))
            return
        seat.free_since_s = now_s = self.loop.time()
        self._free.append(seat)
        while self._free[0].free_since_s < now_s - self._idle_s:
            self.background(self._close(self._free.popleft()))

    def work(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do something with a client, in a task that outlives whoever waits for it."""
        task = self.loop.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._worked)
        return task

    def _worked(self, task: asyncio.Task[Any]) -> None:
        self._working.discard(task)
        if not task.cancelled():
            task.exception()  # of a task that was left behind nobody asks how it ended, which asyncio would log

    def background(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that nobody waits for."""
        task = self.loop.create_task(work)
        self._behind.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._behind.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.debug("a connection that was given up ended with %s", type(error).__name__)

    async def drain(self, task: asyncio.Task[Any]) -> None:
        """Let a task that was left behind come to its end, or put it to one."""
        await asyncio.wait({task}, timeout=self._drain_s)
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=self._drain_s)

    def end(self) -> asyncio.Task[None]:
        """Begin to close, in the thread of the loop."""
        if self._ending is None:
            self.closed = True
            self._ending = self.loop.create_task(self._shut())
        return self._ending

    async def aclose(self) -> None:
        """End all that is under way, and close the clients. Goes on where whoever waits for it is cancelled."""
        await asyncio.shield(self.end())

    async def _shut(self) -> None:
        try:
            # A client that is closed under a connection that it is about to open would let it open all the same.
            for task in self._working:
                task.cancel()
            if left := self._working | self._behind:
                await asyncio.wait(left, timeout=self._drain_s)
        finally:
            await asyncio.gather(*map(self._close, self._seats))
        if self._is_bound:
            self._is_bound = False
            await self._life.aclose()

    async def _close(self, seat: Seat[C]) -> None:
        await seat.client.aclose()
        self._seats.discard(seat)


class Lanes(Generic[C]):
    """The lanes of one transport.

    Args:
        make: Makes a client for the running loop. It must not hold the transport, which could never be dropped then.
        connections: How many seats each loop has.
        drain_s: How long a lane lets go on what nobody waits for any more.
        idle_s: How long a client is kept that nobody uses.
    """

    def __init__(self, make: Callable[[], C], *, connections: int, drain_s: float, idle_s: float) -> None:
        self._make = make
        self._connections = connections
        self._drain_s = drain_s
        self._idle_s = idle_s
        self._lanes: dict[asyncio.AbstractEventLoop, Lane[C]] = {}
        self._inherited: list[Lane[C]] = []

    async def here(self) -> Lane[C]:
        """The lane of the running loop."""
        loop = asyncio.get_running_loop()
        lane = self._lanes.get(loop)
        if lane is None or lane.closed or lane.pid != os.getpid():
            self._forget()
            lane = self._lanes[loop] = Lane(
                self._make, connections=self._connections, drain_s=self._drain_s, idle_s=self._idle_s
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
        """Close the lanes of all loops that run; those of the others close when they run again, or end."""
        self._forget()
        lanes = [self._lanes.pop(loop) for loop in list(self._lanes)]
        for lane in lanes:
            if lane.loop is asyncio.get_running_loop():
                await lane.aclose()
            elif lane.loop.is_running():
                closing = asyncio.run_coroutine_threadsafe(lane.aclose(), lane.loop)
                # A loop that stops at this moment never answers.
                await asyncio.wait({asyncio.wrap_future(closing)}, timeout=2 * self._drain_s + 1.0)
            else:
                _end_soon(lane)

    def let_go(self) -> None:
        """Close each lane as soon as its loop comes to it, from any thread and without waiting."""
        for lane in list(self._lanes.values()):
            if lane.pid == os.getpid():
                _end_soon(lane)


def _end_soon(lane: Lane[Any]) -> None:
    with suppress(RuntimeError):  # the loop has ended, and had its chance to close its generators
        lane.loop.call_soon_threadsafe(lane.end)
