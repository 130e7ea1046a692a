"""From answers to scores to one model's results. Knows scorers and items; asks no model and compares none.

A scorer may ask a model itself (a judge). So a sync one runs in a thread of its own, where blocking calls are allowed,
one item at a time, because nobody promised that it is thread-safe. An async one is awaited, several items at once.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import math
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from tunekit.backends.base import Generation, Scores
from tunekit.errors import EvaluationError
from tunekit.evaluation import stats
from tunekit.evaluation.items import Item
from tunekit.evaluation.results import ItemResult, Metric
from tunekit.evaluation.runner import Failed
from tunekit.evaluation.scorers import Score, Scorer, is_awaited
from tunekit.spec import Sampling

Output: TypeAlias = Generation | Scores | Failed
Graded: TypeAlias = Mapping[str, Sequence[Score | Failed]]
"""A score or a failure for each item, by scorer."""


async def grade_all(
    scorer: Scorer, items: Sequence[Item], outputs: Sequence[Output], *, concurrency: int = 1
) -> list[Score | Failed]:
    """What each output is worth to one scorer; whatever the scorer raises is that item's failure.

    Args:
        scorer: Sync or async; see this module.
        items: The questions.
        outputs: What the model said to each.
        concurrency: Items that an async scorer sees at the same time.
    """
    pairs = list(zip(items, outputs, strict=True))
    if is_awaited(scorer):
        return await _grade_together(scorer, pairs, concurrency)
    # A plain function can still return something to await; it is called there and awaited here.
    return [await _settled(found) for found in await _grade_in_thread(scorer, pairs)]


def metric(name: str, graded: Sequence[Score | Failed], level: float) -> Metric:
    """Mean and interval over the items that could be scored.

    Raises:
        EvaluationError: None could.
    """
    values = [score.value for score in graded if isinstance(score, Score)]
    if not values:
        first = next(score for score in graded if isinstance(score, Failed))
        raise EvaluationError(
            f"{name!r} could not score any of {len(graded)} items, the first because of {first}",
            hint=getattr(first.error, "hint", "") or "look at the scorer",
        ) from first.error
    return summary(name, values, n_errors=len(graded) - len(values), level=level)


def summary(name: str, values: Sequence[float], *, n_errors: int, level: float) -> Metric:
    """Mean of these scores (at least one) with its interval: Wilson's where all are 0 or 1, else Student's t."""
    binary = is_binary(values)
    mean = stats.wilson(sum(map(int, values)), len(values), level=level) if binary else _mean(values, level)
    return Metric(name=name, mean=mean, binary=binary, n_errors=n_errors)


def item_results(items: Sequence[Item], answers: Sequence[Output], graded: Graded) -> tuple[ItemResult, ...]:
    """One row for each item: what was answered, and what each scorer made of it."""
    texts: Sequence[Output | None] = answers or [None] * len(items)
    return tuple(
        _item_result(item, text, {name: scores[position] for name, scores in graded.items()})
        for position, (item, text) in enumerate(zip(items, texts, strict=True))
    )


def warnings(answers: Sequence[Output], graded: Graded, sampling: Sampling) -> Iterator[str]:
    """What to know before believing the numbers: cut answers, and items left out."""
    cut = sum(isinstance(answer, Generation) and answer.finish_reason == "length" for answer in answers)
    if cut:
        yield f"{cut} of {len(answers)} answers were cut at max_tokens={sampling.max_tokens}"
    for name, scores in graded.items():
        failures = [score for score in scores if isinstance(score, Failed)]
        if failures:
            yield (
                f"{name!r} could not score {len(failures)} of {len(scores)} items, which are left out;"
                f" the first: {failures[0]}"
            )


def is_binary(values: Sequence[float]) -> bool:
    """Whether every score is 0 or 1."""
    return all(value in (0.0, 1.0) for value in values)


async def _grade_together(
    scorer: Scorer, pairs: Sequence[tuple[Item, Output]], concurrency: int
) -> list[Score | Failed]:
    graded: dict[int, Score | Failed] = {}
    waiting = iter(enumerate(pairs))

    async def work() -> None:
        for position, (item, output) in waiting:
            graded[position] = await _settled(_call(scorer, item, output))

    async with asyncio.TaskGroup() as group:
        for _ in range(min(concurrency, len(pairs))):
            group.create_task(work())
    return [graded[position] for position in range(len(pairs))]


async def _grade_in_thread(scorer: Scorer, pairs: Sequence[tuple[Item, Output]]) -> list[object]:
    stop = threading.Event()

    def work() -> list[object]:
        return [_call(scorer, item, output) for item, output in _until(stop, pairs)]

    # Not the loop's own threads: a judge would hold one of them while what it asks is waiting for one.
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tunekit-scorer")
    try:
        return await asyncio.get_running_loop().run_in_executor(pool, contextvars.copy_context().run, work)
    finally:
        stop.set()  # a cancelled evaluation calls its scorer for no further item
        pool.shutdown(wait=False)


def _until(stop: threading.Event, pairs: Iterable[tuple[Item, Output]]) -> Iterator[tuple[Item, Output]]:
    for pair in pairs:
        if stop.is_set():
            return
        yield pair


def _call(scorer: Scorer, item: Item, output: Output) -> object:
    """What the scorer returns, perhaps to be awaited; or why it could not."""
    if isinstance(output, Failed):
        return output
    try:
        # Which of the two a scorer takes is settled by its class; see `Evaluator`.
        return scorer.score(item, output)  # type: ignore[arg-type]
    except Exception as error:
        return Failed(error)
    except SystemExit as error:
        return _left(error)


async def _settled(found: object) -> Score | Failed:
    try:
        return _checked(await found if inspect.isawaitable(found) else found)
    except Exception as error:
        return Failed(error)
    except SystemExit as error:
        return _left(error)


def _left(error: SystemExit) -> Failed:
    """A scorer that runs what a model wrote meets `exit()`; let through, it would end the event loop."""
    return Failed(
        EvaluationError(
            f"the scorer left with {error!r}", hint="run code that a model wrote in a process of its own"
        )
    )


def _checked(found: object) -> Score | Failed:
    if isinstance(found, Failed):
        return found
    score = found if isinstance(found, Score) else None
    value = score.value if score else found
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise EvaluationError(
            f"a score must be a finite number, not {value!r}",
            hint="return a number, or raise where an item cannot be scored",
        )
    return Score(value=float(value), choice=score.choice if score else "")


def _mean(values: Sequence[float], level: float) -> stats.Interval:
    if min(values) == max(values) and 0.0 <= values[0] <= 1.0:
        return stats.constant_mean(values[0], len(values), low=0.0, high=1.0, level=level)
    return stats.mean_t(values, level=level)


def _item_result(item: Item, answer: Output | None, scores: Mapping[str, Score | Failed]) -> ItemResult:
    generated = answer if isinstance(answer, Generation) else None
    return ItemResult(
        id=item.id,
        answer=generated.text if generated else None,
        finish_reason=generated.finish_reason if generated else "",
        scores={name: score.value for name, score in scores.items() if isinstance(score, Score)},
        choices={
            name: score.choice for name, score in scores.items() if isinstance(score, Score) and score.choice
        },
        errors={name: str(score) for name, score in scores.items() if isinstance(score, Failed)},
    )
