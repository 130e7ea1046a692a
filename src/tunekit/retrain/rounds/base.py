"""Where rounds are kept: what another store must do. Knows a few verbs; not what a state means."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from tunekit.retrain.rounds.records import Batch, Round, RoundState, Transition


class RoundStore(Protocol):
    """Batches, rounds and their transitions, safe to use from several threads, and processes where it is shared."""

    def add_batch(self, draft: Batch) -> Batch:
        """Add a batch with the next position of its pipeline, or give the one that is there with the same rows."""
        ...

    def batches(self, pipeline: str) -> Sequence[Batch]:
        """All of a pipeline, in order, with those that were withdrawn."""
        ...

    def withdraw_batch(self, pipeline: str, position: int, *, at: float, reason: str) -> Batch:
        """Note that a batch is out; one that is out already stays as it is.

        Raises:
            NotFoundError: There is no such batch.
        """
        ...

    def request(self, draft: Round) -> tuple[Round, bool]:
        """Add a round, or give the one that stands for its key: the latest attempt, unless that failed.

        A new attempt of a failed or cancelled one gets its number, and `-<attempt>` behind its id.

        Returns:
            The round that stands, and whether it was added.

        Raises:
            ConflictError: The key was used for another request.
        """
        ...

    def get(self, round_id: str) -> Round | None:
        """One round; None where there is none."""
        ...

    def rounds(
        self,
        pipeline: str,
        *,
        alias: str | None = None,
        key: str | None = None,
        states: Collection[RoundState] = (),
        limit: int | None = None,
    ) -> Sequence[Round]:
        """Of a pipeline, newest first: those of an alias, with a key, in some states; all unless told."""
        ...

    def move(self, after: Round, *, reason: str = "", by: str = "", token: int | None = None) -> Round:
        """Write a round and its transition: compare-and-set on its sequence.

        Args:
            after: The round as it is to be, with the sequence that was read.
            reason: Why.
            by: Who.
            token: Of the lease under which it is done; one that is older than another that was seen is refused.

        Raises:
            ConflictError: Somebody else moved it in between.
            StaleLeaseError: A later lease has been at work.
        """
        ...

    def transitions(self, round_id: str) -> Sequence[Transition]:
        """All of a round, in order."""
        ...

    def pipelines(self) -> Sequence[str]:
        """What there are rounds of."""
        ...
