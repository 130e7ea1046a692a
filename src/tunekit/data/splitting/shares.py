"""How many clusters of which class are held out. Knows shares and quotas; not what joins rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from tunekit.data.splitting.clusters import Cluster


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


def choose(clusters: Sequence[Cluster], size: int) -> list[Cluster]:
    """Fill each class's quota with whole clusters, rarest class first (Sechidis et al. 2011, for clusters)."""
    homes: dict[str, list[Cluster]] = {}
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


def dealt(clusters: Sequence[Cluster], k: int) -> list[list[Cluster]]:
    """All clusters in `k` parts of like size, rarest class first, each to the part that has least of its class."""
    rows = Counter(name for cluster in clusters for name in cluster.classes)
    parts: list[list[Cluster]] = [[] for _ in range(k)]
    have: list[Counter[str]] = [Counter() for _ in range(k)]
    sizes = [0] * k  # of `have`: adding it up for each cluster would be quadratic in the classes

    def rarest(cluster: Cluster) -> str:
        return min(cluster.classes, key=lambda name: (rows[name], name))

    # Large clusters first, while there is room to level them out.
    for cluster in sorted(clusters, key=lambda each: (rows[rarest(each)], rarest(each), -len(each.rows))):
        name = rarest(cluster)
        part = min(range(k), key=lambda at: (have[at][name], sizes[at], at))
        parts[part].append(cluster)
        have[part].update(cluster.classes)
        sizes[part] += sum(cluster.classes.values())
    return parts


class _Filling:
    """Test while it fills: what is taken, how much of each class, and how many clusters train still has of it."""

    def __init__(self, quota: Mapping[str, int], clusters: Mapping[str, int]) -> None:
        self.taken: list[Cluster] = []
        self._quota = quota
        self._left = dict(clusters)
        self._have: Counter[str] = Counter()
        self._ranks: set[bytes] = set()

    def fill(self, name: str, clusters: Sequence[Cluster]) -> None:
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

    def _fits(self, cluster: Cluster) -> bool:
        # A quota leaves a row of each class, so what fits cannot empty train.
        room = all(self._have[name] + n <= self._quota.get(name, 0) for name, n in cluster.classes.items())
        return room and cluster.rank not in self._ranks

    def _spares_train(self, cluster: Cluster) -> bool:
        return all(self._left[name] > 1 for name in cluster.classes)

    def _take(self, cluster: Cluster) -> None:
        self.taken.append(cluster)
        self._ranks.add(cluster.rank)
        for name, n in cluster.classes.items():
            self._have[name] += n
            self._left[name] -= 1
