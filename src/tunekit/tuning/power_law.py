"""A power law through the points of a learning curve. Knows sizes and scores; not who learned.

`a - b * n ** -c`, by least squares with weight sqrt(n) (Figueroa et al. 2012, BMC Med Inform Decis Mak 12:8, who fit it
to 568 curves of classifiers). For a given c, a and b follow in closed form, so only c is searched for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from tunekit.errors import SpecError
from tunekit.evaluation.records import Record
from tunekit.evaluation.stats import Interval

FEWEST_SIZES = 4
"""Three sizes fit any power law, so they cannot tell whether it is one."""
FURTHEST = 8
"""How many times the largest size a fit is believed. Beyond, small errors of c are large ones of the score."""

_RATES = (0.01, 3.0)
_GRID = 24
_NARROWINGS = 24
_GOLDEN = (math.sqrt(5) - 1) / 2
_DRAWS = 400

Curve: TypeAlias = tuple[float, float, float]
"""a, b and c."""


class PowerLaw(Record):
    """`score = a - b * n ** -c`, fitted to the points of a learning curve.

    Its intervals come from fitting it again to points drawn with replacement. They say how much the rows and seeds
    decide; that all points were scored on one and the same dev set is not in them.

    Attributes:
        a: The plateau: what no number of rows would exceed.
        b: How far below the plateau one row is. Below 0, the score falls with more rows.
        c: How fast the gap closes.
        rmse: Root mean square of what the fit misses of the mean of each size.
        largest: The largest size measured.
        level: Confidence level of the intervals.
        draws: a, b and c of each fit to drawn points.

    Examples:
        >>> law = fit({n: [0.9 - n**-0.5] for n in (50, 100, 200, 400, 800)})
        >>> round(law.a, 4), round(law.b, 3), round(law.c, 4), round(law.at(1600).estimate, 4)
        (0.9, 1.0, 0.5, 0.875)
    """

    a: float
    b: float
    c: float
    rmse: float
    largest: int
    level: float
    draws: tuple[Curve, ...]

    def __repr__(self) -> str:
        return f"PowerLaw({self})"

    def __str__(self) -> str:
        sign = "-" if self.b >= 0 else "+"
        return f"{self.a:.4g} {sign} {abs(self.b):.4g} * n^-{self.c:.3g}"

    @property
    def furthest(self) -> int:
        """The largest size that it is asked about: eight times the largest measured."""
        return FURTHEST * self.largest

    def at(self, n: int) -> Interval:
        """The score expected of `n` rows, with its interval.

        Raises:
            SpecError: `n` is not from 1 to eight times the largest size measured.
        """
        if not 1 <= n <= self.furthest:
            raise SpecError(
                f"n is {n}, and the fit is asked from 1 to {self.furthest:,} rows",
                hint=f"measure more rows: {FURTHEST} times the largest size is as far as a fit is believed",
            )
        spread = sorted(value_at(draw, n) for draw in self.draws)
        estimate = value_at((self.a, self.b, self.c), n)
        low, high = ends(spread, self.level)
        return Interval(
            estimate=estimate,
            low=min(low, estimate),
            high=max(high, estimate),
            level=self.level,
            n=len(spread),
        )

    def sizes_for(self, target: float, *, rising: bool) -> tuple[float, float, float]:
        """Low end, estimate and high end of the rows that reach `target`; infinite where none do.

        Args:
            target: The score to reach.
            rising: Whether higher is better.
        """
        spread = sorted(size_for(draw, target, rising=rising) for draw in self.draws)
        estimate = size_for((self.a, self.b, self.c), target, rising=rising)
        low, high = ends(spread, self.level)
        return min(low, estimate), estimate, max(high, estimate)


def fit(scores: Mapping[int, Sequence[float]], *, level: float = 0.95, seed: int = 0) -> PowerLaw:
    """Fit the law to the scores of each size.

    Range: six sizes or more with three seeds each, each size about twice the last. There, intervals at twice to eight
    times the largest size cover 0.90 to 0.95 where 0.95 is asked (simulated for three curves, in the tests). A score
    that first rises and then falls is no power law; `rmse` shows it.

    Raises:
        SpecError: There are fewer than four sizes, or a score is not finite.
    """
    points = [(n, score) for n in sorted(scores) for score in scores[n]]
    sizes = {n for n, _ in points}
    if len(sizes) < FEWEST_SIZES:
        raise SpecError(
            f"a power law needs {FEWEST_SIZES} sizes, and there are {len(sizes)}", hint="measure more sizes"
        )
    if not all(math.isfinite(score) for _, score in points):
        raise SpecError("a score is not finite", hint="leave out what could not be scored")
    best = _fitted(_means(points))
    return PowerLaw(
        a=best[0],
        b=best[1],
        c=best[2],
        rmse=math.sqrt(_mean((mean.y - value_at(best, mean.n)) ** 2 for mean in _means(points))),
        largest=max(sizes),
        level=level,
        draws=tuple(_fitted(_means(drawn)) for drawn in _redrawn(points, Random(seed))),
    )


def value_at(curve: Curve, n: float) -> float:
    """The score that a curve gives `n` rows."""
    a, b, c = curve
    return float(a - b * n**-c)


def size_for(curve: Curve, target: float, *, rising: bool) -> float:
    """The rows at which a curve reaches `target`; infinite where it never does.

    Examples:
        >>> round(size_for((0.9, 1.0, 0.5), 0.8, rising=True)), size_for((0.9, 1.0, 0.5), 0.95, rising=True)
        (100, inf)
    """
    a, b, c = curve if rising else (-curve[0], -curve[1], curve[2])
    gap = a - (target if rising else -target)
    if b <= 0:  # more rows do not help: it is reached with one, or never
        return 1.0 if a - b >= a - gap else math.inf
    if gap <= 0:
        return math.inf
    log_size = math.log(b / gap) / c
    return max(1.0, math.exp(log_size)) if log_size < 700 else math.inf


def ends(ordered: Sequence[float], level: float) -> tuple[float, float]:
    """The ends of the middle share `level` of ordered values; they may be infinite, so nothing is interpolated."""
    tail, last = (1 - level) / 2, len(ordered) - 1
    return ordered[math.floor(tail * last)], ordered[math.ceil((1 - tail) * last)]


# --- inside -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Size:
    """What is known at one size: the mean of its scores, and what that counts."""

    n: int
    y: float
    weight: float


def _means(points: Iterable[tuple[int, float]]) -> list[_Size]:
    """One mean per size: the squares about it do not depend on the curve, so the best fit is the same."""
    scores: dict[int, list[float]] = {}
    for n, score in points:
        scores.setdefault(n, []).append(score)
    return [_Size(n, _mean(found), len(found) * math.sqrt(n)) for n, found in sorted(scores.items())]


def _fitted(sizes: Sequence[_Size]) -> Curve:
    """The curve of least squares, its c on a grid and then by golden section."""
    step = math.log(_RATES[1] / _RATES[0]) / (_GRID - 1)
    errors = [_error(sizes, math.log(_RATES[0]) + at * step) for at in range(_GRID)]
    best = errors.index(min(errors))
    low, high = (math.log(_RATES[0]) + min(max(at, 0), _GRID - 1) * step for at in (best - 1, best + 1))
    rate = math.exp(_golden(lambda log_rate: _error(sizes, log_rate), low, high))
    a, b, _ = _line(sizes, rate)
    return a, b, rate


def _golden(error: Callable[[float], float], low: float, high: float) -> float:
    """Where a function of one valley is least."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = error(left), error(right)
    for _ in range(_NARROWINGS):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = error(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = error(right)
    return (low + high) / 2


def _error(sizes: Sequence[_Size], log_rate: float) -> float:
    return _line(sizes, math.exp(log_rate))[2]


def _line(sizes: Sequence[_Size], rate: float) -> tuple[float, float, float]:
    """The best a and b for this c, a weighted straight line in n ** -c, and the sum of squares that it leaves."""
    total = sum(size.weight for size in sizes)
    points = [(size.n**-rate, size.y, size.weight) for size in sizes]
    middle_x = sum(weight * x for x, _, weight in points) / total
    middle_y = sum(weight * y for _, y, weight in points) / total
    spread = shared = 0.0
    for x, y, weight in points:
        spread += weight * (x - middle_x) ** 2
        shared += weight * (x - middle_x) * (y - middle_y)
    slope = shared / spread
    a = middle_y - slope * middle_x
    return a, -slope, sum(weight * (y - a - slope * x) ** 2 for x, y, weight in points)


def _redrawn(points: Sequence[tuple[int, float]], random: Random) -> Iterable[list[tuple[int, float]]]:
    """Points drawn with replacement, of three sizes at least: fewer fix no curve.

    Simulated against draws within each size and against residuals: with three seeds at six sizes these cover best of
    those that need no assumption on how the spread depends on the size.
    """
    draws = 0
    while draws < _DRAWS:
        drawn = [points[int(random.random() * len(points))] for _ in points]
        if len({n for n, _ in drawn}) >= FEWEST_SIZES - 1:
            draws += 1
            yield drawn


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return math.fsum(found) / len(found)
