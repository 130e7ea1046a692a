"""Writing transitions down. Knows stores, clocks and fencing; not which transition is right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tunekit._clock import Clock
from tunekit.errors import ConflictError, TunekitError
from tunekit.retrain.rounds.base import RoundStore
from tunekit.retrain.rounds.records import Round, RoundError, RoundState


@dataclass(frozen=True, slots=True, kw_only=True)
class Mover:
    """Moves rounds, for a process that holds the lease of a pipeline, or for a host that decides.

    Attributes:
        rounds: Where they are kept.
        clock: What times are taken from.
        token: Of the lease: what is written under an older one is refused. None for a host's decision, which the
            compare-and-set on the round alone protects.
    """

    rounds: RoundStore
    clock: Clock
    token: int | None = None

    def move(
        self,
        round_: Round,
        state: RoundState,
        *,
        reason: str = "",
        by: str = "",
        note: str = "",
        **changes: Any,
    ) -> Round:
        """Write a transition down.

        Args:
            round_: The round as it was read.
            state: What it is from now on.
            reason: Why, for its history.
            by: Who decided.
            note: What is worth knowing of the round ever after.
            changes: Other fields of the round.

        Raises:
            ConflictError: Somebody else has moved it.
            StaleLeaseError: Another process has taken the pipeline over.
        """
        notes = (*round_.notes, note) if note else round_.notes
        changes |= {"state": state, "notes": notes, "updated_at": self.clock.now()}
        after = round_.model_copy(update=changes)
        return self.rounds.move(after, reason=reason, by=by, token=self.token)

    def fail(self, round_: Round, error: TunekitError) -> Round:
        """Write down that a round cannot go on."""
        stored = RoundError(message=error.message, hint=error.hint, code=error.code)
        return self.move(round_, RoundState.FAILED, reason=error.message, error=stored)

    def supersede(self, others: Iterable[Round], reason: str) -> None:
        """Rounds that a later one has overtaken."""
        for other in others:
            try:
                self.move(other, RoundState.SUPERSEDED, reason=reason, share=0.0)
            except ConflictError:
                continue  # somebody has decided about it just now

    def others(self, round_: Round) -> list[Round]:
        """Rounds of the same alias, newest first."""
        found = self.rounds.rounds(round_.pipeline, alias=round_.alias)
        return [each for each in found if each.round_id != round_.round_id]
