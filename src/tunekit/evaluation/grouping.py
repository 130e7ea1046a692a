"""Which slices and which group an item of a test belongs to. Knows columns of examples; no scores, no statistics."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from tunekit.data.wording import brief, listed
from tunekit.errors import SpecError
from tunekit.evaluation.items import Item
from tunekit.examples import Example

Clusters: TypeAlias = str | Callable[[Example], object]
"""What items have in common: a meta column, or a function of the example. None for an example that stands alone."""

NO_VALUE = "(none)"
"""The slice of the items that have nothing in a column."""
MOST_SLICES = 50
"""Values of one column: more are no slices, and each would have few items."""


def grouped(
    items: Sequence[Item], *, slices: Sequence[str] = (), clusters: Clusters | None = None
) -> tuple[Item, ...]:
    """The same items, each with its slices and its group.

    Args:
        items: Of a test.
        slices: Meta columns of the examples. An example without a value is in a slice of its own, `"(none)"`.
        clusters: A meta column, or a function of the example. An item without a value is a group of its own.

    Raises:
        SpecError: No example has such a column, or a column to slice by has more than 50 values.

    Examples:
        >>> from tunekit.evaluation.items import items_of
        >>> from tunekit.examples import CompletionExample
        >>> items = items_of([CompletionExample(prompt="p", completion="c", meta={"language": "de", "user": 7})])
        >>> grouped(items, slices=["language"], clusters="user")[0].cluster
        '7'
    """
    if isinstance(slices, str):
        raise SpecError(f"slices is {slices!r}", hint=f"pass a list of columns: slices=[{slices!r}]")
    columns = [*slices, *([clusters] if isinstance(clusters, str) else [])]
    for column in columns:
        _require(column, items)
    found = tuple(
        replace(
            item,
            slices={column: _value(item.example, column) or NO_VALUE for column in slices},
            cluster=_cluster(item.example, clusters),
        )
        for item in items
    )
    for column in slices:
        _require_few(column, {item.slices[column] for item in found})
    return found


def _cluster(example: Example, clusters: Clusters | None) -> str | None:
    if clusters is None:
        return None
    return _value(example, clusters) if isinstance(clusters, str) else _text(clusters(example))


def _value(example: Example, column: str) -> str | None:
    return _text(example.meta.get(column))


def _text(value: object) -> str | None:
    """A value as text; an empty one is none."""
    if value is None or value == "":
        return None
    return (
        value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    )


def _require(column: str, items: Sequence[Item]) -> None:
    if any(column in item.example.meta for item in items):
        return
    names = sorted(set(_columns(items)))
    raise SpecError(
        f"no example of the test has a meta column {brief(column)}",
        hint=f"there are: {listed(names)}" if names else "name the meta columns when you read the test",
    )


def _columns(items: Sequence[Item]) -> Iterator[str]:
    return (str(column) for item in items for column in item.example.meta)


def _require_few(column: str, values: set[str]) -> None:
    if len(values) > MOST_SLICES:
        raise SpecError(
            f"the column {brief(column)} has {len(values)} different values, more than {MOST_SLICES} slices",
            hint="slice by a column of few values, such as a language; for users or passages use clusters=",
        )
