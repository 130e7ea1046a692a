"""How much this process may make again. Knows costs, not calls.

When a service is down, every caller that tries again makes it worse. All transports of a process share one bucket, as
botocore's "standard" mode has it (botocore/retries/quota.py): full in good times, and empty soon in bad ones, so that
then each call is made about once.
"""

from __future__ import annotations

import os
import threading

CAPACITY = 500
THROTTLED_COST = 5
FAILED_COST = 14


class RetryQuota:
    """A bucket of permission to make calls again.

    Args:
        capacity: What it holds at first, and at most.

    Examples:
        >>> quota = RetryQuota(20)
        >>> quota.take(14), quota.take(14)
        (True, False)
        >>> quota.give_back(14)
        >>> quota.left
        20
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._left = capacity
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        """What it holds now."""
        return self._left

    def take(self, cost: int) -> bool:
        """Take the cost of one more attempt; False, and nothing taken, if there is not as much."""
        with self._lock:
            if cost > self._left:
                return False
            self._left -= cost
            return True

    def give_back(self, cost: int) -> None:
        """Put back what the last attempt of a call had cost, because it went well."""
        with self._lock:
            self._left = min(self._capacity, self._left + cost)

    def renew_lock(self) -> None:
        """Forget the lock, which a thread of the parent process may have held at the moment of a fork."""
        self._lock = threading.Lock()


PROCESS_QUOTA = RetryQuota()
"""What all transports of this process share."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=PROCESS_QUOTA.renew_lock)
