"""Sums over resampled units: drawn with replacement, or with the two models exchanged. Knows units; no metric.

Draws come from the Mersenne Twister of the standard library, whose `random()` gives the same numbers for a seed on
every machine and version. NumPy, where it is importable, continues from the same state and draws the same numbers:
only the last digit of a sum can differ, by the order of additions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, product, repeat
from random import Random
from typing import TYPE_CHECKING, Any

from tunekit.evaluation.stats.units import Counts, Units

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_BLOCK = 1_000_000  # numbers that NumPy holds at once: 8 MB


def resampled_sums(units: Units, *, resamples: int, seed: int) -> Iterator[tuple[Counts, ...]]:
    """Sums over as many units as there are, drawn with replacement, once per resample."""
    numpy = _numpy()
    if numpy is not None:
        starts = numpy.repeat(numpy.arange(len(units.kinds)), units.numbers)
        return _summed_blocks(
            units, numpy, resamples, seed, units.count, lambda draws: _tally(numpy, draws, starts)
        )
    kind_of = list(chain.from_iterable(repeat(kind, number) for kind, number in enumerate(units.numbers)))
    draw = Random(seed).random
    return (_summed(units, _drawn(draw, kind_of, len(units.kinds))) for _ in range(resamples))


def exchanged_sums(units: Units, *, resamples: int, seed: int) -> Iterator[tuple[Counts, ...]]:
    """Sums over all units, in each of which the two models keep or change places by a coin, once per resample."""
    both, fixed, moving = _doubled(units)
    numpy = _numpy()
    if numpy is not None:
        count = sum(number for _, number in moving)
        starts = numpy.cumsum([0, *(number for _, number in moving)])[:-1]
        weigh = _exchange_weights(numpy, both, fixed, moving, starts)
        return _summed_blocks(both, numpy, resamples, seed, count, weigh)
    draw = Random(seed).random
    return (
        _summed(
            both, _placed(fixed, moving, [sum(draw() < 0.5 for _ in range(number)) for _, number in moving])
        )
        for _ in range(resamples)
    )


def every_exchange(units: Units) -> Iterator[tuple[Counts, ...]]:
    """The same sums for every one of the 2^m ways to exchange the m units in which the models differ."""
    both, fixed, moving = _doubled(units)
    coins = [number for _, number in moving]
    for flips in product((0, 1), repeat=sum(coins)):
        drawn = iter(flips)
        yield _summed(
            both, _placed(fixed, moving, [sum(next(drawn) for _ in range(number)) for number in coins])
        )


def differing(units: Units) -> int:
    """Units in which the counts of the two models differ."""
    return sum(number for kind, number in zip(units.kinds, units.numbers, strict=True) if kind[0] != kind[1])


def _doubled(units: Units) -> tuple[Units, list[int], list[tuple[int, int]]]:
    """Kinds as they are, then exchanged; how many of each stay whatever the coins say; and which kinds a coin moves."""
    both = Units(
        (*units.kinds, *(kind[::-1] for kind in units.kinds)), (*units.numbers, *units.numbers), units.items
    )
    moving = [
        (at, number)
        for at, (kind, number) in enumerate(zip(units.kinds, units.numbers, strict=True))
        if kind[0] != kind[1]
    ]
    kept = {at for at, _ in moving}
    fixed = [0 if at in kept else number for at, number in enumerate(units.numbers)]
    return both, [*fixed, *[0] * len(fixed)], moving


def _placed(fixed: Sequence[int], moving: Sequence[tuple[int, int]], exchanged: Sequence[int]) -> list[int]:
    weights = list(fixed)
    for (at, number), over in zip(moving, exchanged, strict=True):
        weights[at], weights[at + len(fixed) // 2] = number - over, over
    return weights


def _drawn(draw: Callable[[], float], kind_of: Sequence[int], kinds: int) -> list[int]:
    weights, count = [0] * kinds, len(kind_of)
    for _ in range(count):
        weights[kind_of[int(draw() * count)]] += 1
    return weights


def _summed(units: Units, weights: Sequence[int]) -> tuple[Counts, ...]:
    return units.named(sum(weights[at] * value for at, value in column.entries) for column in units.columns)


def _numpy() -> Any:
    try:
        import numpy
    except ImportError:  # slower without, and the same
        return None
    return numpy


def _summed_blocks(
    units: Units,
    numpy: Any,
    resamples: int,
    seed: int,
    draws: int,
    weigh: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.int64]],
) -> Iterator[tuple[Counts, ...]]:
    """Draws in blocks, `weigh` makes weights of kinds of them, and the sums follow."""
    twister = numpy.random.RandomState()
    state = Random(seed).getstate()[1]
    twister.set_state(("MT19937", state[:-1], state[-1]))
    kinds = numpy.array([at for column in units.columns for at, _ in column.entries], dtype=numpy.intp)
    values = numpy.array([value for column in units.columns for _, value in column.entries])
    starts = numpy.cumsum([0, *(len(column.entries) for column in units.columns)])[:-1]
    rows = max(1, _BLOCK // (draws + len(units.kinds) + len(kinds) + 1))
    for first in range(0, resamples, rows):
        weights = weigh(twister.random_sample((min(rows, resamples - first), draws)))
        sums = (
            numpy.add.reduceat(weights[:, kinds] * values, starts, axis=1) if len(kinds) else weights[:, :0]
        )
        yield from map(units.named, sums.tolist())


def _tally(
    numpy: Any, draws: npt.NDArray[np.float64], kind_of: npt.NDArray[np.intp]
) -> npt.NDArray[np.int64]:
    rows, count = draws.shape
    kinds = int(kind_of[-1]) + 1
    drawn = kind_of[(draws * count).astype(numpy.intp)] + numpy.arange(rows)[:, None] * kinds
    weights: npt.NDArray[np.int64] = numpy.bincount(drawn.ravel(), minlength=rows * kinds).reshape(
        rows, kinds
    )
    return weights


def _exchange_weights(
    numpy: Any,
    both: Units,
    fixed: Sequence[int],
    moving: Sequence[tuple[int, int]],
    starts: npt.NDArray[np.intp],
) -> Callable[[npt.NDArray[np.float64]], npt.NDArray[np.int64]]:
    kinds = numpy.array([at for at, _ in moving], dtype=numpy.intp)
    numbers = numpy.array([number for _, number in moving])

    def weigh(draws: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        over = numpy.add.reduceat((draws < 0.5).astype(numpy.int64), starts, axis=1)
        weights: npt.NDArray[np.int64] = numpy.tile(numpy.array(fixed), (len(draws), 1))
        weights[:, kinds] = numbers - over
        weights[:, kinds + len(both.kinds) // 2] = over
        return weights

    return weigh
