"""Can this test see that difference? Items needed, power, smallest visible effect. Knows planning; not results.

All are normal approximations for a two-sided test. Range: plans of about 100 items or more. Checked against
`mcnemar_power`, which is exact: 10 % disagreement, 3 points, n=1,000 gives a power of 0.835 (exact McNemar) to 0.857
(mid-p), and 0.852 here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from tunekit.errors import SpecError
from tunekit.evaluation.stats.clusters import design_effect
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


def items_needed_unpaired(
    share: float, delta: float, *, power: float = 0.8, alpha: float = 0.05
) -> int | None:
    """Items that each of two models needs to tell their shares apart, when they answer different items.

    Often several times those of a paired test: pair by item wherever you can.

    Source: Fleiss 1981, Statistical Methods for Rates and Proportions, section 3.2, with the variance of the
    alternative throughout.

    Args:
        share: Share of right answers of the first model.
        delta: By how much that of the second differs.
        power: Probability of detecting it.
        alpha: Two-sided size of the test.

    Returns:
        Items of each model, or None if `delta` is 0.

    Raises:
        SpecError: A share or a probability is out of range.

    Examples:
        >>> items_needed_unpaired(0.80, 0.03)
        2626
    """
    return items_needed_mean(delta, _unpaired_variance(share, delta), power=power, alpha=alpha)


def items_needed_clustered(items: int, cluster_size: float, correlation: float) -> int:
    """Items needed in groups, where `items` of their own would do.

    A negative correlation counts as 0: fewer items than independent ones are not to be planned with.

    Source: Kish 1965, Survey Sampling, section 5.4; see `design_effect`.

    Args:
        items: What another function of this module says.
        cluster_size: Items of a group; of unequal ones `typical_cluster_size`.
        correlation: How alike the differences within a group are; see `intraclass_correlation`.

    Raises:
        SpecError: `items` is not positive, or the groups are impossible.

    Examples:
        >>> items_needed_clustered(870, 5, 0.25)
        1740
    """
    _check_n(items)
    needed = items * max(1.0, design_effect(cluster_size, correlation))
    return math.ceil(needed - 1e-9 * needed)  # rounding must not add an item


def answers_variance(
    between: float, within_a: float, within_b: float, *, answers_a: int = 1, answers_b: int = 1
) -> float:
    """Variance of one item's difference when a model gives several answers to an item, whose scores are averaged.

    It goes into `items_needed_mean`, `power_mean` and `detectable_mean`. More answers cut the noise within items;
    only more items cut what lies between them.

    Source: Miller 2024, arXiv 2411.00640, section 5: omega^2 + sigma_A^2 / K_A + sigma_B^2 / K_B.

    Args:
        between: Variance over items of the difference of the two expected scores.
        within_a: Variance of the score of one answer of `a` to the same item, averaged over items.
        within_b: That of `b`.
        answers_a: Answers of `a` to each item.
        answers_b: Answers of `b` to each item.

    Raises:
        SpecError: A variance is negative, or there is no answer.

    Examples:
        >>> variance = answers_variance(0.1, 0.2, 0.2, answers_a=4, answers_b=4)
        >>> round(variance, 9), items_needed_mean(0.03, variance)
        (0.2, 1745)
    """
    for variance in (between, within_a, within_b):
        _check_variance(variance)
    _check_n(answers_a, name="answers_a")
    _check_n(answers_b, name="answers_b")
    return between + within_a / answers_a + within_b / answers_b


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


def power_paired(n: int, delta: float, disagreement: float, *, alpha: float = 0.05) -> float:
    """Probability that a paired test of `n` items detects a difference of two shares; the inverse of `items_needed`.

    Raises:
        SpecError: `n` is not positive, `delta` exceeds the disagreement, or a probability is out of range.

    Examples:
        >>> round(power_paired(1_000, 0.03, 0.10), 3)
        0.852
    """
    _check_share(disagreement, "disagreement")
    _check_n(n)
    check_within(delta, disagreement)
    z = normal_quantile(1 - alpha / 2)
    if delta == 0.0:
        return alpha
    spread = math.sqrt(disagreement - delta**2)
    gap = abs(delta) * math.sqrt(n) - z * math.sqrt(disagreement)
    return NormalDist().cdf(gap / spread) if spread > 0 else float(gap > 0)


def power_unpaired(n: int, share: float, delta: float, *, alpha: float = 0.05) -> float:
    """Probability that two models with `n` items each, different ones, are told apart.

    Raises:
        SpecError: `n` is not positive, or a share or probability is out of range.

    Examples:
        >>> round(power_unpaired(2_626, 0.80, 0.03), 3)
        0.8
    """
    return power_mean(n, delta, _unpaired_variance(share, delta), alpha=alpha)


def power_mean(n: int, delta: float, variance: float, *, alpha: float = 0.05) -> float:
    """Probability that `n` items detect a mean difference, given the variance of one item's difference.

    Raises:
        SpecError: `n` is not positive, `variance` is negative or a probability is out of range.
    """
    _check_variance(variance)
    _check_n(n)
    z = normal_quantile(1 - alpha / 2)
    if delta == 0.0:
        return alpha
    return NormalDist().cdf(abs(delta) * math.sqrt(n / variance) - z) if variance > 0 else 1.0


def power_table(
    deltas: Sequence[float] = (0.01, 0.02, 0.03, 0.05),
    disagreements: Sequence[float] = (0.05, 0.10, 0.20, 0.30),
    *,
    power: float = 0.8,
    alpha: float = 0.05,
) -> dict[float, tuple[int | None, ...]]:
    """How large a test to collect: paired items by disagreement, one number for each difference.

    Raises:
        SpecError: A probability is out of range.

    Examples:
        >>> power_table()[0.10]
        (7847, 1960, 870, 312)
    """
    return {
        share: tuple(items_needed(delta, share, power=power, alpha=alpha) for delta in deltas)
        for share in disagreements
    }


def check_within(delta: float, disagreement: float) -> None:
    """Refuse a difference larger than the share of items on which two models disagree.

    Raises:
        SpecError: It is.
    """
    if not abs(delta) <= disagreement:
        raise SpecError(
            f"a difference of {delta!r} needs more disagreement than {disagreement!r}",
            hint="each point of difference is at least a point of disagreement",
        )


def _unpaired_variance(share: float, delta: float) -> float:
    _check_share(share, "share")
    _check_share(share + delta, "share + delta")
    return share * (1 - share) + (share + delta) * (1 - share - delta)


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


def _check_n(n: int, *, name: str = "n") -> None:
    if n < 1:
        raise SpecError(f"{name} must be 1 or more, not {n!r}", hint="count items, or answers to an item")
