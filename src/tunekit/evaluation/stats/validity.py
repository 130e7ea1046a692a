"""Where a method stops being trustworthy, in words for a reader. Knows sizes and limits; computes no statistic.

Each function gives None inside the range of the method. `benchmarks/evaluation_statistics.py` simulates both sides of
the limits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

FEW_FOR_T = 30
FEW_FOR_BOOTSTRAP = 100
FEW_DISAGREEMENTS = 10
FEW_CLUSTERS = 10
FEW_RUNS = 3


def t_warning(n: int) -> str | None:
    """Of `mean_t`: below 30 values it needs them to be normally distributed.

    Examples:
        >>> t_warning(12)
        '12 items are few for a t interval; it is reliable from about 30'
    """
    if n >= FEW_FOR_T:
        return None
    return f"{n} items are few for a t interval; it is reliable from about {FEW_FOR_T}"


def bootstrap_warning(n: int, *, groups: bool = False) -> str | None:
    """Of every bootstrap: below 100 items or pairs, or groups where those are drawn, its intervals are too narrow.

    A plain 95 % percentile interval of a difference of shares, 7 % wins and 2 % losses, covers 88 % at 30 pairs, 92 %
    at 50 and 96 % at 100; a BCa interval of a mean covers 88 % at 10 groups, 93 % at 40 and 95 % at 100.
    """
    if n >= FEW_FOR_BOOTSTRAP:
        return None
    what = "groups" if groups else "items"
    return f"{n} {what} are few for resampling; its intervals are too narrow below about {FEW_FOR_BOOTSTRAP}"


def disagreements_warning(wins: int, losses: int) -> str | None:
    """Of comparisons of right and wrong: they rest on the items that only one of the models has right."""
    if wins + losses >= FEW_DISAGREEMENTS:
        return None
    return f"the models disagree on {wins + losses} items only: the comparison rests on few of them"


def clusters_warning(clusters: Sequence[Hashable]) -> str | None:
    """Of every clustered standard error and bootstrap: it estimates a spread from as many numbers as there are groups.

    Groups of unequal size count for fewer: (sum of sizes)^2 / sum of squared sizes, Kish's effective number.

    Source: Cameron and Miller 2015, J. Human Resources 50:317, section VI.
    """
    sizes = Counter(clusters).values()
    if len(sizes) < FEW_CLUSTERS:
        return (
            f"{len(sizes)} groups are few: standard errors from fewer than about {FEW_CLUSTERS} are unsure, so rely on"
            " the sign flips of whole groups"
        )
    effective = sum(sizes) ** 2 / sum(size * size for size in sizes)
    if effective < FEW_CLUSTERS:
        return (
            f"{len(sizes)} groups of very unequal size count for about {effective:.1f}: standard errors from fewer than"
            f" about {FEW_CLUSTERS} are unsure"
        )
    return None


def sign_flip_warning(moving: int, *, alpha: float = 0.05) -> str | None:
    """Of sign flips: with `moving` differences (or group sums) that are not 0, p cannot be below 2^(1 - moving).

    Examples:
        >>> sign_flip_warning(5)
        'with 5 differences that are not 0, sign flips cannot give a p-value below 0.0625'
        >>> sign_flip_warning(6)
    """
    smallest = min(1.0, 2.0 ** (1 - moving))
    if smallest <= alpha:
        return None
    return f"with {moving} differences that are not 0, sign flips cannot give a p-value below {smallest:.4g}"


def runs_warning(runs_a: int, runs_b: int) -> str | None:
    """Of comparing recipes: few runs hardly show how much runs differ, and a single one does not at all."""
    if min(runs_a, runs_b) == 1:
        which = " and ".join(name for name, runs in (("a", runs_a), ("b", runs_b)) if runs == 1)
        return (
            f"one run of {which}: taken as the only one there is, since it does not show how much runs differ"
        )
    if min(runs_a, runs_b) < FEW_RUNS:
        return f"{runs_a} and {runs_b} runs hardly show how much runs differ; {FEW_RUNS} or more of each do better"
    return None
