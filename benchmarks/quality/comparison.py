"""How far two arms are apart and how sure that is. Knows numbers; not what they measure.

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
class Difference:
    """A mean and its standard error."""

    mean: float
    error: float

    @property
    def within_one(self) -> bool:
        """Not more than one standard error below."""
        return self.mean >= -self.error


def mean_of(scores: Scores) -> float:
    """Over all seeds and rows."""
    return fmean(fmean(seed) for seed in scores)


def difference(ours: Scores, theirs: Scores) -> Difference:
    """Ours minus theirs, paired by row.

    The error is that of the mean of a two-way table whose rows (seeds) and columns (test rows) are both random:
    variance (MS_seeds + MS_rows - MS_rest) / (seeds * rows), as in a crossed random-effects analysis of variance
    (Brennan 2001, Generalizability Theory). Where that is below what the rest alone gives, the rest counts.

    Examples:
        >>> found = difference([[1, 0, 1, 1], [1, 0, 1, 1]], [[0, 0, 1, 1], [0, 0, 1, 1]])
        >>> found.mean, round(found.error, 3)
        (0.25, 0.25)
    """
    apart = [
        [a - b for a, b in zip(mine, other, strict=True)] for mine, other in zip(ours, theirs, strict=True)
    ]
    seeds, rows, mean = len(apart), len(apart[0]), mean_of(apart)
    of_rows = [fmean(column) for column in zip(*apart, strict=True)]
    if seeds == 1:
        return Difference(mean, math.sqrt(variance(of_rows) / rows))
    of_seeds = [fmean(row) for row in apart]
    rest = sum(
        (value - of_seeds[seed] - of_rows[row] + mean) ** 2
        for seed, values in enumerate(apart)
        for row, value in enumerate(values)
    ) / ((seeds - 1) * (rows - 1))
    both = rows * variance(of_seeds) + seeds * variance(of_rows) - rest
    return Difference(mean, math.sqrt(max(both, rest) / (seeds * rows)))
