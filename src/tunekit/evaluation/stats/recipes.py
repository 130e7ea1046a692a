"""Two ways of training, each run with several seeds on the same items. Knows scores of runs by items; no recipe.

Comparing two *models* asks whether these weights are better: items are the only chance in it. Comparing two *recipes*
asks whether training again would be better: the seed, the draw of examples and the order of rows are chance as well,
and on small training sets they outweigh the items.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tunekit.errors import SpecError
from tunekit.evaluation.stats.distributions import student_t_sf, two_sided_t
from tunekit.evaluation.stats.interval import Interval
from tunekit.evaluation.stats.means import check_values, constant_mean
from tunekit.evaluation.stats.validity import runs_warning, t_warning


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeDifference:
    """How much better recipe `b` is than recipe `a`, and where the doubt comes from.

    Attributes:
        interval: Mean difference (`b` minus `a`); covers items and runs. `n` counts items.
        p_value: Two-sided, of the same t statistic, so that it agrees with the interval.
        df: Degrees of freedom of it.
        items_variance: Part of the estimate's variance that is due to items, and goes down with more of them.
        runs_variance_a: Part that is due to runs of `a`, and goes down with more of those; 0 for a single run.
        runs_variance_b: The same for `b`.
        warnings: Why the interval may be unsure; empty inside its range.
    """

    interval: Interval
    p_value: float
    df: float
    items_variance: float
    runs_variance_a: float
    runs_variance_b: float
    warnings: tuple[str, ...] = ()


def recipe_difference(
    runs_a: Sequence[Sequence[float]], runs_b: Sequence[Sequence[float]], *, level: float = 0.95
) -> RecipeDifference:
    """Interval of the mean difference of two recipes over new runs *and* new items.

    Items are crossed with runs: every run answers all of them. So the variance is that of the item differences over
    items, plus that of the run means over runs of each recipe, minus the noise of single answers, which both contain.
    Student's t with Satterthwaite's degrees of freedom. A recipe with a single run is taken as one model without
    chance, which a prompted base model is.

    Range: 3 runs or more of each recipe and 30 items or more. With fewer the interval is wide or unsure, and the
    result says so. It is a little cautious: a 95 % interval covers 95 to 97.5 % in simulations.

    Source: crossed random effects by analysis of variance, Searle, Casella and McCulloch 1992, Variance Components,
    chapter 4; Satterthwaite 1946, Biometrics Bulletin 2:110. The same as two-way clustering: Cameron, Gelbach and
    Miller 2011, J. Business and Economic Statistics 29:238.

    Args:
        runs_a: Of each run of the first recipe, the score of each item, in the same order everywhere.
        runs_b: The same for the second.
        level: Confidence level.

    Raises:
        SpecError: A recipe has no run, runs have not the same items, there are fewer than 2, or a score is not finite.

    Examples:
        >>> a, b = [[0, 1, 0, 1], [0, 1, 1, 1], [0, 0, 0, 1]], [[1, 1, 1, 1], [0, 1, 1, 1], [1, 1, 0, 1]]
        >>> found = recipe_difference(a, b)
        >>> round(found.interval.estimate, 3), found.warnings
        (0.333, ('4 items are few for a t interval; it is reliable from about 30',))
    """
    items = _check_runs(runs_a, runs_b)
    a, b = _Side.of(runs_a), _Side.of(runs_b)
    gaps = [new - old for new, old in zip(b.by_item, a.by_item, strict=True)]
    estimate = math.fsum(gaps) / items
    over_items = _variance(gaps) / items
    excess = [max(0.0, side.over_runs - side.noise) for side in (a, b)]
    variance = over_items + sum(excess)
    df = _satterthwaite(over_items, items, a, b, excess)
    if variance > 0.0:
        half = two_sided_t(level, df) * math.sqrt(variance)
        interval = Interval(
            estimate=estimate, low=estimate - half, high=estimate + half, level=level, n=items
        )
        p_value = min(1.0, 2 * student_t_sf(abs(estimate) / math.sqrt(variance), df))
    else:
        interval, p_value = _constant(estimate, (*runs_a, *runs_b), level)
    return RecipeDifference(
        interval=interval,
        p_value=p_value,
        df=df,
        items_variance=over_items,
        runs_variance_a=excess[0],
        runs_variance_b=excess[1],
        warnings=tuple(said for said in (runs_warning(len(runs_a), len(runs_b)), t_warning(items)) if said),
    )


@dataclass(frozen=True, slots=True)
class _Side:
    """Of one recipe: the mean of each item, the variance of its grand mean over runs, and what noise adds to that."""

    runs: int
    by_item: tuple[float, ...]
    over_runs: float
    noise: float

    @classmethod
    def of(cls, runs: Sequence[Sequence[float]]) -> _Side:
        count, items = len(runs), len(runs[0])
        by_item = tuple(math.fsum(column) / count for column in zip(*runs, strict=True))
        if count == 1:
            return cls(1, by_item, 0.0, 0.0)
        by_run = [math.fsum(run) / items for run in runs]
        grand = math.fsum(by_run) / count
        squares = math.fsum(
            (score - mean - item + grand) ** 2
            for run, mean in zip(runs, by_run, strict=True)
            for score, item in zip(run, by_item, strict=True)
        )
        noise = squares / ((count - 1) * (items - 1)) / items / count
        return cls(count, by_item, _variance(by_run) / count, noise)


def _satterthwaite(over_items: float, items: int, a: _Side, b: _Side, excess: Sequence[float]) -> float:
    """Degrees of freedom of a sum of variances; each counts with its own, weighted by its square."""
    parts = [(over_items, items - 1)]
    parts += [(side.over_runs, side.runs - 1) for side, more in zip((a, b), excess, strict=True) if more > 0]
    squares = math.fsum(part * part / df for part, df in parts)
    total = over_items + sum(excess)
    return max(total * total / squares, min(df for _, df in parts)) if squares > 0 else items - 1


def _constant(estimate: float, runs: Sequence[Sequence[float]], level: float) -> tuple[Interval, float]:
    """Every item differs alike: a bound on the items that would not, and the p-value of all signs being equal."""
    items = len(runs[0])
    reach = 1.0 if all(0.0 <= score <= 1.0 for run in runs for score in run) else math.inf
    interval = constant_mean(estimate, items, low=-reach, high=reach, level=level)
    return interval, 1.0 if estimate == 0.0 else 2.0 ** (1 - items)


def _variance(values: Sequence[float]) -> float:
    if max(values) - min(values) <= 1e-12 * max(map(abs, values)):  # only rounding
        return 0.0
    centre = math.fsum(values) / len(values)
    return math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1)


def _check_runs(*recipes: Sequence[Sequence[float]]) -> int:
    if not all(recipes):
        raise SpecError("a recipe without a run", hint="run each recipe with three seeds or more")
    lengths = sorted({len(run) for runs in recipes for run in runs})
    if len(lengths) > 1 or lengths[0] < 2:
        raise SpecError(
            f"runs have {' or '.join(map(str, lengths))} items",
            hint="score every run on the same two items or more",
        )
    for runs in recipes:
        for run in runs:
            check_values(run)
    return lengths[0]
