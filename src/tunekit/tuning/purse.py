"""What many jobs may cost together. Knows sums and limits; asks no backend and stops no job.

The budget in a spec is for one job, and is part of what that job is. This one is for all of them and changes no spec:
a search that is called again with more money finds its old jobs.
"""

from __future__ import annotations

import asyncio

from tunekit.spec import Budget
from tunekit.tuning.measured import Measured


class Purse:
    """Lets jobs go as long as what they will have cost, together, stays within a budget.

    What a job will cost is taken from those that have ended, in proportion to its work. So with a budget the first
    goes alone, and the sum can be exceeded by no more than jobs turn out dearer than those before them.

    Args:
        budget: For all jobs together.
    """

    def __init__(self, budget: Budget) -> None:
        self._limits = (budget.max_usd, budget.max_seconds)
        self._spent = [0.0, 0.0]
        self._dearest = [0.0, 0.0]
        self._under_way: list[float] = []
        self._ended = 0
        self._why = ""
        self._turn = asyncio.Condition()

    @property
    def is_limited(self) -> bool:
        """Whether there is any limit at all."""
        return any(limit is not None for limit in self._limits)

    async def refusal(self, work: float, *, is_paid: bool) -> str:
        """Why a job of this much work may not go; "" once it may, and then it counts as under way.

        Waits while nobody knows what a job costs and one that will tell is under way.

        Args:
            work: How much work it is, next to the others.
            is_paid: Whether the job was sent by an earlier call: it counts, and goes in any case.
        """
        async with self._turn:
            if not is_paid:
                await self._turn.wait_for(lambda: not self.is_limited or self._ended or not self._under_way)
            why = "" if is_paid else self._why or self._too_much(work)
            if not why:
                self._under_way.append(work)
            return why

    async def settle(self, work: float, done: Measured | None) -> None:
        """A job of this much work is no longer under way; if it ran, this is what came of it."""
        async with self._turn:
            self._under_way.remove(work)
            if done is not None and done.run_id:
                self._count(work, done)
            self._turn.notify_all()

    def _count(self, work: float, done: Measured) -> None:
        self._ended += 1
        usd = done.cost_usd
        if usd is None and done.outcome == "failed":
            usd = self._dearest[0] * work  # at most as if it had gone on to its end
        if usd is None and self._limits[0] is not None:
            self._why = f"what run {done.run_id} has cost is not known, so budget.max_usd could not be kept"
        for at, amount in enumerate((usd or 0.0, done.seconds)):
            self._spent[at] += amount
            self._dearest[at] = max(self._dearest[at], amount / work)

    def _too_much(self, work: float) -> str:
        for at, (limit, name) in enumerate(zip(self._limits, ("max_usd", "max_seconds"), strict=True)):
            # What is spent and what is under way are told as one sum: which is which depends on who was fast.
            coming = self._spent[at] + self._dearest[at] * (sum(self._under_way) + work)
            if limit is not None and coming > limit:
                return f"budget.{name} is {limit:g}, and with this job all would come to about {coming:.4g}"
        return ""
