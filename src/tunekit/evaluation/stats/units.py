"""Counts of items gathered into what is resampled: one unit per item, or per group of items. Knows sums; no metric.

Many items have equal counts, so that units are kept as their distinct kinds and how many there are of each. The kinds
are sorted: neither the order of the items nor that of their counts can change a result.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import NamedTuple, TypeAlias

from tunekit.errors import SpecError

Counts: TypeAlias = Mapping[str, float]
"""Numbers of one item by name, such as right answers and items; a missing one is 0."""

Kind: TypeAlias = tuple[tuple[tuple[str, float], ...], ...]
"""Of each model, the counts of a unit in order of their names."""


class Column(NamedTuple):
    """One number of one model, over all kinds."""

    side: int
    name: str
    entries: tuple[tuple[int, float], ...]
    """Kind and value, where it is not 0."""


@dataclass(frozen=True)
class Units:
    """What is drawn from: kinds of units and how many there are of each.

    Attributes:
        kinds: Distinct units, sorted.
        numbers: Units of each kind.
        items: Items in all; as many as units, unless they are groups.
    """

    kinds: tuple[Kind, ...]
    numbers: tuple[int, ...]
    items: int

    @property
    def count(self) -> int:
        """Units in all."""
        return sum(self.numbers)

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The same numbers by model and name."""
        found: dict[tuple[int, str], list[tuple[int, float]]] = {}
        for at, kind in enumerate(self.kinds):
            for side, counts in enumerate(kind):
                for name, value in counts:
                    found.setdefault((side, name), []).append((at, value))
        return tuple(Column(side, name, tuple(found[side, name])) for side, name in sorted(found))

    @property
    def mirrored(self) -> Units:
        """The same units with the models in reverse."""
        pairs = sorted((kind[::-1], number) for kind, number in zip(self.kinds, self.numbers, strict=True))
        return Units(tuple(kind for kind, _ in pairs), tuple(number for _, number in pairs), self.items)

    @cached_property
    def totals(self) -> tuple[float, ...]:
        """The sum of each column over all units, rounded once."""
        return tuple(
            math.fsum(number for at, value in column.entries for number in repeat(value, self.numbers[at]))
            for column in self.columns
        )

    def without(self, kind: int) -> list[float]:
        """The sum of each column over all units but one of this kind."""
        pairs = zip(self.totals, self._own, strict=True)
        return [total - own.get(kind, 0.0) for total, own in pairs]

    def named(self, totals: Iterable[float]) -> tuple[dict[str, float], ...]:
        """Of each model, its sums by name; zeros are left out."""
        sides: tuple[dict[str, float], ...] = tuple({} for _ in self.kinds[0])
        for column, total in zip(self.columns, totals, strict=True):
            if total != 0.0:
                sides[column.side][column.name] = total
        return sides

    @cached_property
    def _own(self) -> tuple[dict[int, float], ...]:
        return tuple(dict(column.entries) for column in self.columns)


def units_of(*sides: Sequence[Counts], clusters: Sequence[Hashable] | None = None) -> Units:
    """Units of one model, or of two on the same items in the same order.

    Args:
        sides: Of each model, the counts of each item.
        clusters: The group of each item; None makes each item a unit.

    Raises:
        SpecError: There is no item, the lengths differ, or a count is not finite.
    """
    lengths = {len(side) for side in sides} | ({len(clusters)} if clusters is not None else set())
    if len(lengths) != 1 or 0 in lengths:
        raise SpecError(
            f"cannot resample {' and '.join(str(length) for length in sorted(lengths))} items",
            hint="pass the counts of at least one item, and as many for each model and group",
        )
    rows = list(zip(*sides, strict=True))
    units = (
        [tuple(map(_sorted_counts, row)) for row in rows] if clusters is None else _gathered(rows, clusters)
    )
    kinds = Counter(units)
    return Units(tuple(sorted(kinds)), tuple(kinds[kind] for kind in sorted(kinds)), len(rows))


def _gathered(rows: Sequence[tuple[Counts, ...]], clusters: Sequence[Hashable]) -> list[Kind]:
    groups: dict[Hashable, list[tuple[Counts, ...]]] = {}
    for row, cluster in zip(rows, clusters, strict=True):
        groups.setdefault(cluster, []).append(row)
    return [
        tuple(_sorted_counts(_added(side)) for side in zip(*group, strict=True)) for group in groups.values()
    ]


def _added(items: Iterable[Counts]) -> Counts:
    numbers: dict[str, list[float]] = {}
    for counts in items:
        for name, number in counts.items():
            numbers.setdefault(name, []).append(number)
    return {name: math.fsum(values) for name, values in numbers.items()}


def _sorted_counts(counts: Counts) -> tuple[tuple[str, float], ...]:
    for name, value in counts.items():
        if not math.isfinite(value):
            raise SpecError(
                f"the count {name[:40]!r} must be finite, not {value!r}",
                hint="leave out items without a score",
            )
    return tuple(sorted((name, float(value)) for name, value in counts.items() if value != 0.0))
