"""Several draws of demonstrations, averaged item by item. Knows scores; not prompts or models.

The items stay the units of every statistic, so an arm of many draws is compared with an arm of one by the same paired
methods. An evaluation for each draw would make as many arms, each compared with the luck of one draw in it, and
whoever reads them would pick the best. What draws differ by is told beside the mean, since the interval of the mean is
for these draws and not for new ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from tunekit.evaluation.grading import Graded
from tunekit.evaluation.running.runner import Failed
from tunekit.evaluation.scorers import Score


def averaged(draws: Sequence[Graded]) -> Graded:
    """The mean score of each item; an item that failed in any draw is an error, of which the first is kept."""
    if len(draws) == 1:
        return draws[0]
    return {
        name: [_mean(scores) for scores in zip(*(draw[name] for draw in draws), strict=True)]
        for name in draws[0]
    }


def spread(values: Mapping[str, Sequence[float]]) -> Iterator[str]:
    """In words, what each draw scored by itself, and that the answers shown are those of the first."""
    count = max(map(len, values.values()), default=1)
    if count == 1:
        return
    for name, each in values.items():
        shown = ", ".join(f"{value:.4g}" for value in each)
        yield f"{name!r} over {count} draws of examples: {shown}; the interval of the mean is for these draws"
    yield f"the answers shown are those of the first of {count} draws"


def _mean(scores: Sequence[Score | Failed]) -> Score | Failed:
    failed = next((score for score in scores if isinstance(score, Failed)), None)
    if failed is not None:
        return failed
    given = [score for score in scores if isinstance(score, Score)]
    picked = {score.choice for score in given}
    return Score(
        value=math.fsum(score.value for score in given) / len(given),
        choice=picked.pop() if len(picked) == 1 else "",
        counts=_mean_counts([score.counts for score in given]),
    )


def _mean_counts(counts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for each in counts for name in each)
    return {name: math.fsum(each.get(name, 0.0) for each in counts) / len(counts) for name in names}
