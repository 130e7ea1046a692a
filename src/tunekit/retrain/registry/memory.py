"""A registry of this process alone, for tests and notebooks. Knows lists and a lock."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence

from tunekit.retrain.registry.records import ModelVersion, Move


class MemoryRegistryStore:
    """A `RegistryStore` that is gone with its process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._versions: defaultdict[str, list[ModelVersion]] = defaultdict(list)
        self._moves: defaultdict[tuple[str, str], list[Move]] = defaultdict(list)

    def add_version(self, draft: ModelVersion) -> ModelVersion:
        """See `RegistryStore.add_version`."""
        with self._lock:
            known = self._versions[draft.name]
            for version in known:
                if version.fingerprint == draft.fingerprint:
                    return version
            known.append(draft.model_copy(update={"number": len(known) + 1}))
            return known[-1]

    def version(self, name: str, number: int) -> ModelVersion | None:
        """See `RegistryStore.version`."""
        return next((each for each in self.versions(name) if each.number == number), None)

    def versions(self, name: str) -> Sequence[ModelVersion]:
        """See `RegistryStore.versions`."""
        with self._lock:
            return tuple(self._versions.get(name, ()))

    def add_move(self, move: Move) -> bool:
        """See `RegistryStore.add_move`."""
        with self._lock:
            moves = self._moves[move.name, move.alias]
            if move.sequence != len(moves) + 1:
                return False
            moves.append(move)
            return True

    def moves(self, name: str, alias: str) -> Sequence[Move]:
        """See `RegistryStore.moves`."""
        with self._lock:
            return tuple(self._moves.get((name, alias), ()))

    def names(self) -> Sequence[str]:
        """See `RegistryStore.names`."""
        with self._lock:
            return tuple(sorted(name for name, versions in self._versions.items() if versions))

    def aliases(self, name: str) -> Sequence[str]:
        """See `RegistryStore.aliases`."""
        with self._lock:
            return tuple(sorted(alias for of, alias in self._moves if of == name and self._moves[of, alias]))
