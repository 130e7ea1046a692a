"""A clock for tests. Knows virtual time: sleeping moves it on at once; it never waits."""

from __future__ import annotations

import asyncio
import threading


class FakeClock:
    """A clock whose `sleep` moves time on instead of waiting. Safe for threads and for several event loops.

    Args:
        start: Unix time it begins with, in seconds.

    Attributes:
        sleeps: Every sleep that was asked for, in seconds, in order.

    Examples:
        >>> import asyncio
        >>> clock = FakeClock(start=100.0)
        >>> asyncio.run(clock.sleep(60))
        >>> clock.now(), clock.sleeps
        (160.0, [60])
    """

    def __init__(self, *, start: float = 1_750_000_000.0) -> None:
        self._lock = threading.Lock()
        self._start = start
        self._elapsed = 0.0
        self.sleeps: list[float] = []

    def now(self) -> float:
        """Unix time in seconds."""
        return self._start + self._elapsed

    def monotonic(self) -> float:
        """Seconds slept so far."""
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self._elapsed += seconds

    async def sleep(self, seconds: float) -> None:
        """Move time on, and let other tasks have a turn."""
        with self._lock:
            self._elapsed += seconds
            self.sleeps.append(seconds)
        await asyncio.sleep(0)
