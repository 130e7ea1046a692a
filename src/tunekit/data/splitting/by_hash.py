"""Each row's side decided by its own content alone, so that it stays there as the data grow. Knows no other row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunekit.data.splitting.clusters import group_key
from tunekit.data.splitting.ranks import input_key, rank
from tunekit.errors import SpecError
from tunekit.examples import Example


def by_hash(examples: Sequence[Example], test: float, seed: int, groups: str | None) -> frozenset[int]:
    """Indices of the rows whose hash falls into the test share. The promises are in `Dataset.split_by_hash`."""
    limit = int(_share(test) * 2**64)
    return frozenset(index for index, example in enumerate(examples) if _place(example, seed, groups) < limit)


def _place(example: Example, seed: int, groups: str | None) -> int:
    key = input_key(example) if groups is None else group_key(example, groups)
    return int.from_bytes(rank(seed, "hash", key)[:8], "big")


def _share(test: Any) -> float:
    if isinstance(test, float) and 0 < test < 1:
        return test
    raise SpecError(f"test is {test!r}", hint="use a share between 0 and 1; sizes are expected, not exact")
