"""Metrics that are functions of sums over a whole test, by resampling its items. Knows counts; not what they count.

Macro-F1, BLEU or a calibration error is no mean of item scores, so neither has it a standard error of one. Here items
(or whole groups of them) are drawn again, their counts are summed, and the metric is computed from the sums.

Range: about 100 items or more, or groups where those are drawn. Below, intervals of this kind cover too little, and
the result says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from tunekit.errors import EvaluationError, SpecError
from tunekit.evaluation.stats.bootstrap import acceleration, bca_ends, percentile_ends
from tunekit.evaluation.stats.distributions import two_sided_z
from tunekit.evaluation.stats.draws import differing, every_exchange, exchanged_sums, resampled_sums
from tunekit.evaluation.stats.interval import Interval
from tunekit.evaluation.stats.means import constant_mean
from tunekit.evaluation.stats.units import Counts, Units, units_of
from tunekit.evaluation.stats.validity import bootstrap_warning, clusters_warning

Metric: TypeAlias = Callable[[Counts], float]
"""From summed counts to a number; where there is none it raises `EvaluationError` or gives one that is not finite."""

Method: TypeAlias = Literal["bca", "percentile"]

_MOST_UNDEFINED = 0.05  # of the resamples; beyond, the ends would be those of another metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampled:
    """An interval by resampling, how it was made, and what is to be said against it.

    Attributes:
        interval: Estimate and ends. Ends are infinite where resampling shows nothing and the metric has no bounds.
        method: "BCa bootstrap" or "percentile bootstrap" (also where the metric is undefined without some item, so that
            the correction cannot be computed); "bound on the share of items that would differ" where all resamples
            give the same; "bounds of the metric" where it is undefined on more than 5 % of them.
        warnings: Why the interval may be too narrow; empty inside the range of the method.
    """

    interval: Interval
    method: str
    warnings: tuple[str, ...] = ()


def resampled(
    metric: Metric,
    items: Sequence[Counts],
    *,
    clusters: Sequence[Hashable] | None = None,
    method: Method = "bca",
    bounds: tuple[float, float] | None = None,
    level: float = 0.95,
    resamples: int = 1_999,
    seed: int = 0,
) -> Resampled:
    """Interval of a metric of one model.

    Args:
        metric: From summed counts to the number.
        items: Counts of each item.
        clusters: The group of each item; whole groups are then drawn.
        method: "bca" corrects bias and skewness and needs a value of the metric for each item left out.
        bounds: Smallest and largest value that the metric can have; used where all resamples give the same.
        level: Confidence level.
        resamples: 1,000 or more give ends that hardly move with the seed.
        seed: The same seed gives the same interval, whatever the order of the items.

    Raises:
        SpecError: There is no item, lengths differ, a count is not finite, or `resamples` is below 100.
        EvaluationError: The metric is undefined on all items.

    Examples:
        >>> def share(counts: Counts) -> float:
        ...     return counts.get("right", 0.0) / counts["items"]
        >>> items = [{"right": float(at % 4 > 0), "items": 1.0} for at in range(200)]
        >>> found = resampled(share, items)
        >>> found.interval.estimate, round(found.interval.low, 2), found.method
        (0.75, 0.69, 'BCa bootstrap')
    """
    plan = _Plan(method, bounds or (-math.inf, math.inf), level, resamples, seed)
    units = units_of(items, clusters=clusters)
    found = _interval(_of_one(metric), units, plan)
    return replace(found, warnings=(*_range_warnings(units, clusters), *found.warnings))


def resampled_difference(
    metric: Metric,
    a: Sequence[Counts],
    b: Sequence[Counts],
    *,
    clusters: Sequence[Hashable] | None = None,
    method: Method = "bca",
    bounds: tuple[float, float] | None = None,
    level: float = 0.95,
    resamples: int = 1_999,
    seed: int = 0,
) -> Resampled:
    """Interval of how much higher the metric of `b` is than that of `a`: both on the same resampled items.

    Exchanging `a` and `b` mirrors the interval exactly. `bounds` are those of the metric, not of the difference.

    Raises:
        SpecError: There is no item, lengths differ, a count is not finite, or `resamples` is below 100.
        EvaluationError: The metric of a model is undefined on all items.
    """
    low, high = bounds or (-math.inf, math.inf)
    plan = _Plan(method, (low - high, high - low), level, resamples, seed)
    given = units_of(a, b, clusters=clusters)
    units = _oriented(given)
    found = _interval(_of_two(metric), units, plan)
    if units != given:
        found = replace(found, interval=found.interval.mirrored)
    elif units == given.mirrored:  # the data are the same both ways, so the interval must be
        half = (found.interval.high - found.interval.low) / 2
        found = replace(found, interval=replace(found.interval, low=-half, high=half))
    return replace(found, warnings=(*_range_warnings(units, clusters), *found.warnings))


def randomisation(
    metric: Metric,
    a: Sequence[Counts],
    b: Sequence[Counts],
    *,
    clusters: Sequence[Hashable] | None = None,
    resamples: int = 1_999,
    seed: int = 0,
) -> float:
    """Two-sided p-value that the two models are alike: their answers to an item, or group, could be exchanged.

    Every exchange is counted where there are no more of them than `resamples`; otherwise random ones and the
    observed one are. Exchanges on which the metric is undefined count as extreme.

    Range: any number of items. It tests that the models answer alike, of which equal metrics are a part.

    Source: Noreen 1989, Computer-Intensive Methods for Testing Hypotheses; Yeh 2000, COLING, arXiv cs/0008005.

    Raises:
        SpecError: There is no item, lengths differ, a count is not finite, or `resamples` is below 100.
        EvaluationError: The metric of a model is undefined on all items.

    Examples:
        >>> right, wrong = {"right": 1.0, "items": 1.0}, {"items": 1.0}
        >>> def share(counts: Counts) -> float:
        ...     return counts.get("right", 0.0) / counts["items"]
        >>> randomisation(share, [wrong] * 5 + [right] * 3, [right] * 8)
        0.0625
    """
    _check_resamples(resamples)
    units = _oriented(units_of(a, b, clusters=clusters))
    difference = _of_two(metric)
    observed = abs(_observed(difference, units))
    if (1 << min(differing(units), 64)) <= resamples:
        sums = every_exchange(units)
        extreme = [_is_extreme(difference(*pair), observed) for pair in sums]
        return sum(extreme) / len(extreme)
    sums = exchanged_sums(units, resamples=resamples, seed=seed)
    return (1 + sum(_is_extreme(difference(*pair), observed) for pair in sums)) / (1 + resamples)


@dataclass(frozen=True, slots=True)
class _Plan:
    """How to resample; `bounds` are those of the statistic."""

    method: Method
    bounds: tuple[float, float]
    level: float
    resamples: int
    seed: int

    def __post_init__(self) -> None:
        two_sided_z(self.level)  # refuses a level that is none
        _check_resamples(self.resamples)
        if self.method not in ("bca", "percentile"):
            raise SpecError(f"no bootstrap is called {self.method!r}", hint='use "bca" or "percentile"')
        if not self.bounds[0] <= self.bounds[1]:
            raise SpecError(
                f"{self.bounds!r} are no bounds", hint="pass the smallest value first, such as (0.0, 1.0)"
            )


_Statistic: TypeAlias = Callable[..., float]
"""From the sums of one or two models to a number; nan where there is none."""


def _of_one(metric: Metric) -> _Statistic:
    def value(counts: Counts) -> float:
        try:
            number = metric(counts)
        except EvaluationError:  # a resample without any item of a kind that the metric divides by
            return math.nan
        return number if math.isfinite(number) else math.nan

    return value


def _of_two(metric: Metric) -> _Statistic:
    one = _of_one(metric)
    return lambda a, b: one(b) - one(a)


def _oriented(units: Units) -> Units:
    """Itself or its mirror, the same one whichever model came first, so that both orders draw alike."""
    mirrored = units.mirrored
    return mirrored if (mirrored.kinds, mirrored.numbers) < (units.kinds, units.numbers) else units


def _range_warnings(units: Units, clusters: Sequence[Hashable] | None) -> Iterator[str]:
    if clusters is not None and (unsure := clusters_warning(clusters)):
        yield unsure
    elif few := bootstrap_warning(units.count, groups=clusters is not None):
        yield few


def _check_resamples(resamples: int) -> None:
    if resamples < 100:
        raise SpecError(
            f"resamples must be 100 or more, not {resamples!r}", hint="thousands give ends that stay put"
        )


def _observed(statistic: _Statistic, units: Units) -> float:
    estimate = statistic(*units.named(units.totals))
    if math.isnan(estimate):
        raise EvaluationError(
            f"the metric is undefined on these {units.items} items",
            hint="score at least one item of each kind that the metric divides by",
        )
    return estimate


def _is_extreme(value: float, observed: float) -> bool:
    # Rounding must not lose exchanges that are exactly as extreme as the observed one.
    return math.isnan(value) or abs(value) >= observed - 1e-12 * max(1.0, observed)


def _interval(statistic: _Statistic, units: Units, plan: _Plan) -> Resampled:
    estimate = _observed(statistic, units)
    sums = resampled_sums(units, resamples=plan.resamples, seed=plan.seed)
    replicates = [value for value in (statistic(*each) for each in sums) if not math.isnan(value)]
    undefined = plan.resamples - len(replicates)
    notes: list[str] = []
    if undefined:
        notes.append(f"the metric is undefined on {undefined} of {plan.resamples} resamples, left out")
    if undefined > _MOST_UNDEFINED * plan.resamples:
        low, high = plan.bounds
        method = "bounds of the metric"
    elif max(replicates) - min(replicates) <= 1e-12 * max(map(abs, replicates)):
        low, high = _constant_ends(estimate, units, plan)
        method = "bound on the share of items that would differ"
        notes.append("all resamples give the same: the interval assumes that the metric moves as a mean does")
    else:
        low, high, method = _bootstrap_ends(statistic, units, plan, replicates, estimate)
    interval = Interval(estimate=estimate, low=low, high=high, level=plan.level, n=units.items)
    return Resampled(interval=interval, method=method, warnings=tuple(notes))


def _bootstrap_ends(
    statistic: _Statistic, units: Units, plan: _Plan, replicates: Sequence[float], estimate: float
) -> tuple[float, float, str]:
    if plan.method == "bca":
        jackknife = [statistic(*units.named(units.without(kind))) for kind in range(len(units.kinds))]
        if not any(map(math.isnan, jackknife)):
            skew = acceleration(zip(jackknife, units.numbers, strict=True))
            return *bca_ends(replicates, estimate, skew, level=plan.level), "BCa bootstrap"
    return *percentile_ends(replicates, level=plan.level), "percentile bootstrap"


def _constant_ends(estimate: float, units: Units, plan: _Plan) -> tuple[float, float]:
    """Resampling equal units shows no spread; other units were just not seen."""
    low, high = plan.bounds
    bound = constant_mean(
        estimate, units.count, low=min(low, estimate), high=max(high, estimate), level=plan.level
    )
    return bound.low, bound.high
