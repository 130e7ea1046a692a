"""Asks a model many things at once. Knows batches, bounds and failures; not what is asked or what an answer is worth.

A batch whose backend says what came of each item (`PartialError`) is left at that. Any other that fails is asked again
one by one, so that one impossible item costs only itself. Some failures are of the whole run (no such model, the
backend cannot do this) and end it at once, and so does a run whose first items all fail: an outage must not be paid
for item by item.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from tunekit._clock import Clock, SystemClock
from tunekit.backends.base import PartialError
from tunekit.errors import (
    BackendError,
    BudgetError,
    EvaluationError,
    MissingExtraError,
    ModelError,
    NotFoundError,
    RefError,
    SpecError,
    UnsupportedError,
)

logger = logging.getLogger(__name__)

Q = TypeVar("Q")
A = TypeVar("A")
N = TypeVar("N")
Phase: TypeAlias = Literal["generate", "score"]

_FATAL = (BudgetError, MissingExtraError, ModelError, NotFoundError, RefError, SpecError, UnsupportedError)
_HOPELESS_AFTER = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far one model's evaluation is.

    Attributes:
        model: The model that is asked.
        phase: "generate" for answers, "score" for log-probabilities.
        done: Items answered or failed.
        total: Items in this phase.
        errors: Items that failed.
        cached: Of those that are done, how many were answered in an earlier evaluation.
        spent_usd: What the answers cost so far, where that is limited; None where it is not.
    """

    model: str
    phase: Phase
    done: int
    total: int
    errors: int
    cached: int = 0
    spent_usd: float | None = None


ProgressCallback: TypeAlias = Callable[[Progress], object]


@dataclass(frozen=True, slots=True)
class Failed:
    """An item that could not be asked or scored."""

    error: Exception

    def __str__(self) -> str:
        return f"{type(self.error).__name__}: {self.error}".partition("\n")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How hard a backend is asked.

    Attributes:
        batch_size: Items in one call.
        concurrency: Calls at the same time.
        requests_per_minute: Items asked in a minute; None is no limit.
        tokens_per_minute: Tokens of prompts and answers in a minute; None is no limit.
        max_usd: What one model's answers may cost; None is no limit.
    """

    batch_size: int = 32
    concurrency: int = 4
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    max_usd: float | None = None

    def __post_init__(self) -> None:
        for name in ("batch_size", "concurrency"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise SpecError(
                    f"{name} must be a whole number, 1 or more, not {value!r}",
                    hint="leave it out for the default",
                )
        for name in ("requests_per_minute", "tokens_per_minute", "max_usd"):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and 0 < value < math.inf):
                raise SpecError(f"{name} must be above 0, not {value!r}", hint="leave it out for no limit")

    def one_by_one(self, apart: int = 1) -> Bounds:
        """Single items, as many at the same time as calls of so many."""
        return replace(self, batch_size=1, concurrency=self.concurrency * apart)


async def ask_all(
    ask: Callable[[Sequence[Q]], Awaitable[Sequence[A]]],
    questions: Sequence[Q],
    *,
    bounds: Bounds,
    on_progress: Callable[[int, int], None],
    keep: Callable[[Sequence[Q], Sequence[object], float], None] | None = None,
) -> list[A | Failed]:
    """The answer to each question, in order; `Failed` where there is none.

    Args:
        ask: Answers a batch, in order.
        questions: What to ask.
        bounds: Batch size and concurrency.
        on_progress: Called with items done and items failed after every batch.
        keep: Called with a batch, what came of each of its questions, and the seconds that took.

    Raises:
        TunekitError: A failure of the whole run, as the backend raised it.
        EvaluationError: The first items all failed.
    """
    run = _Run(ask=ask, questions=questions, on_progress=on_progress, keep=keep)
    starts = iter(range(0, len(questions), bounds.batch_size))
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(bounds.concurrency, len(questions))):
                group.create_task(run.work(starts, bounds.batch_size))
    except ExceptionGroup as failures:
        # The first failure is the cause; the others are batches that were in flight at that moment.
        first = _first(failures)
        raise first from first.__cause__
    return [run.answers[position] for position in range(len(questions))]


@dataclass(slots=True, kw_only=True)
class _Run(Generic[Q, A]):
    ask: Callable[[Sequence[Q]], Awaitable[Sequence[A]]]
    questions: Sequence[Q]
    on_progress: Callable[[int, int], None]
    keep: Callable[[Sequence[Q], Sequence[object], float], None] | None
    answers: dict[int, A | Failed] = field(default_factory=dict)
    failed: int = 0
    clock: Clock = field(default_factory=SystemClock)

    async def work(self, starts: Iterator[int], size: int) -> None:
        for start in starts:
            await self._batch(range(start, min(start + size, len(self.questions))))
            await asyncio.sleep(0)  # a backend that answers without waiting must not hold the host's loop

    async def _batch(self, positions: range) -> None:
        batch = [self.questions[position] for position in positions]
        started = self.clock.monotonic()
        answers = await self._try(batch)
        seconds = self.clock.monotonic() - started
        if isinstance(answers, Failed) and len(positions) > 1:
            for position in positions:
                await self._batch(range(position, position + 1))
            return
        each = [answers] if isinstance(answers, Failed) else answers
        if self.keep is not None:
            self.keep(batch, each, seconds)
        self._record(positions, each)

    async def _try(self, batch: Sequence[Q]) -> Sequence[A | Failed] | Failed:
        answers: Sequence[A | Failed]
        try:
            answers = await self.ask(batch)
        except _FATAL as error:
            if isinstance(error, NotFoundError) and len(self.answers) > self.failed:
                return Failed(error)  # the model is there: it has answered others
            raise
        except PartialError as error:
            answers = _each(error)
        except Exception as error:
            return Failed(error)
        if len(answers) != len(batch):
            raise BackendError(
                f"the backend gave {len(answers)} answers to {len(batch)} questions",
                hint="this is a defect of the backend: it must answer each request, in order; report it there",
            )
        return answers

    def _record(self, positions: range, answers: Sequence[A | Failed]) -> None:
        self.answers.update(zip(positions, answers, strict=True))
        self.failed += sum(isinstance(answer, Failed) for answer in answers)
        done = len(self.answers)
        if self.failed == done >= min(_HOPELESS_AFTER, len(self.questions)):
            error = next(answer.error for answer in self.answers.values() if isinstance(answer, Failed))
            raise EvaluationError(
                f"the first {done} of {len(self.questions)} items all failed: {error}",
                hint=getattr(error, "hint", "") or "look at the first failure; nothing was scored",
            ) from error
        self.on_progress(done, self.failed)


def _each(error: PartialError) -> list[Any]:
    """What came of each request; whatever is no error is an answer, of the kind that was asked for."""
    return [Failed(found) if isinstance(found, Exception) else found for found in error.outcomes]


def tell(callback: Callable[[N], object], news: N) -> None:
    """Call the host; what it raises is logged, because its trouble is not the evaluation's."""
    try:
        callback(news)
    except Exception:
        logger.exception("the progress callback raised; the evaluation goes on")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _first(failures: ExceptionGroup[Exception]) -> Exception:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first
