"""Several tests of one question: p-values adjusted for how many there were. Knows p-values; not their tests."""

from __future__ import annotations

from collections.abc import Sequence

from tunekit.errors import SpecError


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given: below 0.05 means so with at most a 5 % chance that *any* is a false alarm.

    For gates: several metrics or slices, one of which may stop a release.

    Range: any dependence between the tests.

    Source: Holm 1979, Scandinavian J. Statistics 6:65.

    Raises:
        SpecError: A p-value is not within 0 and 1.

    Examples:
        >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    order, adjusted = _ordered(p_values), [0.0] * len(p_values)
    highest = 0.0
    for rank, at in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p_values[at]))
        adjusted[at] = highest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given: of all those below 0.05, about 5 % are expected to be false alarms.

    For exploring: which of many slices are worth a look. A gate needs `holm`.

    Range: tests that are independent, or positively dependent as those of overlapping slices usually are.

    Source: Benjamini and Hochberg 1995, J. Royal Stat. Soc. B 57:289; dependence: Benjamini and Yekutieli 2001,
    Annals of Statistics 29:1165.

    Raises:
        SpecError: A p-value is not within 0 and 1.

    Examples:
        >>> [round(p, 3) for p in benjamini_hochberg([0.01, 0.04, 0.03])]
        [0.03, 0.04, 0.04]
    """
    order, adjusted = _ordered(p_values), [0.0] * len(p_values)
    lowest = 1.0
    for rank, at in reversed(list(enumerate(order, start=1))):
        lowest = min(lowest, len(order) / rank * p_values[at])
        adjusted[at] = lowest
    return adjusted


def _ordered(p_values: Sequence[float]) -> list[int]:
    for p in p_values:
        if not 0.0 <= p <= 1.0:
            raise SpecError(f"a p-value must be within 0 and 1, not {p!r}", hint="pass the p-values of tests")
    return sorted(range(len(p_values)), key=p_values.__getitem__)
