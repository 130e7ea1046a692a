"""Items that come in groups (a passage, a user, a template): means, shares and differences. Knows numbers and groups.

Items of one group resemble each other, so that they say less than as many items of their own would: published standard
errors grew up to threefold. Every function takes the group of each item beside its value, as any hashable label. Where
every item is a group of its own, each gives exactly what its namesake without groups gives.

Which clustered version of McNemar's test: `obuchowski` is the published statistic; `cluster_sign_flip` on the
differences is the same question answered by counting, and exact for few groups, where the chi-square of the other is
not. A comparison should show the second.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from itertools import repeat

from tunekit.errors import SpecError
from tunekit.evaluation.stats.distributions import two_sided_t, two_sided_z
from tunekit.evaluation.stats.interval import Interval
from tunekit.evaluation.stats.means import check_values, mean_and_error, mean_t, sign_flip
from tunekit.evaluation.stats.proportions import tango_limits, wilson_limits


def clustered_mean(values: Sequence[float], clusters: Sequence[Hashable], *, level: float = 0.95) -> Interval:
    """Interval of a mean, or of a paired difference when given the differences, for items in groups.

    The CR1 standard error with Student's t at G - 1 degrees of freedom, G groups. For right or wrong the mean is a
    share, and the interval may leave 0 to 1: see `clustered_wilson` and `clustered_tango`.

    Range: about 10 groups or more, of similar size; see `clusters_warning`. One group bounds nothing. Groups with all
    the same mean give no width, which claims more than they can show.

    Source: Liang and Zeger 1986, Biometrika 73:13, with the factor G / (G - 1); t(G - 1) after Cameron and Miller
    2015, J. Human Resources 50:317.

    Raises:
        SpecError: There is no value, one is not finite, or the groups are not one for each.

    Examples:
        >>> interval = clustered_mean([1, 1, 0, 0, 1, 0], ["a", "a", "b", "b", "c", "c"])
        >>> round(interval.low, 3), round(interval.high, 3)
        (-0.742, 1.742)
    """
    groups = _grouped(values, clusters)
    if len(groups) == len(values):
        return mean_t(values, level=level)
    mean = math.fsum(values) / len(values)
    half = two_sided_t(level, len(groups) - 1) * _cr1_error(groups) if len(groups) > 1 else math.inf
    return Interval(estimate=mean, low=mean - half, high=mean + half, level=level, n=len(values))


def clustered_wilson(
    right: Sequence[float], clusters: Sequence[Hashable], *, level: float = 0.95
) -> Interval:
    """Wilson's interval of a share for items in groups: of as many items as the sample is worth.

    Items are divided by the measured design effect, and by the square of how much wider t(G - 1) is than t(n - 1). A
    design effect below 1 counts as 1. Where all items are alike it cannot be measured, and each group counts as one
    item.

    Range: as `clustered_mean`.

    Source: Korn and Graubard 1998, Survey Methodology 24:193, applied to Wilson's interval instead of
    Clopper and Pearson's, as by Franco et al. 2019, J. Survey Statistics and Methodology 7:334.

    Raises:
        SpecError: A value is not 0 or 1, there is none, or the groups are not one for each.
    """
    _check_among(right, (0.0, 1.0))
    share, n = math.fsum(right) / len(right), len(right)
    worth = effective_items(right, clusters, level=level)
    low, high = wilson_limits(share * worth, worth, two_sided_z(level)) if worth else (0.0, 1.0)
    return Interval(estimate=share, low=low, high=high, level=level, n=n)


def clustered_tango(
    differences: Sequence[float], clusters: Sequence[Hashable], *, level: float = 0.95
) -> Interval:
    """Tango's interval of a paired difference of shares for items in groups: of as many items as the sample is worth.

    Unlike `clustered_mean` it keeps a width where the models never disagree. The effective number of items is that of
    `clustered_wilson`.

    Range: as `clustered_mean`, and 10 disagreements or more.

    Source: Tango 1998 with the effective sample size of Korn and Graubard 1998; score intervals with a corrected
    sample size are among those that Yang, Sun and Hardin 2012, Pharmaceutical Statistics 11:386, compare.

    Raises:
        SpecError: A difference is not -1, 0 or 1, there is none, or the groups are not one for each.
    """
    _check_among(differences, (-1.0, 0.0, 1.0))
    n = len(differences)
    wins, losses = sum(gap > 0 for gap in differences), sum(gap < 0 for gap in differences)
    worth = effective_items(differences, clusters, level=level)
    low, high = -1.0, 1.0
    if worth:
        low, high = tango_limits(wins * worth / n, losses * worth / n, worth, two_sided_z(level))
    return Interval(estimate=(wins - losses) / n, low=low, high=high, level=level, n=n)


def effective_items(values: Sequence[float], clusters: Sequence[Hashable], *, level: float = 0.95) -> float:
    """As many independent items as give an interval of this width; 0 where there is only one group.

    Source: Korn and Graubard 1998, Survey Methodology 24:193.

    Raises:
        SpecError: There is no value, one is not finite, or the groups are not one for each.
    """
    groups = _grouped(values, clusters)
    n, count = len(values), len(groups)
    if count == n:
        return float(n)
    if count == 1:
        return 0.0
    _, error = mean_and_error(values)
    if error == 0.0:
        return float(count)
    effect = max(1.0, (_cr1_error(groups) / error) ** 2)
    return n / effect * (two_sided_t(level, n - 1) / two_sided_t(level, count - 1)) ** 2


def cluster_sign_flip(
    differences: Sequence[float], clusters: Sequence[Hashable], *, resamples: int = 9_999, seed: int = 0
) -> float:
    """Two-sided p-value by flipping the signs of whole groups.

    If the two models do equally well, the sum of each group could as well have had the other sign. Exact, that is
    counted, up to 14 groups whose sum is not 0; above, sampled.

    Range: any number of groups, but G groups cannot give less than 2^(1 - G): with 5 no result is below 0.05. See
    `sign_flip_warning`.

    Source: Canay, Romano and Shaikh 2017, Econometrica 85:1013.

    Raises:
        SpecError: There is no value, one is not finite, the groups are not one for each, or `resamples` is not
            positive.

    Examples:
        >>> cluster_sign_flip([0.2, 0.1, 0.3, -0.1, 0.4, 0.2], ["a", "a", "b", "b", "c", "c"])
        0.25
    """
    groups = _grouped(differences, clusters)
    return sign_flip([math.fsum(group) for group in groups], resamples=resamples, seed=seed)


def obuchowski(differences: Sequence[float], clusters: Sequence[Hashable]) -> float:
    """Two-sided p-value of Obuchowski's test, the clustered version of McNemar's, for right or wrong.

    Range: about 20 groups with a disagreement or more: its chi-square distribution is a limit. `cluster_sign_flip`
    needs none. No disagreement gives 1.

    Source: Obuchowski 1998, Statistics in Medicine 17:1495, in the form of Yang, Sun and Hardin 2010, Biometrical
    Journal 52:638: (K - 1) / K (sum d)^2 / sum d^2, with d the wins minus the losses of each of K groups.

    Raises:
        SpecError: A difference is not -1, 0 or 1, there is none, or the groups are not one for each.

    Examples:
        >>> round(obuchowski([1, 1, 0, 1, -1, 1, 1, 0], ["a", "a", "b", "b", "c", "c", "d", "d"]), 4)
        0.1573
    """
    _check_among(differences, (-1.0, 0.0, 1.0))
    sums = [math.fsum(group) for group in _grouped(differences, clusters)]
    squares = math.fsum(total * total for total in sums)
    if squares == 0.0:
        return 1.0
    statistic = (len(sums) - 1) / len(sums) * math.fsum(sums) ** 2 / squares
    return math.erfc(math.sqrt(statistic / 2))


def intraclass_correlation(values: Sequence[float], clusters: Sequence[Hashable]) -> float:
    """How alike items of one group are: 0 as unlike as any two items, 1 all the same. It can be slightly negative.

    The analysis-of-variance estimator.

    Range: 2 groups or more and fewer groups than items; with few groups it is a rough number.

    Source: Donner 1986, International Statistical Review 54:67.

    Raises:
        SpecError: There is only one group, or every item is one, or the groups are not one for each.

    Examples:
        >>> round(intraclass_correlation([1, 1, 0, 0, 1, 0], ["a", "a", "b", "b", "c", "c"]), 4)
        0.5
    """
    groups = _grouped(values, clusters)
    n, count = len(values), len(groups)
    if not 1 < count < n:
        raise SpecError(
            f"{count} groups of {n} items have no correlation within",
            hint="pass two groups or more, one of them with two items or more",
        )
    mean = math.fsum(values) / n
    centres = [math.fsum(group) / len(group) for group in groups]
    pairs = list(zip(groups, centres, strict=True))
    between = math.fsum(len(group) * (centre - mean) ** 2 for group, centre in pairs) / (count - 1)
    within = math.fsum((value - centre) ** 2 for group, centre in pairs for value in group) / (n - count)
    size = (n - math.fsum(len(group) ** 2 for group in groups) / n) / (count - 1)
    spread = between + (size - 1) * within
    return (between - within) / spread if spread > 0 else 0.0


def design_effect(cluster_size: float, correlation: float) -> float:
    """How many times more items a test in groups needs than one of independent items: 1 + (m - 1) ICC.

    For groups of unequal size pass `typical_cluster_size`.

    Source: Kish 1965, Survey Sampling, section 5.4.

    Raises:
        SpecError: `cluster_size` is below 1, or `correlation` not within -1 and 1.

    Examples:
        >>> design_effect(5, 0.25)
        2.0
    """
    if not (1.0 <= cluster_size < math.inf and -1.0 <= correlation <= 1.0):
        raise SpecError(
            f"groups of {cluster_size!r} items with a correlation of {correlation!r} are impossible",
            hint="cluster_size >= 1, -1 <= correlation <= 1",
        )
    return max(0.0, 1.0 + (cluster_size - 1.0) * correlation)


def typical_cluster_size(clusters: Sequence[Hashable]) -> float:
    """The size of the group in which an item lies on average: sum of squared sizes over the number of items.

    Examples:
        >>> typical_cluster_size(["a", "a", "a", "b"])
        2.5
    """
    sizes = [len(group) for group in _grouped([0.0] * len(clusters), clusters)]
    return sum(size * size for size in sizes) / len(clusters)


def _grouped(values: Sequence[float], clusters: Sequence[Hashable]) -> list[list[float]]:
    """The values of each group, in the order of first appearance."""
    check_values(values)
    if len(clusters) != len(values):
        raise SpecError(
            f"{len(values)} values but {len(clusters)} groups",
            hint="pass one group for each value, in the same order",
        )
    groups: dict[Hashable, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        groups.setdefault(cluster, []).append(value)
    return list(groups.values())


def _cr1_error(groups: Sequence[Sequence[float]]) -> float:
    """Standard error of the mean of all values, from the sums of residuals of each group."""
    n, count = sum(map(len, groups)), len(groups)
    mean = math.fsum(value for group in groups for value in group) / n
    squares = math.fsum(math.fsum([*group, *repeat(-mean, len(group))]) ** 2 for group in groups)
    return math.sqrt(squares * count / (count - 1)) / n


def _check_among(values: Sequence[float], allowed: tuple[float, ...]) -> None:
    check_values(values)
    for value in values:
        if value not in allowed:
            raise SpecError(
                f"a value must be one of {', '.join(f'{number:g}' for number in allowed)}, not {value!r}",
                hint="for other scores use clustered_mean and cluster_sign_flip",
            )
