"""Which rows are held out, and which are drawn: ranks from hashes, never from a random state. Knows no files.

A random generator's stream is not promised across Python versions, and depends on where a row stands. A hash of seed
and content is the same everywhere, and keeps a row's rank when others come or go.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from tunekit._canonical import canonical_json
from tunekit.data import targets
from tunekit.data.wording import listed, nearest
from tunekit.errors import SpecError
from tunekit.examples import (
    CompletionExample,
    Example,
    LabelledExample,
    Message,
    SegmentsExample,
    message_to_dict,
    to_dict,
)

Stratify: TypeAlias = Literal["auto", False] | Callable[[Example], Any]


def whole(name: str, value: Any, *, least: int) -> int:
    """The argument, if it is a whole number from `least` up."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SpecError(f"{name} is {value!r}", hint=f"use a whole number from {least} up")
    return value


def sample(examples: Sequence[Example], n: int, seed: int) -> list[int]:
    """Indices of `n` rows drawn without replacement, in order."""
    size = whole("n", n, least=0)
    seen: Counter[bytes] = Counter()
    ranks = []
    for index, example in enumerate(examples):
        content = canonical_json(to_dict(example, with_row=False))
        # Equal rows get ranks of their own, else copies would be drawn all together or not at all.
        ranks.append((_rank(seed, "sample", content, seen[content]), index))
        seen[content] += 1
    return sorted(index for _, index in sorted(ranks)[:size])


def split(
    examples: Sequence[Example], test: float | int, seed: int, stratify: Stratify, groups: str | None
) -> frozenset[int]:
    """Indices of the rows to hold out. The promises are in `Dataset.split`."""
    size = _test_size(test, len(examples))
    classes = _classes(examples, stratify)
    clusters = _clusters(examples, classes, seed, groups)
    if len(clusters) < 2:
        shared = "input" if groups is None else f"input or one {groups!r}"
        raise SpecError(
            f"{len(examples)} rows cannot be split", hint=f"two are needed that do not share one {shared}"
        )
    chosen = _choose(clusters, size)
    if not chosen and stratify == "auto":  # every class sits in one cluster: shares cannot be kept, sizes can
        chosen = _choose([cluster.unclassed() for cluster in clusters], size)
    if not chosen:
        raise SpecError(
            "no class can be on both sides", hint="each class has only one distinct input; use stratify=False"
        )
    return frozenset(row for cluster in chosen for row in cluster.rows)


# --- what travels together ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Cluster:
    """Rows that must stay on one side."""

    rank: bytes
    rows: tuple[int, ...]
    classes: Mapping[str, int]

    def unclassed(self) -> _Cluster:
        return _Cluster(self.rank, self.rows, {"": len(self.rows)})


def _clusters(
    examples: Sequence[Example], classes: Sequence[str], seed: int, groups: str | None
) -> list[_Cluster]:
    """Rows joined by an equal input or an equal group, and by chains of those; lowest rank first."""
    ranks = [_rank(seed, "split", input_key(example)) for example in examples]
    keys = [
        (rank,) if groups is None else (rank, _group(example, groups))
        for rank, example in zip(ranks, examples, strict=True)
    ]
    members: dict[int, list[int]] = {}
    for row, root in enumerate(_roots(keys)):
        members.setdefault(root, []).append(row)
    found = [
        _Cluster(min(ranks[row] for row in rows), tuple(rows), Counter(classes[row] for row in rows))
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


def input_key(example: Example) -> bytes:
    """What makes two rows the same question, whatever their answers."""
    if isinstance(example, LabelledExample):
        return canonical_json(example.text)
    if isinstance(example, CompletionExample):
        return canonical_json(example.prompt or example.completion)  # raw text is its own input
    if isinstance(example, SegmentsExample):
        read = [segment.text for segment in example.segments if not segment.learn]
        return canonical_json(read or [segment.text for segment in example.segments])
    return canonical_json([_unweighted(turn) for turn in _question(example.messages)])


def _question(turns: tuple[Message, ...]) -> tuple[Message, ...]:
    """The turns up to the last answer; all of them where nobody asked, or a shared system prompt would join rows."""
    last = max((i for i, turn in enumerate(turns) if turn.role == "assistant"), default=len(turns))
    asked = any(turn.role in ("user", "tool") for turn in turns[:last])
    return turns[:last] if asked else turns


def _unweighted(turn: Message) -> dict[str, Any]:
    body = message_to_dict(turn)
    body.pop("weight", None)
    return body


def _group(example: Example, column: str) -> bytes:
    if column not in example.meta:
        known = [str(name) for name in example.meta]
        raise SpecError(
            f"row {example.id!r} has no meta column {column!r}; it has {listed(known) or 'none'}",
            hint=nearest(column, known),
        )
    return b"group" + _json_key(example.meta[column], f"meta column {column!r} of row {example.id!r}")


def _rank(seed: int, purpose: str, content: bytes, copy: int = 0) -> bytes:
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise SpecError(f"seed is {seed!r}", hint="use a whole number")
    # 128 bits: the rank is also the identity of the content, and chance collisions must not happen.
    return hashlib.blake2b(f"{purpose}:{seed}:{copy}:".encode() + content, digest_size=16).digest()


# --- how many of what ---------------------------------------------------------------------------------


def _test_size(test: float | int, rows: int) -> int:
    if isinstance(test, float) and 0 < test < 1:
        return min(max(int(test * rows + 0.5), 1), max(rows - 1, 1))
    if isinstance(test, int) and not isinstance(test, bool) and 1 <= test < max(rows, 2):
        return test
    raise SpecError(
        f"test is {test!r}, of {rows} rows",
        hint=f"use a share between 0 and 1, or a whole number from 1 to {rows - 1}",
    )


def _classes(examples: Sequence[Example], stratify: Stratify) -> list[str]:
    if stratify == "auto":
        return targets.classes(examples) or [""] * len(examples)
    if stratify is False:
        return [""] * len(examples)
    if not callable(stratify):
        raise SpecError(f"stratify is {stratify!r}", hint="use 'auto', False or a function of an example")
    return [
        _json_key(stratify(example), f"the class of row {example.id!r}").decode("utf-8", "surrogatepass")
        for example in examples
    ]


def _json_key(value: Any, what: str) -> bytes:
    try:
        return canonical_json(value)
    except (TypeError, ValueError):
        raise SpecError(
            f"{what} is {type(value).__name__!r}", hint="use text, numbers or lists of them"
        ) from None


def quotas(size: int, rows: Mapping[str, int]) -> dict[str, int]:
    """How many rows each class gives to test: its share by largest remainder, at least 1, never all.

    Every quota is within one row of `size * rows[class] / total`.
    """
    total = sum(rows.values())
    shares = {name: divmod(count * size, total) for name, count in rows.items()}
    found = {name: min(max(shares[name][0], 1), count - 1) for name, count in rows.items()}
    spare = size - sum(found.values())
    for name in sorted(rows, key=lambda name: (-shares[name][1], name)):
        floor, remainder = shares[name]
        if spare > 0 and remainder and found[name] == floor < rows[name] - 1:
            found[name] += 1
            spare -= 1
    return found


def _choose(clusters: Sequence[_Cluster], size: int) -> list[_Cluster]:
    """Fill each class's quota with whole clusters, rarest class first (Sechidis et al. 2011, for clusters)."""
    homes: dict[str, list[_Cluster]] = {}
    for cluster in clusters:
        for name in cluster.classes:
            homes.setdefault(name, []).append(cluster)
    rows = {
        name: sum(cluster.classes[name] for cluster in found)
        for name, found in homes.items()
        if len(found) > 1
    }
    if not rows:
        return []
    filling = _Filling(quotas(size, rows), {name: len(found) for name, found in homes.items()})
    for name in sorted(rows, key=lambda name: (rows[name], name)):
        filling.fill(name, homes[name])
    return filling.taken


class _Filling:
    """Test while it fills: what is taken, how much of each class, and how many clusters train still has of it."""

    def __init__(self, quota: Mapping[str, int], clusters: Mapping[str, int]) -> None:
        self.taken: list[_Cluster] = []
        self._quota = quota
        self._left = dict(clusters)
        self._have: Counter[str] = Counter()
        self._ranks: set[bytes] = set()

    def fill(self, name: str, clusters: Sequence[_Cluster]) -> None:
        for cluster in clusters:
            if self._have[name] >= self._quota[name]:
                return
            if self._fits(cluster):
                self._take(cluster)
        if not self._have[name]:
            # Nothing fitted, but a class that is on neither or one side only cannot be measured: go over.
            allowed = [cluster for cluster in clusters if self._spares_train(cluster)]
            if allowed:
                self._take(min(allowed, key=lambda cluster: (len(cluster.rows), cluster.rank)))

    def _fits(self, cluster: _Cluster) -> bool:
        # A quota leaves a row of each class, so what fits cannot empty train.
        room = all(self._have[name] + n <= self._quota.get(name, 0) for name, n in cluster.classes.items())
        return room and cluster.rank not in self._ranks

    def _spares_train(self, cluster: _Cluster) -> bool:
        return all(self._left[name] > 1 for name in cluster.classes)

    def _take(self, cluster: _Cluster) -> None:
        self.taken.append(cluster)
        self._ranks.add(cluster.rank)
        for name, n in cluster.classes.items():
            self._have[name] += n
            self._left[name] -= 1
