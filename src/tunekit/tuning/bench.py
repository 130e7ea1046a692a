"""Trains one spec and scores it on dev, exactly once per spec and data. Knows jobs and an evaluator; chooses nothing.

Whatever goes wrong with one job is what that job came to, and not an exception, except a store that cannot be written:
without it nothing can be sent at all.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from tunekit._settings import Settings
from tunekit.backends.base import Backend, Snapshot, SubmitRequest
from tunekit.backends.capabilities import preflight
from tunekit.errors import NotFoundError, SpecError, StorageError, TunekitError, UnknownOutcomeError
from tunekit.evaluation.evaluator import Evaluator
from tunekit.evaluation.results import Evaluation
from tunekit.evaluation.selection import deciding
from tunekit.jobs import outcome
from tunekit.jobs.desk import Desk
from tunekit.jobs.intent import draft_run
from tunekit.jobs.job import FineTuneJob
from tunekit.records import RunRecord
from tunekit.refs import ModelRef, Target
from tunekit.spec import Budget, TuneSpec
from tunekit.store.base import RunStore
from tunekit.store.sqlite import SqliteStore
from tunekit.tuning.measured import Measured
from tunekit.tuning.purse import Purse

if TYPE_CHECKING:
    from tunekit.data.dataset import Dataset

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where specs are tried out: a target, its backend and store, and the evaluator that scores what comes of them.

    Attributes:
        target: What is trained where.
        evaluator: Scores on dev.
        metric: The scorer whose mean is the score.
        validation: Held-out examples for metrics during training, or None.
        desk: Backend and store.
        budget: For all jobs together.
        retry_failed: Whether a job that was accepted and failed is tried once more by a later call.
    """

    target: Target
    evaluator: Evaluator
    metric: str
    validation: Dataset | None
    desk: Desk
    budget: Budget
    retry_failed: bool
    purse: Purse
    _evaluating: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    def open(
        cls,
        target: str,
        evaluator: Evaluator,
        *,
        metric: str | None,
        validation: Dataset | None,
        backend: Backend | None,
        store: RunStore | None,
        settings: Settings | None,
        budget: Budget | None,
        retry_failed: bool,
    ) -> Bench:
        """A bench with defaults for what is None.

        Raises:
            SpecError: The evaluator has no such scorer, or the price of a job is not known and has a limit.
            NotFoundError: No such backend is installed.
        """
        wanted, limits = Target(target), budget or Budget()
        settings = settings or Settings()
        store = SqliteStore(settings) if store is None else store
        desk = Desk.open(wanted.backend, backend, store, settings)
        _check_budget(limits, desk.backend, wanted)
        return cls(
            target=wanted,
            evaluator=evaluator,
            metric=deciding(evaluator, metric),
            validation=validation,
            desk=desk,
            budget=limits,
            retry_failed=retry_failed,
            purse=Purse(limits),
        )

    async def ready(self) -> None:
        """Refuse a base model that is none, before anything is sent.

        Raises:
            ModelError: It is none.
        """
        await self.desk.backend.identify(self.target.id)

    def check(self, train: Dataset, spec: TuneSpec) -> None:
        """Refuse what does not fit the backend, before anything is sent.

        Raises:
            PreflightError: Naming everything that does not fit.
        """
        today = datetime.fromtimestamp(self.desk.clock.now(), tz=UTC).date()
        capabilities = self.desk.backend.capabilities
        preflight(spec, train, self.validation, capabilities, backend=self.target.backend, today=today)

    async def measure(
        self, train: Dataset, spec: TuneSpec, *, work: float
    ) -> tuple[Measured, Evaluation | None]:
        """Train this spec, or find the job that did, and score its model.

        Args:
            train: Training examples.
            spec: The recipe.
            work: How much work the job is, next to the others.
        """
        try:
            trained = await self._train(train, spec, work)
        except StorageError:
            raise
        except TunekitError as error:
            refused = Measured(outcome=_unsent(error), error=_words(error))
            return refused, None
        if trained.outcome != "scored":
            return trained, None
        return await self._score(trained)

    def higher_is_better(self, evaluations: Iterable[Evaluation | None]) -> bool:
        """Which way is up, as the results say."""
        known = (found[self.metric] for found in evaluations if found is not None)
        # A metric that says nothing of it is a score, and of scores higher is always better.
        return next((getattr(metric, "higher_is_better", True) for metric in known), True)

    async def _train(self, train: Dataset, spec: TuneSpec, work: float) -> Measured:
        """What became of the job; "scored" if there is a model to score."""
        known = await self._known(train, spec)
        is_old = known is not None and self._stands(known)
        if why := await self.purse.refusal(work, is_paid=is_old):
            return Measured(outcome="not sent", error=why)
        done = None
        try:
            job = await (self._attached(known) if known and is_old else self._submitted(train, spec))
            done = await self._ended(job)
        finally:
            await self.purse.settle(work, done)
        return done

    async def _known(self, train: Dataset, spec: TuneSpec) -> RunRecord | None:
        """The latest run of these data and this spec, if the store has one."""
        request = SubmitRequest(
            model=self.target.id, spec=spec, train=train, validation=self.validation, idempotency_key=""
        )
        draft = await draft_run(self.desk.backend, request, now=self.desk.clock.now())
        return await asyncio.to_thread(_latest, self.desk.store, draft.run_id)

    def _stands(self, record: RunRecord) -> bool:
        """Whether an earlier run is taken as it is. Only what was accepted can have cost anything."""
        may_again = self.retry_failed or (record.error is not None and record.error.retryable)
        return bool(record.job_id) and not (record.is_closed and may_again)

    async def _attached(self, record: RunRecord) -> FineTuneJob:
        # Not `submit`: a job that has failed since would be followed by another one.
        return await FineTuneJob.attach_async(
            f"{self.target.backend}:{record.run_id}",
            backend=self.desk.given,
            store=self.desk.store,
            settings=self.desk.settings,
        )

    async def _submitted(self, train: Dataset, spec: TuneSpec) -> FineTuneJob:
        return await FineTuneJob.submit_async(
            train,
            self.target,
            spec,
            validation=self.validation,
            backend=self.desk.given,
            store=self.desk.store,
            settings=self.desk.settings,
        )

    async def _ended(self, job: FineTuneJob) -> Measured:
        """Wait for the end of the job."""
        try:
            seen = await job.wait_async()
        except StorageError:
            raise
        except TunekitError as error:
            return Measured(outcome="unknown", run_id=job.run_id, error=_words(error))
        facts: dict[str, Any] = {
            "run_id": job.run_id,
            "cost_usd": self._cost(seen),
            "seconds": _seconds(job, seen),
        }
        try:
            model = outcome.model_of(job.ref, seen)
        except TunekitError as error:
            return Measured(outcome="failed", error=_words(error), **facts)
        return Measured(outcome="scored", model=str(model), **facts)

    async def _score(self, trained: Measured) -> tuple[Measured, Evaluation | None]:
        model = ModelRef(trained.model)
        try:
            async with self._evaluating:  # one at a time: two models at once may not fit in memory
                found = await self.evaluator.run_async(model, backend=self.desk.backend)
        except TunekitError as error:
            _log.warning("model %s could not be scored: %s", model, error.message)
            return trained.model_copy(update={"outcome": "unscored", "error": _words(error)}), None
        facts = {"score": found[self.metric].value, "warnings": found.warnings}
        return trained.model_copy(update=facts), found

    def _cost(self, seen: Snapshot) -> float | None:
        rate, tokens = self.budget.usd_per_million_tokens, seen.usage.trained_tokens if seen.usage else 0
        return tokens * rate / 1e6 if seen.cost_usd is None and rate and tokens else seen.cost_usd


async def together(work: Sequence[Coroutine[Any, Any, T]], *, concurrency: int) -> list[T]:
    """The results in order, `concurrency` at a time. The first exception ends all of it; the jobs themselves go on."""
    room = asyncio.Semaphore(concurrency)

    async def in_turn(one: Coroutine[Any, Any, T]) -> T:
        async with room:
            return await one

    tasks = [asyncio.create_task(in_turn(one)) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for one in work:
            one.close()  # what never got its turn; without this it would be warned of


def _latest(store: RunStore, run_id: str) -> RunRecord | None:
    """The last attempt of a run: `RunStore.claim` counts them up in their ids."""
    found = None
    for attempt in count(1):
        try:
            found = store.get(run_id if attempt == 1 else f"{run_id}-{attempt}")
        except NotFoundError:
            break
    return found


def _check_budget(budget: Budget, backend: Backend, target: Target) -> None:
    if budget.max_usd is None or budget.usd_per_million_tokens is not None:
        return
    if backend.price(target.id, TuneSpec()) is None:
        raise SpecError(
            f"budget.max_usd cannot be kept: the price of {str(target)!r} is not known here",
            hint="name it with Budget(usd_per_million_tokens=...)",
        )


def _unsent(error: TunekitError) -> Any:
    return "unknown" if isinstance(error, UnknownOutcomeError) else "refused"


def _words(error: TunekitError) -> str:
    return f"{error.message} ({error.hint})" if error.hint else error.message


def _seconds(job: FineTuneJob, seen: Snapshot) -> float:
    if seen.usage is not None and seen.usage.seconds:
        return seen.usage.seconds
    # The store's own times, so that a later call finds the same.
    return max(0.0, job.record.updated_at - job.record.created_at) if job.record is not None else 0.0
