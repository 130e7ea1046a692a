"""How good an arm is, how far two are apart, and how sure that is. Knows numbers; not what they measure.

Scores of an arm are a table: a row for each seed, a column for each row of the test. Both were drawn from many, so both
make the mean uncertain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance

Scores = Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and its standard error."""

    mean: float
    error: float


def estimate(scores: Scores) -> Estimate:
    """The mean over all seeds and rows.

    The error is that of the mean of a two-way table whose rows (seeds) and columns (test rows) are both random:
    variance (MS_seeds + MS_rows - MS_rest) / (seeds * rows), as in a crossed random-effects analysis of variance
    (Brennan 2001, Generalizability Theory). Where that is below what the rest alone gives, the rest counts.

    Examples:
        >>> found = estimate([[1, 0, 0, 0], [1, 0, 0, 0]])
        >>> found.mean, round(found.error, 3)
        (0.25, 0.25)
    """
    seeds, rows, mean = len(scores), len(scores[0]), fmean(fmean(seed) for seed in scores)
    of_rows = [fmean(column) for column in zip(*scores, strict=True)]
    if seeds == 1:
        return Estimate(mean, math.sqrt(variance(of_rows) / rows))
    of_seeds = [fmean(row) for row in scores]
    rest = sum(
        (value - of_seeds[seed] - of_rows[row] + mean) ** 2
        for seed, values in enumerate(scores)
        for row, value in enumerate(values)
    ) / ((seeds - 1) * (rows - 1))
    both = rows * variance(of_seeds) + seeds * variance(of_rows) - rest
    return Estimate(mean, math.sqrt(max(both, rest) / (seeds * rows)))


def difference(ours: Scores, theirs: Scores) -> Estimate:
    """Ours minus theirs, paired by seed and row.

    Examples:
        >>> found = difference([[1, 0, 1, 1], [1, 0, 1, 1]], [[0, 0, 1, 1], [0, 0, 1, 1]])
        >>> found.mean, round(found.error, 3)
        (0.25, 0.25)
    """
    return estimate(
        [[a - b for a, b in zip(mine, other, strict=True)] for mine, other in zip(ours, theirs, strict=True)]
    )
