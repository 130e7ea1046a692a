"""What travels together: rows with one input, one group, or a key of the caller's. Knows no sizes and no shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tunekit.data.splitting.ranks import input_key, json_key, rank
from tunekit.data.wording import listed, nearest
from tunekit.errors import SpecError
from tunekit.examples import Example


@dataclass(frozen=True, slots=True)
class Cluster:
    """Rows that must stay on one side.

    Attributes:
        rank: Lowest rank of its rows.
        rows: Their indices.
        classes: How many of each class.
    """

    rank: bytes
    rows: tuple[int, ...]
    classes: Mapping[str, int]

    def unclassed(self) -> Cluster:
        """The same rows, all of one class."""
        return Cluster(self.rank, self.rows, {"": len(self.rows)})


def clusters(
    examples: Sequence[Example],
    classes: Sequence[str],
    seed: int,
    groups: str | None,
    together: Sequence[Iterable[bytes]] = (),
) -> list[Cluster]:
    """Rows joined by an equal input, an equal group or an equal key, and by chains of those; lowest rank first.

    Args:
        examples: The rows.
        classes: The class of each.
        seed: Of the ranks.
        groups: Meta column whose equal values join rows.
        together: Further keys of each row that join rows; none where empty.
    """
    ranks = [rank(seed, "split", input_key(example)) for example in examples]
    keys: list[list[bytes]] = [[found] for found in ranks]
    for index, example in enumerate(examples):
        if groups is not None:
            keys[index].append(b"group" + group_key(example, groups))
        if together:
            keys[index].extend(b"together" + key for key in together[index])
    members: dict[int, list[int]] = {}
    for row, root in enumerate(_roots(keys)):
        members.setdefault(root, []).append(row)
    found = [
        Cluster(min(ranks[row] for row in rows), tuple(rows), Counter(classes[row] for row in rows))
        for rows in members.values()
    ]
    return sorted(found, key=lambda cluster: (cluster.rank, cluster.rows))


def _roots(keys: Sequence[Iterable[bytes]]) -> list[int]:
    """For each row the first row that it is joined with (union-find)."""
    parent = list(range(len(keys)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = row = parent[parent[row]]
        return row

    first: dict[bytes, int] = {}
    for row, row_keys in enumerate(keys):
        for key in row_keys:
            low, high = sorted((root(first.setdefault(key, row)), root(row)))
            parent[high] = low
    return [root(row) for row in range(len(keys))]


def group_key(example: Example, column: str) -> bytes:
    """The value of a meta column as bytes.

    Raises:
        SpecError: The row has no such column.
    """
    if column not in example.meta:
        known = [str(name) for name in example.meta]
        raise SpecError(
            f"row {example.id!r} has no meta column {column!r}; it has {listed(known) or 'none'}",
            hint=nearest(column, known) or "name a column that every row has",
        )
    return json_key(example.meta[column], f"meta column {column!r} of row {example.id!r}")
