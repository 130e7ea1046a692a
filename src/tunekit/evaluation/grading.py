"""From answers to scores to one model's results. Knows scorers and items; asks no model and compares none."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from tunekit.backends.base import Generation, Scores
from tunekit.errors import EvaluationError
from tunekit.evaluation import stats
from tunekit.evaluation.items import Item
from tunekit.evaluation.results import ItemResult, Metric
from tunekit.evaluation.runner import Failed
from tunekit.evaluation.scorers import Score, Scorer
from tunekit.spec import Sampling

Output: TypeAlias = Generation | Scores | Failed
Graded: TypeAlias = Mapping[str, Sequence[Score | Failed]]
"""A score or a failure for each item, by scorer."""


async def grade_all(scorer: Scorer, items: Sequence[Item], outputs: Sequence[Output]) -> list[Score | Failed]:
    """What each output is worth to one scorer; whatever the scorer raises is that item's failure."""
    return [await _grade(scorer, item, output) for item, output in zip(items, outputs, strict=True)]


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
    binary = is_binary(values)
    return Metric(
        name=name,
        mean=stats.wilson(sum(map(int, values)), len(values), level=level)
        if binary
        else _mean(values, level),
        binary=binary,
        n_errors=len(graded) - len(values),
    )


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


async def _grade(scorer: Scorer, item: Item, output: Output) -> Score | Failed:
    if isinstance(output, Failed):
        return output
    try:
        # Which of the two a scorer takes is settled by its class; see `Evaluator`.
        found = scorer.score(item, output)  # type: ignore[arg-type]
        if inspect.isawaitable(found):
            found = await found
        return _checked(found)
    except Exception as error:
        return Failed(error)


def _checked(found: object) -> Score:
    score = found if isinstance(found, Score) else None
    value = score.value if score else found
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise EvaluationError(f"a score must be a finite number, not {value!r}")
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
