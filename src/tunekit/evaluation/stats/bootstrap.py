"""From the values that resamples gave to the ends of an interval. Knows numbers; not what was resampled."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import NormalDist

from tunekit.evaluation.stats.distributions import normal_quantile

_SAME = 1e-12  # of the largest value: closer ones differ by rounding


def percentile_ends(replicates: Sequence[float], *, level: float) -> tuple[float, float]:
    """The middle share `level` of the values.

    Source: Efron 1979, Annals of Statistics 7:1.
    """
    ordered = sorted(replicates)
    return percentile(ordered, 0.5 - level / 2), percentile(ordered, 0.5 + level / 2)


def bca_ends(
    replicates: Sequence[float], estimate: float, acceleration: float, *, level: float
) -> tuple[float, float]:
    """Percentiles moved by how far the values lie to one side of `estimate` and by how skewed they are.

    Source: Efron 1987, J. Am. Stat. Assoc. 82:171.
    """
    ordered = sorted(replicates)
    bias = _bias(ordered, estimate)
    low, high = (
        percentile(ordered, _share(normal_quantile(p), bias, acceleration))
        for p in (0.5 - level / 2, 0.5 + level / 2)
    )
    return low, high


def acceleration(jackknife: Iterable[tuple[float, int]]) -> float:
    """How skewed the statistic is: the skewness of its jackknife values over 6; 0 where they have no spread.

    Args:
        jackknife: Each value that the statistic takes with one item left out, and for how many items it does. Values
            shifted, or multiplied by a number above 0, give the same.

    Source: Efron 1987, equation 6.6.
    """
    pairs = list(jackknife)
    centre = math.fsum(value * number for value, number in pairs) / sum(number for _, number in pairs)
    reach = max(abs(centre - value) for value, _ in pairs)
    if reach <= _SAME * abs(centre):
        return 0.0
    scaled = [((centre - value) / reach, number) for value, number in pairs]
    squares = math.fsum(number * gap**2 for gap, number in scaled)
    return math.fsum(number * gap**3 for gap, number in scaled) / (6 * squares * math.sqrt(squares))


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of the ordered values lie, interpolated between two."""
    position = share * (len(ordered) - 1)
    before = min(int(position), len(ordered) - 2)
    return ordered[before] + (position - before) * (ordered[before + 1] - ordered[before])


def _bias(ordered: Sequence[float], estimate: float) -> float:
    """Share of values below the estimate, as a normal quantile; values at it count half."""
    reach = _SAME * max(abs(ordered[0]), abs(ordered[-1]), abs(estimate))
    at = sum(abs(value - estimate) <= reach for value in ordered)
    below = sum(value < estimate - reach for value in ordered) + at / 2
    return normal_quantile(min(max(below, 0.5), len(ordered) - 0.5) / len(ordered))


def _share(z: float, bias: float, acceleration: float) -> float:
    moved = bias + z
    room = 1 - acceleration * moved
    if room <= 0:  # as far out as the resamples go: the correction grows without bound on the way here
        return 1.0 if moved > 0 else 0.0
    return NormalDist().cdf(bias + moved / room)
