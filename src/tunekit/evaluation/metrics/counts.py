"""Counts of an item, and their sums: named numbers, of which zeros are left out. Knows no metric."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TypeAlias

import msgspec

from tunekit.errors import EvaluationError

Counts: TypeAlias = Mapping[str, float]
"""Numbers by name. A name is a word, or a JSON list where it holds a label: `["delivery", "refund"]`."""

ITEMS = "items"
"""The count of items, where a metric divides by it."""

_DECODE = msgspec.json.Decoder(list[str | None]).decode


def key(*parts: str | None) -> str:
    r"""The name of a count that is about labels. It is ASCII, so that a label of any characters can be stored.

    Examples:
        >>> key("reçu", None)
        '["re\\u00e7u", null]'
    """
    return json.dumps(parts)


def labelled(counts: Counts) -> list[tuple[tuple[str | None, ...], float]]:
    """Parts and number of every count whose name `key` made.

    Examples:
        >>> labelled({"items": 1.0, key("a", "b"): 2.0})
        [(('a', 'b'), 2.0)]
    """
    return [(_parts(name), number) for name, number in counts.items() if name.startswith("[")]


def added(items: Iterable[Counts]) -> dict[str, float]:
    """The sum over items, the same in any order of them: whole numbers and others are added without rounding between.

    Examples:
        >>> added([{"items": 1.0, "nats": 0.1}] * 10)
        {'items': 10.0, 'nats': 1.0}
    """
    numbers: dict[str, list[float]] = {}
    for counts in items:
        for name, number in counts.items():
            numbers.setdefault(name, []).append(number)
    return {name: math.fsum(numbers[name]) for name in sorted(numbers)}


def read(counts: Counts, name: str) -> float:
    """A count that there must be, above 0: what a metric divides by.

    Raises:
        EvaluationError: There is none, so these are the counts of nothing, or of another metric.
    """
    number = counts.get(name, 0.0)
    if number > 0.0:
        return number
    raise EvaluationError(
        f"there is nothing to compute the metric from: {name!r} is {number:g}",
        hint="sum the counts of at least one item, made by `counts_of` of the same metric",
    )


@lru_cache(maxsize=1 << 16)  # thousands of resamples read the same names
def _parts(name: str) -> tuple[str | None, ...]:
    try:
        return tuple(_DECODE(name))
    except msgspec.DecodeError:  # half of a surrogate pair, which the standard library takes
        return tuple(json.loads(name))
