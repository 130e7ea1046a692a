"""Means of scores that are more than right or wrong, and of paired differences. Knows numbers; not items.

For a paired comparison pass the differences, new minus old, item by item.
"""

from __future__ import annotations

import math
from operator import getitem
from random import Random
from typing import TYPE_CHECKING

from tunekit.errors import SpecError
from tunekit.evaluation.stats.bootstrap import acceleration, bca_ends
from tunekit.evaluation.stats.distributions import two_sided_t
from tunekit.evaluation.stats.interval import Interval
from tunekit.evaluation.stats.proportions import wilson

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_EXACT_FLIPS = 14  # 2^14 sign patterns are enumerated; above that they are sampled


def mean_t(values: Sequence[float], *, level: float = 0.95) -> Interval:
    """Student t interval of a mean; of a paired difference when given the differences.

    A single value gives an infinite interval. Values that are all equal give one of no width, which claims
    more than n values can show: see `constant_mean`.

    Source: Student 1908, Biometrika 6:1.

    Raises:
        SpecError: There is no value, or one is not finite.

    Examples:
        >>> interval = mean_t([0.1, 0.3, -0.1, 0.2])
        >>> round(interval.estimate, 3), round(interval.low, 3), round(interval.high, 3)
        (0.125, -0.147, 0.397)
    """
    mean, error = mean_and_error(values)
    n = len(values)
    half = two_sided_t(level, n - 1) * error if n > 1 else math.inf
    return Interval(estimate=mean, low=mean - half, high=mean + half, level=level, n=n)


def constant_mean(value: float, n: int, *, low: float, high: float, level: float = 0.95) -> Interval:
    """Interval of a mean when all `n` values were the same, given the range that a value can have.

    The share of items that would differ from the rest is unknown but small: Wilson's upper limit u of 0 in `n`.
    Those can lie anywhere in the range, the others not elsewhere. An infinite range bounds nothing.

    Raises:
        SpecError: `n` is not positive, or `value` is outside the range.

    Examples:
        >>> interval = constant_mean(0.0, 100, low=-1.0, high=1.0)
        >>> round(interval.low, 3), round(interval.high, 3)
        (-0.037, 0.037)
    """
    if not low <= value <= high:
        raise SpecError(
            f"{value!r} is not within {low!r} and {high!r}", hint="pass the range that a value can have"
        )
    u = wilson(0, n, level=level).high
    kept = (1 - u) * value
    # Rounding must not push an end past the value when that lies at the end of the range.
    ends = min(value, kept + u * low), max(value, kept + u * high)
    return Interval(estimate=value, low=ends[0], high=ends[1], level=level, n=n)


def sign_flip(differences: Sequence[float], *, resamples: int = 9_999, seed: int = 0) -> float:
    """Two-sided p-value that the differences are symmetric about 0, with no other assumption on their shape.

    If the two models do equally well, each difference could as well have had the other sign. Up to 14
    differences that are not 0, every pattern of signs is counted; above, `resamples` random ones and the
    observed one are.

    Source: Fisher 1935, The Design of Experiments; the "+1" of Davison and Hinkley 1997, section 4.2.

    Raises:
        SpecError: There is no value, one is not finite, or `resamples` is not positive.

    Examples:
        >>> sign_flip([1.0, 2.0, 3.0, 4.0, 5.0])
        0.0625
    """
    check_values(differences)
    if resamples < 1:
        raise SpecError(f"resamples must be 1 or more, not {resamples!r}", hint="9,999 gives p to 0.0001")
    moving = sorted(abs(value) for value in differences if value != 0.0)  # the order of items must not matter
    total = math.fsum(moving)
    # Rounding of the sums must not lose patterns that are exactly as extreme as the observed one.
    threshold = abs(math.fsum(differences)) - 1e-12 * total
    tables = [_partial_sums(moving[start : start + 8]) for start in range(0, len(moving), 8)]
    if len(moving) <= _EXACT_FLIPS:
        every = (number.to_bytes(len(tables), "little") for number in range(1 << len(moving)))
        return _count_extreme(every, tables, total, threshold) / (1 << len(moving))
    random = Random(seed)
    sampled = (random.randbytes(len(tables)) for _ in range(resamples))
    return (1 + _count_extreme(sampled, tables, total, threshold)) / (1 + resamples)


def bca_mean(
    values: Sequence[float], *, level: float = 0.95, resamples: int = 4_999, seed: int = 0
) -> Interval:
    """Bias-corrected and accelerated bootstrap interval of a mean, for skewed scores.

    It collapses when all values are equal. Range: about 100 items or more; below, it covers too little (87 %
    instead of 95 % at n=30 for paired 0/1 scores): use `tango` for those.

    Source: Efron 1987, J. Am. Stat. Assoc. 82:171; the acceleration is the jackknife's, closed form for a
    mean.

    Raises:
        SpecError: There is no value, one is not finite, or `resamples` is below 100.

    Examples:
        >>> interval = bca_mean([0.0, 0.1, 0.1, 0.2, 0.9] * 20)
        >>> interval.low < 0.26 < interval.high
        True
    """
    mean, error = mean_and_error(values)
    if resamples < 100:
        raise SpecError(
            f"resamples must be 100 or more, not {resamples!r}", hint="thousands give ends that stay put"
        )
    n = len(values)
    if n == 1 or error == 0.0:
        return mean_t(values, level=level)
    random, ordered = Random(seed), sorted(values)  # the order of items must not matter
    means = [math.fsum(random.choices(ordered, k=n)) / n for _ in range(resamples)]
    low, high = bca_ends(means, mean, acceleration((mean - value, 1) for value in values), level=level)
    return Interval(estimate=mean, low=low, high=high, level=level, n=n)


def _partial_sums(values: Sequence[float]) -> list[float]:
    """For each byte, the sum of the values whose bit is set: one look-up replaces eight flips."""
    sums = [0.0]
    for value in [*values, *[0.0] * (8 - len(values))]:
        sums += [before + value for before in sums]
    return sums


def _count_extreme(
    patterns: Iterable[bytes], tables: Sequence[Sequence[float]], total: float, threshold: float
) -> int:
    """How many sign patterns give a sum at least as far from 0 as `threshold`."""
    return sum(abs(2 * sum(map(getitem, tables, pattern)) - total) >= threshold for pattern in patterns)


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Mean and its standard error. The error of a single value is unknown, and 0 here.

    Raises:
        SpecError: There is no value, or one is not finite.
    """
    check_values(values)
    n = len(values)
    if min(values) == max(values):  # the sums below would leave rounding noise where there is no spread
        return values[0], 0.0
    mean = math.fsum(values) / n
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    return mean, math.sqrt(variance / n)


def check_values(values: Sequence[float]) -> None:
    """Refuse an empty sequence, and values that are infinite or not a number.

    Raises:
        SpecError: It is, or one is.
    """
    if not values:
        raise SpecError("no values to average", hint="every item failed or the test set is empty")
    if not all(map(math.isfinite, values)):
        bad = next(value for value in values if not math.isfinite(value))
        raise SpecError(
            f"a score must be finite, not {bad!r}", hint="leave out items that could not be scored"
        )
