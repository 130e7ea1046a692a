"""The best of several looks best partly by luck, and by how much. Knows planning; not what was chosen from."""

from __future__ import annotations

import math
from statistics import NormalDist

from tunekit.errors import SpecError

_STEP, _REACH = (
    1 / 64,
    10.0,
)  # the trapezoid rule on a smooth function that vanishes at both ends is exact to 1e-13


def expected_maximum(k: int) -> float:
    """Mean of the largest of `k` independent standard normal numbers, by numerical integration of its density.

    Source: Harter 1961, Biometrika 48:151, which has the table.

    Raises:
        SpecError: `k` is not positive.

    Examples:
        >>> round(expected_maximum(10), 4)
        1.5388
    """
    if k < 1:
        raise SpecError(f"the best of {k!r} does not exist", hint="pass 1 or more")
    normal, steps = NormalDist(), round(_REACH / _STEP)
    points = (at * _STEP for at in range(-steps, steps + 1))
    return _STEP * math.fsum(x * k * normal.pdf(x) * normal.cdf(x) ** (k - 1) for x in points)


def winners_curse(configurations: int, n: int, variance: float, *, correlation: float = 0.0) -> float:
    """By how much the best of equal configurations is expected to read too high on the test that chose it.

    It is the most that luck alone explains: where one configuration is truly better, the best reads less too high.

    Range: 30 items or more, so that means are about normal; configurations that resemble each other equally.

    Source: the expected maximum of equally correlated normal numbers, sqrt(1 - rho) that of independent ones: David and
    Nagaraja 2003, Order Statistics, section 5.3.

    Args:
        configurations: How many were tried on the same items.
        n: Items.
        variance: Of the score of one item; of right or wrong, share * (1 - share).
        correlation: Between the item scores of two configurations. 0.7 is usual for variants of one model.

    Raises:
        SpecError: A count is not positive, the variance is negative, or the correlation not within 0 and 1.

    Examples:
        >>> round(winners_curse(10, 200, 0.8 * 0.2), 3), round(winners_curse(10, 200, 0.8 * 0.2, correlation=0.7), 3)
        (0.044, 0.024)
    """
    if n < 1 or not 0.0 <= variance < math.inf or not 0.0 <= correlation <= 1.0:
        raise SpecError(
            f"impossible test: n={n!r}, variance={variance!r}, correlation={correlation!r}",
            hint="n >= 1, variance >= 0, 0 <= correlation <= 1",
        )
    return expected_maximum(configurations) * math.sqrt(variance * (1 - correlation) / n)


def winners_curse_warning(
    configurations: int, n: int, variance: float, *, correlation: float = 0.0
) -> str | None:
    """What to say beside the score of a chosen configuration; None where there was no choice.

    Examples:
        >>> winners_curse_warning(10, 200, 0.16)
        'the best of 10 equal configurations reads about 0.044 too high on 200 items: confirm it on another test'
    """
    if configurations == 1:
        return None
    size = winners_curse(configurations, n, variance, correlation=correlation)
    return (
        f"the best of {configurations} equal configurations reads about {size:.3f} too high on {n} items:"
        " confirm it on another test"
    )
