"""How fast a host may be asked. Knows minutes, requests and tokens; not what is asked."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from tunekit._clock import Clock
from tunekit.backends.base import Backend
from tunekit.evaluation.running.runner import Bounds


@dataclass(slots=True)
class _Allowance:
    """So much in a minute, spread evenly: what is taken now delays what comes next."""

    per_minute: float
    free_at: float = 0.0

    def take(self, amount: float, now: float) -> float:
        """Seconds to wait before this much may be used."""
        starts = max(self.free_at, now)
        self.free_at = starts + amount * 60.0 / self.per_minute
        return starts - now

    def correct(self, amount: float) -> None:
        """It was more by this much than was taken, or less."""
        self.free_at += amount * 60.0 / self.per_minute


@dataclass(slots=True, kw_only=True)
class Pace:
    """Holds up requests so that a host's limits are kept. May be shared by evaluations in several threads.

    How many tokens an answer takes is known only afterwards, so the mean of those before is expected, and the next
    request waits for the difference. The first answers are expected to take none.

    Args:
        clock: What is waited by.
        requests_per_minute: None is no limit.
        tokens_per_minute: Of prompts and answers; None is no limit.
    """

    clock: Clock
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    _requests: _Allowance | None = field(init=False)
    _tokens: _Allowance | None = field(init=False)
    _answered: int = field(default=0, init=False)
    _used: int = field(default=0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self._requests = _Allowance(self.requests_per_minute) if self.requests_per_minute else None
        self._tokens = _Allowance(self.tokens_per_minute) if self.tokens_per_minute else None

    async def admit(self, requests: int) -> float:
        """Wait until so many requests may be sent.

        Returns:
            The tokens that they are expected to take, for `used`.
        """
        if self._requests is None and self._tokens is None:
            return 0.0
        with self._lock:
            now = self.clock.monotonic()
            expected = requests * self._used / max(1, self._answered)
            waits = [
                self._requests.take(requests, now) if self._requests else 0.0,
                self._tokens.take(expected, now) if self._tokens else 0.0,
            ]
        if max(waits) > 0.0:
            await self.clock.sleep(max(waits))
        return expected

    def used(self, requests: int, tokens: int, *, expected: float) -> None:
        """What they took, in place of what was expected."""
        with self._lock:
            self._answered += requests
            self._used += tokens
            if self._tokens is not None:
                self._tokens.correct(tokens - expected)


class Paces:
    """One pace for each backend, shared by all that ask it for one evaluator."""

    def __init__(self) -> None:
        self._of: dict[tuple[str, str], Pace] = {}

    def of(self, backend: Backend, bounds: Bounds) -> Pace:
        """How fast this one may be asked."""
        made = Pace(
            clock=backend.clock,
            requests_per_minute=bounds.requests_per_minute,
            tokens_per_minute=bounds.tokens_per_minute,
        )
        return self._of.setdefault((backend.name, backend.place), made)
