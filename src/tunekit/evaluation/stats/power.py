"""Can this test see that difference? Items needed and smallest visible effect. Knows planning; not results.

All are normal approximations for a two-sided test, checked against exact enumeration: 10 % disagreement, 3
points, n=1,000 gives a power of 0.835 (exact McNemar) to 0.857 (mid-p).
"""

from __future__ import annotations

import math

from tunekit.errors import SpecError
from tunekit.evaluation.stats.distributions import normal_quantile


def items_needed(delta: float, disagreement: float, *, power: float = 0.8, alpha: float = 0.05) -> int | None:
    """Paired items needed to detect a difference of two shares; None where no number would do.

    Source: Connor 1987, Biometrics 43:207 (McNemar's test, unconditional).

    Args:
        delta: True difference, such as 0.03 for 3 points.
        disagreement: Share of items on which exactly one of the two models is right.
        power: Probability of detecting it.
        alpha: Two-sided size of the test.

    Returns:
        Items, or None if `delta` is 0 or larger than the disagreement allows.

    Raises:
        SpecError: A probability is out of range.

    Examples:
        >>> items_needed(0.03, 0.10)
        870
    """
    _check_share(disagreement, "disagreement")
    size = abs(delta)
    if size == 0.0 or size > disagreement:
        return None
    z_alpha, z_beta = _quantiles(power, alpha)
    spread = z_alpha * math.sqrt(disagreement) + z_beta * math.sqrt(disagreement - size**2)
    return math.ceil((spread / size) ** 2)


def items_needed_mean(
    delta: float, variance: float, *, power: float = 0.8, alpha: float = 0.05
) -> int | None:
    """Items needed to detect a mean difference, given the variance of one item's difference.

    For two models on different items of the same number each, the variance is the sum of both.

    Source: Miller 2024, arXiv 2411.00640, section 5.

    Returns:
        Items, or None if `delta` is 0.

    Raises:
        SpecError: `variance` is negative or a probability is out of range.

    Examples:
        >>> items_needed_mean(0.03, 0.8 * 0.2 + 0.83 * 0.17)  # unpaired, 80 % against 83 %
        2626
    """
    _check_variance(variance)
    z_alpha, z_beta = _quantiles(power, alpha)
    if delta == 0.0:
        return None
    return max(1, math.ceil((z_alpha + z_beta) ** 2 * variance / delta**2))


def detectable_difference(
    n: int, disagreement: float, *, power: float = 0.8, alpha: float = 0.05
) -> float | None:
    """Smallest difference of two shares that `n` paired items detect with probability `power`.

    The inverse of `items_needed`; None where even the whole disagreement on one side would go unseen.

    Raises:
        SpecError: `n` is not positive or a probability is out of range.

    Examples:
        >>> round(detectable_difference(870, 0.10), 4)
        0.03
    """
    _check_share(disagreement, "disagreement")
    _check_n(n)
    z_alpha, z_beta = _quantiles(power, alpha)
    room = n - z_alpha**2 + z_beta**2
    if room < 0 or disagreement == 0.0:
        return None
    root = z_alpha * math.sqrt(n) + z_beta * math.sqrt(room)
    size = math.sqrt(disagreement) * root / (n + z_beta**2)
    return size if size <= disagreement else None


def detectable_mean(n: int, variance: float, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """Smallest mean difference that `n` items detect, given the variance of one item's difference.

    Raises:
        SpecError: `n` is not positive, `variance` is negative or a probability is out of range.
    """
    _check_variance(variance)
    _check_n(n)
    return sum(_quantiles(power, alpha)) * math.sqrt(variance / n)


def _quantiles(power: float, alpha: float) -> tuple[float, float]:
    return normal_quantile(1 - alpha / 2), normal_quantile(power)


def _check_share(share: float, name: str) -> None:
    if not 0.0 <= share <= 1.0:
        raise SpecError(f"{name} must be within 0 and 1, not {share!r}", hint="write 0.1 for 10 %")


def _check_variance(variance: float) -> None:
    if not 0.0 <= variance < math.inf:
        raise SpecError(
            f"variance must be 0 or more and finite, not {variance!r}",
            hint="pass the variance of one item's difference: statistics.variance(differences)",
        )


def _check_n(n: int) -> None:
    if n < 1:
        raise SpecError(f"n must be 1 or more, not {n!r}", hint="n counts paired items")
