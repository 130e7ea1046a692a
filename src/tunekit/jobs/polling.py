"""How to wait for something that has to be asked. Knows pauses and retries of reads; not what is asked."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from tunekit._clock import Clock
from tunekit.errors import TunekitError

T = TypeVar("T")

LONGEST_ASKED_S = 3600.0
FIRST_PAUSE_S = 0.1
READ_DEADLINE_S = 300.0
"""How long a read may keep failing before its error is the caller's: the length of a service's restart."""


def pauses(longest_s: float, *, first_s: float = FIRST_PAUSE_S) -> Iterator[float]:
    """Pauses in seconds that double from `first_s` up to `longest_s`, for ever.

    Examples:
        >>> from itertools import islice
        >>> list(islice(pauses(0.5), 5))
        [0.1, 0.2, 0.4, 0.5, 0.5]
    """
    pause = min(first_s, longest_s)
    while True:
        yield pause
        pause = min(2 * pause, longest_s)


def asked_s(error: Exception) -> float:
    """For how long a service asks to be left alone, in seconds, up to an hour; 0 where it does not say."""
    said = error.details.get("retry_after_s") if isinstance(error, TunekitError) else None
    return min(said, LONGEST_ASKED_S) if isinstance(said, int | float) and said > 0 else 0.0


def is_transient(error: Exception) -> bool:
    """Whether the same read may well work a moment later."""
    if isinstance(error, TunekitError):
        return error.retryable
    return isinstance(error, (TimeoutError, ConnectionError))


class Deadline:
    """A moment after which a caller no longer waits. Real time: it is the caller's patience that runs out.

    Args:
        timeout_s: Seconds from now on; None never ends.
    """

    def __init__(self, timeout_s: float | None) -> None:
        self.timeout_s = timeout_s
        self._ends = None if timeout_s is None else time.monotonic() + timeout_s

    @property
    def left_s(self) -> float | None:
        """Seconds that are left, never below 0; None for ever."""
        return None if self._ends is None else max(0.0, self._ends - time.monotonic())


class Patience:
    """How long failing reads are borne: until `READ_DEADLINE_S` of nothing but failures.

    Args:
        clock: Time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failing_since: float | None = None

    def bear(self, error: Exception) -> float:
        """Note a failed read: for how many seconds reads have been failing. Raises it when that is enough."""
        if self._failing_since is None:
            self._failing_since = self._clock.monotonic()
        failing_s = self._clock.monotonic() - self._failing_since
        if not is_transient(error) or failing_s > READ_DEADLINE_S:
            self._failing_since = None
            raise error
        return failing_s

    def restore(self) -> None:
        """Note a read that worked."""
        self._failing_since = None


async def until(
    look: Callable[[], Awaitable[T]], done: Callable[[T], bool], clock: Clock, longest_pause_s: float
) -> T:
    """Look again and again, with growing pauses, until what is seen is what is waited for."""
    patience = Patience(clock)
    for pause in pauses(longest_pause_s):
        try:
            seen = await look()
        except Exception as error:
            patience.bear(error)
            pause = max(pause, asked_s(error))
        else:
            patience.restore()
            if done(seen):
                return seen
        await clock.sleep(pause)
    raise AssertionError("pauses never end")
