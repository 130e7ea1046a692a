"""Shares of right answers: one model's, and the paired difference of two. Knows counts; not items or models.

Paired counts: `wins` are items that only the new model has right, `losses` those that only the old one has
right. Measured true size of the tests at a nominal 5 % and 10 % disagreement: exact McNemar 0.9 % at n=50 and
2.9 % at n=200, mid-p 2.5 % and 4.6 %. So the evaluator reports the mid-p; exact is for reports that must never
exceed the nominal size.
"""

from __future__ import annotations

import math

from tunekit.errors import SpecError
from tunekit.evaluation.stats.distributions import binomial_cdf, binomial_pmf, two_sided_z
from tunekit.evaluation.stats.interval import Interval


def wilson(successes: int, n: int, *, level: float = 0.95) -> Interval:
    """Score interval of a single proportion.

    Source: Wilson 1927, J. Am. Stat. Assoc. 22:209. Unlike the Wald interval it keeps its level near 0 and 1.

    Raises:
        SpecError: `n` is not positive, `successes` is not within 0 and `n`, or `level` not within 0 and 1.

    Examples:
        >>> interval = wilson(80, 100)
        >>> round(interval.low, 4), round(interval.high, 4)
        (0.7112, 0.8666)
    """
    if n < 1 or not 0 <= successes <= n:
        raise SpecError(f"cannot take a share of {successes!r} in {n!r}", hint="0 <= successes <= n, n >= 1")
    low, high = wilson_limits(successes, n, two_sided_z(level))
    return Interval(estimate=successes / n, low=low, high=high, level=level, n=n)


def wilson_limits(successes: float, n: float, z: float) -> tuple[float, float]:
    """Ends of Wilson's interval; the counts need not be whole, as those of an effective sample size."""
    share = successes / n
    scale = 1.0 + z * z / n
    centre = (share + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(max(share * (1 - share), 0.0) / n + z * z / (4 * n * n))
    # At the ends the limits are exactly 0 and 1; rounding must not say otherwise.
    return 0.0 if successes == 0 else centre - half, 1.0 if successes == n else centre + half


def mcnemar_exact(wins: int, losses: int) -> float:
    """Two-sided exact p-value for "neither model is right more often": a fair coin over the disagreements.

    Source: McNemar 1947, Psychometrika 12:153, with the binomial distribution. No disagreement gives 1.

    Raises:
        SpecError: A count is negative.

    Examples:
        >>> round(mcnemar_exact(10, 2), 6)
        0.038574
    """
    _check_pairs(wins, losses, max(wins + losses, 1))
    return min(1.0, 2 * binomial_cdf(min(wins, losses), wins + losses, 0.5))


def mcnemar_mid_p(wins: int, losses: int) -> float:
    """Two-sided mid-p value of McNemar's test: twice the one-sided tail that counts the observed result half.

    Source: Fagerland, Lydersen and Laake 2013, BMC Med. Res. Methodol. 13:91. No disagreement, or as many
    wins as losses, gives 1.

    Raises:
        SpecError: A count is negative.

    Examples:
        >>> round(mcnemar_mid_p(10, 2), 6)
        0.022461
    """
    _check_pairs(wins, losses, max(wins + losses, 1))
    fewer, total = min(wins, losses), wins + losses
    if wins == losses:
        return 1.0
    return 2 * binomial_cdf(fewer, total, 0.5) - binomial_pmf(fewer, total, 0.5)


def tango(wins: int, losses: int, n: int, *, level: float = 0.95) -> Interval:
    """Score interval of the paired difference of proportions, (wins - losses) / n.

    Source: Tango 1998, Statistics in Medicine 17:891. Its limits are the differences at which the score test
    just rejects, found here by bisection. With no disagreement it is +-z^2 / (n + z^2), where a bootstrap
    shows [0, 0].

    Raises:
        SpecError: `n` is not positive, a count is negative, or wins and losses together exceed `n`.

    Examples:
        >>> interval = tango(9, 3, 32)
        >>> round(interval.estimate, 4), round(interval.low, 4), round(interval.high, 4)
        (0.1875, -0.0271, 0.3897)
    """
    _check_pairs(wins, losses, n)
    low, high = tango_limits(wins, losses, n, two_sided_z(level))
    return Interval(estimate=(wins - losses) / n, low=low, high=high, level=level, n=n)


def tango_limits(wins: float, losses: float, n: float, z: float) -> tuple[float, float]:
    """Ends of Tango's interval; the counts need not be whole, as those of an effective sample size."""
    return -_tango_upper(losses, wins, n, z), _tango_upper(wins, losses, n, z)


def newcombe(both: int, wins: int, losses: int, neither: int, *, level: float = 0.95) -> Interval:
    """Paired difference from two Wilson intervals and their correlation; also fine at no disagreement.

    Source: Newcombe 1998, Statistics in Medicine 17:2635, method 10 ("square and add"), with its continuity
    correction of phi.

    Args:
        both: Items that both models have right.
        wins: Items that only the new model has right.
        losses: Items that only the old model has right.
        neither: Items that both have wrong.
        level: Confidence level.

    Raises:
        SpecError: A count is negative or all are 0.
    """
    n = both + wins + losses + neither
    _check_pairs(wins, losses, n)
    if min(both, neither) < 0:
        raise SpecError(
            f"counts must not be negative: both={both!r}, neither={neither!r}", hint="every item counts once"
        )
    new, old = wilson(both + wins, n, level=level), wilson(both + losses, n, level=level)
    phi = _phi(both, wins, losses, neither)
    estimate = (wins - losses) / n
    down = _joined(new.estimate - new.low, old.high - old.estimate, phi)
    up = _joined(new.high - new.estimate, old.estimate - old.low, phi)
    return Interval(estimate=estimate, low=estimate - down, high=estimate + up, level=level, n=n)


def _tango_upper(wins: float, losses: float, n: float, z: float) -> float:
    """The largest difference that the score test at `z` does not reject."""
    inside, outside = (wins - losses) / n, 1.0
    if inside >= outside:
        return 1.0
    for _ in range(64):  # from a width of at most 2 to below one unit in the last place
        middle = (inside + outside) / 2
        if n * middle - (wins - losses) <= z * math.sqrt(_null_variance(middle, wins, losses, n)):
            inside = middle
        else:
            outside = middle
    return inside


def _null_variance(difference: float, wins: float, losses: float, n: float) -> float:
    """Variance of wins - losses when the true difference is given, at the likeliest rate of losses."""
    a = 2.0 * n
    b = -(wins + losses) + (2 * n - wins + losses) * difference
    c = -losses * difference * (1.0 - difference)
    root = math.sqrt(max(b * b - 4 * a * c, 0.0))
    # The larger root of a q^2 + b q + c, in the form that loses no digits.
    rate = -2 * c / (b + root) if b > 0 else (root - b) / (2 * a)
    return max(n * (2 * rate + difference * (1.0 - difference)), 0.0)


def _phi(both: int, wins: int, losses: int, neither: int) -> float:
    margins = (both + wins) * (losses + neither) * (both + losses) * (wins + neither)
    if margins == 0:
        return 0.0
    product = both * neither - wins * losses
    corrected = max(product - (both + wins + losses + neither) / 2, 0.0) if product > 0 else product
    return corrected / math.sqrt(margins)


def _joined(first: float, second: float, correlation: float) -> float:
    return math.sqrt(max(first**2 - 2 * correlation * first * second + second**2, 0.0))


def _check_pairs(wins: int, losses: int, n: int) -> None:
    if n < 1 or min(wins, losses) < 0 or wins + losses > n:
        raise SpecError(
            f"impossible paired counts: wins={wins!r}, losses={losses!r}, n={n!r}",
            hint="0 <= wins, 0 <= losses, wins + losses <= n, n >= 1",
        )
