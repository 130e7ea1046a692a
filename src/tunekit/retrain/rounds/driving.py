"""A round from one state to the next. Knows the order of the steps and what ends a round; each step is elsewhere.

Every step may be done again: a process that is killed leaves the last transition behind, and whoever comes next goes
on from there. What costs money, the job, is handed in exactly once (`jobs.submission`); answers are kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from tunekit.errors import (
    BackendError,
    BudgetError,
    ConflictError,
    EvaluationError,
    InvalidError,
    JobCancelledError,
    JobFailedError,
    MissingExtraError,
    NotFoundError,
    PreflightError,
    TunekitError,
    UnsupportedError,
)
from tunekit.evaluation.running.runner import Progress
from tunekit.events import JobEvent
from tunekit.retrain.rounds import measuring, preparing, training
from tunekit.retrain.rounds.moving import Mover
from tunekit.retrain.rounds.promoting import promote
from tunekit.retrain.rounds.records import Round, RoundState, Transition
from tunekit.retrain.rounds.terms import Terms

RoundEvent: TypeAlias = Transition | JobEvent | Progress
"""What happens in a round: its transitions, the events of its job, the progress of its evaluations."""
OnRoundEvent: TypeAlias = Callable[[RoundEvent], object]

_log = logging.getLogger(__name__)
# What the same code on the same data would run into again. Anything else may pass: the round stays where it is.
_FINAL = (
    InvalidError,
    UnsupportedError,
    PreflightError,
    MissingExtraError,
    NotFoundError,
    JobFailedError,
    JobCancelledError,
    EvaluationError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """Brings rounds of one pipeline forward, while its lease is held.

    Attributes:
        terms: Of the retrainer.
        token: Of the lease: what is written under an older one is refused.
        on_event: Told of everything; what it raises is logged.
    """

    terms: Terms
    token: int
    on_event: OnRoundEvent | None = None

    async def see_through(self, round_: Round) -> Round:
        """Bring a round to where no process has anything to do.

        Raises:
            TunekitError: It cannot go on now; it stays where it is, and goes on when it is driven again. Or it has
                failed, which is written down: its state says which.
        """
        while round_.state.is_at_work:
            told = round_.sequence
            try:
                round_ = await _STEPS[round_.state](self, round_)
            except ConflictError:
                round_ = await self._as_it_stands(round_)
            except TunekitError as error:
                if _is_final(error):
                    await self._failed(round_.round_id, error)
                raise
            finally:
                await self._tell_since(round_.round_id, told)
        return round_

    @property
    def mover(self) -> Mover:
        """Who writes transitions down."""
        return Mover(rounds=self.terms.rounds, clock=self.terms.clock, token=self.token)

    async def move(self, round_: Round, state: RoundState, **changes: Any) -> Round:
        """See `Mover.move`."""
        return await asyncio.to_thread(self.mover.move, round_, state, **changes)

    def tell(self, event: RoundEvent) -> None:
        """Call the listener; its trouble is not the round's."""
        if self.on_event is None:
            return
        try:
            self.on_event(event)
        except Exception:
            _log.exception("on_event raised; the round goes on")

    async def within(self, round_: Round, work: Awaitable[None]) -> None:
        """Wait for a part of the work, as long as there is time left and nobody stops the round.

        Raises:
            BudgetError: The time of the budget is over.
            ConflictError: Somebody has moved the round: it is not ours any more.
        """
        task = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait({task}, timeout=_LOOK_S))[0]:
                await self._still_ours(round_)
            await task
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    async def _still_ours(self, round_: Round) -> None:
        stored = await asyncio.to_thread(self.terms.rounds.get, round_.round_id)
        if stored is None or stored.sequence != round_.sequence:
            raise ConflictError(
                f"round {round_.round_id!r} was moved by somebody else", hint="look at its transitions"
            )
        limit = self.terms.budget.max_seconds
        begun = next(
            (
                each.at
                for each in await asyncio.to_thread(self.terms.rounds.transitions, round_.round_id)
                if each.state is RoundState.PREPARING
            ),
            round_.created_at,
        )
        if limit is not None and self.terms.clock.now() - begun > limit:
            raise BudgetError(
                f"round {round_.round_id!r} has taken more than {limit:g} s",
                hint="give it more time with budget=Budget(max_seconds=...), or less to do",
            )

    async def _tell_since(self, round_id: str, sequence: int) -> None:
        """What was written down meanwhile."""
        if self.on_event is not None:
            for each in await asyncio.to_thread(self.terms.rounds.transitions, round_id):
                if each.sequence > sequence:
                    self.tell(each)

    async def _failed(self, round_id: str, error: TunekitError) -> None:
        stored = await asyncio.to_thread(self.terms.rounds.get, round_id)  # a step may have moved it before
        if stored is not None and stored.state.is_at_work:
            await asyncio.to_thread(self.mover.fail, stored, error)

    async def _as_it_stands(self, round_: Round) -> Round:
        """What somebody else made of a round while we worked on it."""
        stored = await asyncio.to_thread(self.terms.rounds.get, round_.round_id)
        if stored is None or (stored.sequence == round_.sequence and stored.state.is_at_work):
            raise ConflictError(
                f"round {round_.round_id!r} cannot go on from {round_.state}", hint="look at its transitions"
            )
        return stored


async def _promote(driver: Driver, round_: Round) -> Round:
    return await asyncio.to_thread(promote, driver.mover, driver.terms.registry, round_)


def _is_final(error: TunekitError) -> bool:
    if isinstance(error, BackendError):
        return not (error.retryable or error.ambiguous)
    return isinstance(error, _FINAL)


_LOOK_S = 1.0
_STEPS: dict[RoundState, Callable[[Driver, Round], Awaitable[Round]]] = {
    RoundState.REQUESTED: preparing.begin,
    RoundState.PREPARING: preparing.prepare,
    RoundState.TRAINING: training.train,
    RoundState.EVALUATING: measuring.evaluate,
    RoundState.PROMOTING: _promote,
}
