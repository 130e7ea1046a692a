"""Words for leaving early, shared by everything that may be left. Knows nothing else.

Almost all work asks between two forward passes. A signal may also break into the middle of work that is marked with
`AtOnce`, which must have changed nothing until it is done.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import Enum
from typing import TypeAlias


class Stop(Enum):
    """Why to leave.

    Attributes:
        CANCELLED: For good.
        INTERRUPTED: This process must go; the next one goes on.
        PAUSED: Until somebody resumes the run.
    """

    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    PAUSED = "paused"


class Stopped(BaseException):
    """Told to stop in the middle of something. No `Exception`: what is raised by a signal must reach the top.

    Args:
        reason: Why to leave.
    """

    def __init__(self, reason: Stop) -> None:
        super().__init__(reason)
        self.reason = reason


AskStop: TypeAlias = Callable[[], Stop | None]
"""Asked often; why to leave, or None."""

AtOnce: TypeAlias = Callable[[], AbstractContextManager[None]]
"""Around work that may be left in its very middle. Raises `Stopped` there."""


def raise_if_stopped(stop: AskStop) -> None:
    """Raise `Stopped` if there is a reason to leave."""
    reason = stop()
    if reason is not None:
        raise Stopped(reason)
