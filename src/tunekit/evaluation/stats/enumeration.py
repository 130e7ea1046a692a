"""Power and size of McNemar's tests, by adding up every outcome. Knows planning; not results."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, TypeAlias

from tunekit.errors import SpecError
from tunekit.evaluation.stats.distributions import binomial_cdf, binomial_pmf, normal_quantile
from tunekit.evaluation.stats.power import check_within
from tunekit.evaluation.stats.proportions import mcnemar_exact, mcnemar_mid_p

McNemar: TypeAlias = Literal["mid-p", "exact", "chi-square"]

_RARE = 40.0  # exponent: outcomes of a probability below e^-40 are left out


def mcnemar_power(
    n: int, delta: float, disagreement: float, *, test: McNemar = "mid-p", alpha: float = 0.05
) -> float:
    """Probability that McNemar's test of `n` paired items rejects; at a `delta` of 0, its true size.

    No approximation: the number of disagreements is binomial, and so are the wins among them. Outcomes left out
    have a probability below 1e-15 in all.

    Range: any number of items; 100,000 take a second or two.

    Args:
        n: Paired items.
        delta: True difference of the two shares.
        disagreement: Share of items on which exactly one of the two models is right.
        test: "mid-p", "exact", or "chi-square" without correction, for comparison.
        alpha: Two-sided nominal size.

    Raises:
        SpecError: `n` is not positive, `delta` exceeds the disagreement, or a probability is out of range.

    Examples:
        >>> round(mcnemar_power(200, 0.0, 0.10, test="exact"), 3)
        0.029
        >>> round(mcnemar_power(1_000, 0.03, 0.10), 3)
        0.857
    """
    if n < 1 or not 0.0 <= disagreement <= 1.0 or not 0.0 < alpha < 1.0:
        raise SpecError(
            f"impossible plan: n={n!r}, disagreement={disagreement!r}, alpha={alpha!r}",
            hint="n >= 1, 0 <= disagreement <= 1, 0 < alpha < 1",
        )
    check_within(delta, disagreement)
    if disagreement == 0.0:
        return 0.0
    win = min(1.0, (1 + delta / disagreement) / 2)
    likely = range(*_likely(n, disagreement))
    chances = zip(likely, _critical(likely, test, alpha), strict=True)
    return math.fsum(
        binomial_pmf(total, n, disagreement)
        * (binomial_cdf(fewer, total, win) + binomial_cdf(fewer, total, 1.0 - win))
        for total, fewer in chances
        if fewer >= 0
    )


def _likely(n: int, share: float) -> tuple[int, int]:
    """Counts outside have a probability below e^-40 on either side, by Hoeffding's and Bernstein's inequalities."""
    spread = n * share * (1 - share)
    reach = min(math.sqrt(_RARE * n / 2), _RARE / 3 + math.sqrt(_RARE**2 / 9 + 2 * _RARE * spread)) + 1
    return max(0, math.floor(n * share - reach)), min(n, math.ceil(n * share + reach)) + 1


def _critical(totals: range, test: McNemar, alpha: float) -> Iterator[int]:
    """For each number of disagreements, the most of the rarer side at which the test rejects; -1 for never."""
    fewer = -1
    for total in totals:
        while 2 * (fewer + 1) < total and _p_below(fewer + 1, total, test, alpha):
            fewer += 1
        yield fewer


def _p_below(fewer: int, total: int, test: McNemar, alpha: float) -> bool:
    if test == "chi-square":
        return (total - 2 * fewer) ** 2 >= normal_quantile(1 - alpha / 2) ** 2 * total
    p_value = mcnemar_exact if test == "exact" else mcnemar_mid_p
    return p_value(fewer, total - fewer) <= alpha
