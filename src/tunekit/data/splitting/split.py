"""Train and test, and folds: stratified, leak-free, the same on every machine. Knows no files and no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, TypeAlias

from tunekit.data.arguments import whole
from tunekit.data.classes import targets
from tunekit.data.splitting.clusters import Cluster, clusters
from tunekit.data.splitting.ranks import json_key
from tunekit.data.splitting.shares import choose, dealt
from tunekit.data.wording import brief, counted
from tunekit.errors import SpecError
from tunekit.examples import Example

Stratify: TypeAlias = Literal["auto", False] | Callable[[Example], Any]


def split(
    examples: Sequence[Example],
    test: float | int,
    seed: int,
    stratify: Stratify,
    groups: str | None,
    together: Sequence[Iterable[bytes]] = (),
) -> frozenset[int]:
    """Indices of the rows to hold out. The promises are in `Dataset.split`."""
    size = held_out_size(test, len(examples))
    found = clusters(examples, _classes(examples, stratify), seed, groups, together)
    if len(found) < 2:
        shared = "input" if groups is None else f"input or one {groups!r}"
        raise SpecError(
            f"{counted(len(examples), 'row')} cannot be split",
            hint=f"two are needed that do not share one {shared}",
        )
    return _rows(_held_out(found, size, stratify))


def folds(
    examples: Sequence[Example], k: int, seed: int, stratify: Stratify, groups: str | None
) -> list[frozenset[int]]:
    """Indices of each of `k` parts that share no input and no group, and together are all rows.

    Raises:
        SpecError: An argument is wrong, or there are fewer clusters than folds.
    """
    whole("k", k, least=2)
    found = clusters(examples, _classes(examples, stratify), seed, groups)
    if len(found) < k:
        raise SpecError(
            f"{counted(len(examples), 'row')} cannot be parted in {k} folds",
            hint=f"of their inputs and groups only {len(found)} may be parted; use fewer folds",
        )
    return [_rows(part) for part in dealt(found, k)]


def held_out_size(test: float | int, rows: int) -> int:
    """How many rows a share or a number holds out."""
    if isinstance(test, float) and 0 < test < 1:
        return min(max(int(test * rows + 0.5), 1), max(rows - 1, 1))
    if isinstance(test, int) and not isinstance(test, bool) and 1 <= test < max(rows, 2):
        return test
    raise SpecError(
        f"test is {brief(test)}, of {counted(rows, 'row')}",
        hint=f"use a share between 0 and 1, or a whole number from 1 to {rows - 1}",
    )


def _held_out(found: Sequence[Cluster], size: int, stratify: Stratify) -> list[Cluster]:
    chosen = choose(found, size)
    if not chosen and stratify == "auto":  # every class sits in one cluster: shares cannot be kept, sizes can
        chosen = choose([cluster.unclassed() for cluster in found], size)
    if not chosen:
        raise SpecError(
            "no class can be on both sides", hint="each class has only one distinct input; use stratify=False"
        )
    return chosen


def _rows(chosen: Iterable[Cluster]) -> frozenset[int]:
    return frozenset(row for cluster in chosen for row in cluster.rows)


def _classes(examples: Sequence[Example], stratify: Stratify) -> list[str]:
    if stratify == "auto":
        return targets.classes(examples) or [""] * len(examples)
    if stratify is False:
        return [""] * len(examples)
    if not callable(stratify):
        raise SpecError(f"stratify is {stratify!r}", hint="use 'auto', False or a function of an example")
    return [
        json_key(stratify(example), f"the class of row {example.id!r}").decode("utf-8", "surrogatepass")
        for example in examples
    ]
