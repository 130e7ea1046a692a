"""Normal, Student t, binomial and beta distributions. Knows special functions; not what a score is.

Everything is standard library: an evaluation must not need scipy. Accuracy is about 1e-11 relative, tested to
1e-9.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from tunekit.errors import SpecError

_TINY = 1e-300
_EPSILON = 1e-16


def normal_quantile(p: float) -> float:
    """The x below which a standard normal variable falls with probability `p`.

    Raises:
        SpecError: `p` is not strictly between 0 and 1.

    Examples:
        >>> round(normal_quantile(0.975), 6)
        1.959964
    """
    _check_probability(p)
    return NormalDist().inv_cdf(p)


def two_sided_z(level: float) -> float:
    """Half-width, in standard errors, of a normal interval that covers with probability `level`.

    Raises:
        SpecError: `level` is not strictly between 0 and 1.
    """
    return normal_quantile(_upper_probability(level))


def two_sided_t(level: float, df: float) -> float:
    """Half-width, in standard errors, of a Student t interval with `df` degrees of freedom.

    Raises:
        SpecError: `level` is not strictly between 0 and 1, or `df` is not positive.
    """
    return student_t_quantile(_upper_probability(level), df)


def student_t_sf(t: float, df: float) -> float:
    """Probability that a Student t variable exceeds `t`.

    Source: Abramowitz and Stegun 26.7.1, through the incomplete beta function.

    Raises:
        SpecError: `df` is not positive.

    Examples:
        >>> round(student_t_sf(2.0, df=10), 6)
        0.036694
    """
    if not df > 0:
        raise SpecError(
            f"degrees of freedom must be positive, not {df!r}",
            hint="values have n - 1; pass two values or more",
        )
    square = t * t
    tail = 0.5 * incomplete_beta(df / (df + square), df / 2, 0.5, complement=square / (df + square))
    return tail if t >= 0 else 1.0 - tail


def student_t_quantile(p: float, df: float) -> float:
    """The t below which a Student t variable falls with probability `p`.

    Newton's method from a point left of the root: on t > 0 the tail probability is convex, so every step
    stays left of the root and none can overshoot.

    Raises:
        SpecError: `p` is not strictly between 0 and 1, or `df` is not positive.

    Examples:
        >>> round(student_t_quantile(0.975, df=10), 6)
        2.228139
    """
    _check_probability(p)
    if p == 0.5:
        return 0.0
    tail = min(p, 1.0 - p)
    t, high = 0.0, 1.0
    while student_t_sf(high, df) > tail:
        t, high = high, 2.0 * high
    for _ in range(200):
        step = (student_t_sf(t, df) - tail) / _student_t_density(t, df)
        t += step
        if step <= 4 * _EPSILON * t:
            break
    return t if p > 0.5 else -t


def binomial_cdf(successes: int, n: int, p: float) -> float:
    """Probability of at most `successes` in `n` independent trials that each succeed with probability `p`.

    Source: Abramowitz and Stegun 26.5.24, through the incomplete beta function.

    Examples:
        >>> round(binomial_cdf(1, 3, 0.5), 12)
        0.5
    """
    if successes < 0:
        return 0.0
    if successes >= n:
        return 1.0
    return incomplete_beta(1.0 - p, n - successes, successes + 1, complement=p)


def binomial_pmf(successes: int, n: int, p: float) -> float:
    """Probability of exactly `successes` in `n` independent trials that each succeed with probability `p`."""
    if not 0 <= successes <= n:
        return 0.0
    if p in (0.0, 1.0):
        return float(successes == n * p)
    ways = math.lgamma(n + 1) - math.lgamma(successes + 1) - math.lgamma(n - successes + 1)
    return math.exp(ways + successes * math.log(p) + (n - successes) * math.log1p(-p))


def incomplete_beta(x: float, a: float, b: float, *, complement: float | None = None) -> float:
    """The regularised incomplete beta function I_x(a, b), for 0 <= x <= 1 and a, b > 0.

    Source: the continued fraction DLMF 8.17.22, evaluated from the front by Lentz's method.

    Args:
        x: Upper limit of the integral.
        a: First shape.
        b: Second shape.
        complement: 1 - x where the caller knows it more precisely than the subtraction would give.

    Examples:
        >>> round(incomplete_beta(0.5, 2, 2), 12)
        0.5
    """
    y = 1.0 - x if complement is None else complement
    if x <= 0.0 or y <= 0.0:
        return 0.0 if x <= 0.0 else 1.0
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast only below the mean
        return 1.0 - incomplete_beta(y, b, a, complement=x)
    log_front = a * math.log(x) + b * math.log(y) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(log_front) * _beta_fraction(x, a, b) / a


def _beta_fraction(x: float, a: float, b: float) -> float:
    c = 1.0
    d = 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = 1.0
        for coefficient in (even, odd):
            d = 1.0 / _away_from_zero(1.0 + coefficient * d)
            c = _away_from_zero(1.0 + coefficient / c)
            change = c * d
            value *= change
        if abs(change - 1.0) <= 2 * _EPSILON:
            break
    return value


def _student_t_density(t: float, df: float) -> float:
    log_scale = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - 0.5 * math.log(df * math.pi)
    return math.exp(log_scale - (df + 1) / 2 * math.log1p(t * t / df))


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def _upper_probability(level: float) -> float:
    _check_probability(level, name="level")
    return 0.5 + level / 2


def _check_probability(p: float, *, name: str = "p") -> None:
    if not 0.0 < p < 1.0:
        raise SpecError(f"{name} must be strictly between 0 and 1, not {p!r}", hint="write 0.95 for 95 %")
