"""Where versions and moves are kept: what another store must do. Knows a few verbs; not what they are for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tunekit.retrain.registry.records import ModelVersion, Move


class RegistryStore(Protocol):
    """Versions and moves, added and never changed. Safe to use from several threads, and processes where it is shared.

    What makes a move right is decided above; a store does two things at once or not at all: it gives the next number,
    and it adds a move only as the next one.
    """

    def add_version(self, draft: ModelVersion) -> ModelVersion:
        """Add a version with the next number of its name, or give the one that is there with the same fingerprint."""
        ...

    def version(self, name: str, number: int) -> ModelVersion | None:
        """One version; None where there is none."""
        ...

    def versions(self, name: str) -> Sequence[ModelVersion]:
        """All of a name, in order; none of an unknown one."""
        ...

    def add_move(self, move: Move) -> bool:
        """Add a move if its sequence is the next of its alias, else do nothing and answer False."""
        ...

    def moves(self, name: str, alias: str) -> Sequence[Move]:
        """All of an alias, in order."""
        ...

    def names(self) -> Sequence[str]:
        """What there are versions of."""
        ...

    def aliases(self, name: str) -> Sequence[str]:
        """What was ever moved."""
        ...
