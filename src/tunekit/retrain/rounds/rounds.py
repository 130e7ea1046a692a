"""`Rounds`: what a host looks at and decides, in any process. Knows the store and the registry; trains nothing."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection, Sequence
from typing import NamedTuple

from tunekit._clock import Clock, SystemClock
from tunekit._settings import Settings
from tunekit.data import arguments
from tunekit.data.wording import brief, listed
from tunekit.errors import ConflictError, NotFoundError, SpecError
from tunekit.refs import ModelRef
from tunekit.retrain.registry.aliases import Expected
from tunekit.retrain.registry.records import Move, checked_name
from tunekit.retrain.registry.registry import CHAMPION, Registry
from tunekit.retrain.rounds.base import RoundStore
from tunekit.retrain.rounds.moving import Mover
from tunekit.retrain.rounds.promoting import following, promote, settle, share_in
from tunekit.retrain.rounds.records import Batch, Round, RoundState, Transition
from tunekit.retrain.rounds.sqlite import SqliteRoundStore


class Route(NamedTuple):
    """Who answers one request.

    Attributes:
        model: What to ask, and to answer with.
        shadow: What to ask beside it, without showing what it says; None for nothing.
        is_canary: Whether `model` is the new one.
    """

    model: ModelRef
    shadow: ModelRef | None = None
    is_canary: bool = False


class Rounds:
    """The retrainings of one product: their history, and the decisions that are the host's.

    Calls take milliseconds and have no async siblings. Safe to use from several threads and processes.

    Args:
        name: Name of the models in the registry.
        alias: What the rounds move.
        registry: Where models are named; None takes the one of the settings.
        store: Where rounds are kept; None takes the one of the settings.
        settings: Knobs of the host; None reads the environment.
        max_age_s: How old what `route` knows may be, in seconds.
        clock: What times are taken from; None is the system's.

    Raises:
        RefError: The name or the alias is none.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> Rounds("support-bot", settings=Settings(home=Path(tempfile.mkdtemp()))).list()
        []
    """

    def __init__(
        self,
        name: str,
        *,
        alias: str = CHAMPION,
        registry: Registry | None = None,
        store: RoundStore | None = None,
        settings: Settings | None = None,
        max_age_s: float = 1.0,
        clock: Clock | None = None,
    ) -> None:
        self.name = checked_name(name, "the model")
        self.alias = checked_name(alias, "the alias")
        self.registry = registry or Registry(settings=settings)
        self.store: RoundStore = store or SqliteRoundStore(settings)
        self._clock = clock or SystemClock()
        self._max_age_s = max_age_s
        self._lock = threading.Lock()
        self._known: tuple[float, Round | None] | None = None

    # --- looking ----------------------------------------------------------------------------------------

    def list(self, *, states: Collection[RoundState] = (), limit: int | None = 100) -> Sequence[Round]:
        """Rounds, newest first; no `states` means all, and so does None for `limit`."""
        return list(self.store.rounds(self.name, alias=self.alias, states=states, limit=limit))

    def get(self, round_id: str) -> Round:
        """One round.

        Raises:
            NotFoundError: There is none, or it is another product's.
        """
        found = self.store.get(round_id)
        if found is None or found.pipeline != self.name:
            raise NotFoundError(
                f"there is no round {brief(round_id)} of {self.name!r}", hint="look at Rounds.list()"
            )
        return found

    def history(self, round_id: str) -> Sequence[Transition]:
        """Every transition of a round, oldest first: what happened, when, why, and who decided."""
        return self.store.transitions(self.get(round_id).round_id)

    def batches(self) -> Sequence[Batch]:
        """What was handed in, oldest first, with what was withdrawn."""
        return self.store.batches(self.name)

    # --- deciding ---------------------------------------------------------------------------------------

    def approve(self, round_id: str, *, by: str = "", reason: str = "") -> Round:
        """Say yes to a round that waits for it. It goes into its rollout, or is promoted at once.

        Where another model was promoted meanwhile, it is to be measured against that one: its state is then
        "evaluating", and the next `Retrainer.run` or `resume` goes on with it.

        Raises:
            NotFoundError: There is no such round.
            ConflictError: It does not wait for approval.
        """
        round_ = self._in(round_id, RoundState.AWAITING_APPROVAL)
        return self._onwards(round_, following(round_.rollout, None), by, reason or "approved")

    def advance(self, round_id: str, *, share: float | None = None, by: str = "", reason: str = "") -> Round:
        """Go on with a rollout: from shadow to canary, from canary to promoted.

        Args:
            round_id: Of which round.
            share: Of a canary: answer this share of the requests from now on, and stay a canary.
            by: Who decides.
            reason: Why.

        Raises:
            NotFoundError: There is no such round.
            ConflictError: It is in no rollout.
            SpecError: The share is not between 0 and 1, or the round is no canary.
        """
        round_ = self._in(round_id, RoundState.SHADOW, RoundState.CANARY)
        if share is None:
            return self._onwards(round_, following(round_.rollout, round_.state), by, reason or "advanced")
        if round_.state is not RoundState.CANARY or not 0.0 < arguments.finite("share", share) < 1.0:
            raise SpecError(
                f"share is {share!r} for a round in state {round_.state}",
                hint="give a canary a share between 0 and 1, and leave it out to go on",
            )
        return self._moved(round_, RoundState.CANARY, by, reason or f"{share:.0%} of requests", share=share)

    def decline(self, round_id: str, *, by: str = "", reason: str = "") -> Round:
        """Say no to a round that waits for approval or is in a rollout. What is in use stays in use.

        Raises:
            NotFoundError: There is no such round.
            ConflictError: It is in none of these states.
        """
        waiting = RoundState.AWAITING_APPROVAL
        round_ = self._in(round_id, waiting, RoundState.SHADOW, RoundState.CANARY)
        state = RoundState.DECLINED if round_.state is waiting else RoundState.ROLLED_BACK
        return self._moved(round_, state, by, reason or "declined", share=0.0)

    def cancel(self, round_id: str, *, by: str = "", reason: str = "") -> Round:
        """Stop a round that is at work. The process that works on it notices within seconds, and stops its job.

        Where that process is gone, whoever works on the pipeline next stops the job: `Retrainer.run` or `resume`.

        Raises:
            NotFoundError: There is no such round.
            ConflictError: It is not at work, or is being promoted: `rollback` takes that back.
        """
        round_ = self._in(round_id, *(state for state in RoundState if state.may_be_cancelled))
        return self._moved(round_, RoundState.CANCELLED, by, reason or "cancelled")

    def rollback(self, *, expected: Expected = "any", by: str = "", reason: str = "", key: str = "") -> Move:
        """Take the model in use away; the one before it answers again.

        Args:
            expected: Number of the version that you want to be rid of: if another is in use by now, nothing is done.
            by: Who decides.
            reason: Why.
            key: Of the request: the same one is done once.

        Raises:
            NotFoundError: There is none before it.
            ConflictError: Another version than expected is in use, or the key was used for another request.
        """
        move = self.registry.rollback(
            f"{self.name}@{self.alias}", expected=expected, by=by, reason=reason, key=key
        )
        settle(self._mover, self.registry, self.name, self.alias, by=by, why=reason or "rolled back")
        return move

    def withdraw(self, position: int, *, reason: str) -> Batch:
        """Take a batch out of what later rounds train on: its rows were wrong, or may not be used any more.

        A round that has put its training data together has them still: `cancel` it. So does a model in use; the next
        round from the base model unlearns them, one that goes on from the champion does not.

        Args:
            position: Of the batch, as `batches` shows it.
            reason: Why; whoever hands in the same rows again is told.

        Raises:
            NotFoundError: There is no such batch.
        """
        return self.store.withdraw_batch(self.name, position, at=self._clock.now(), reason=reason)

    # --- serving ----------------------------------------------------------------------------------------

    def route(self, who: str) -> Route:
        """Who answers a request, while a rollout is on its way and at any other time. Cheap: call it for each.

        Args:
            who: What must be answered by the same model each time, such as a user or a conversation. A canary that
                grows keeps those that it had.

        Raises:
            NotFoundError: Nothing was promoted yet.
        """
        champion = self.registry.resolve(f"{self.name}@{self.alias}")
        new = self._rolling_out()
        if new is None or new.model is None:
            return Route(champion)
        if new.state is RoundState.SHADOW:
            return Route(champion, shadow=new.model)
        drawn = int.from_bytes(
            hashlib.sha256(f"{self.name}/{new.round_id}/{who}".encode()).digest()[:8], "big"
        )
        return Route(new.model, is_canary=True) if drawn / 2**64 < new.share else Route(champion)

    # --- inside -----------------------------------------------------------------------------------------

    def _rolling_out(self) -> Round | None:
        now = self._clock.monotonic()
        known = self._known
        if known is not None and now - known[0] < self._max_age_s:
            return known[1]
        found = self.list(states=(RoundState.SHADOW, RoundState.CANARY), limit=1)
        with self._lock:
            self._known = (now, found[0] if found else None)
        return found[0] if found else None

    def _in(self, round_id: str, *states: RoundState) -> Round:
        round_ = self.get(round_id)
        if round_.state not in states:
            raise ConflictError(
                f"round {round_id!r} is {round_.state}, not {listed(states)}", hint="look at Rounds.history"
            )
        return round_

    def _onwards(self, round_: Round, state: RoundState, by: str, reason: str) -> Round:
        moved = self._moved(round_, state, by, reason, share=share_in(state))
        if state is not RoundState.PROMOTING:
            return moved
        try:
            return promote(self._mover, self.registry, moved)
        except ConflictError:
            found = self.get(round_.round_id)
            if found.state is RoundState.PROMOTING:
                raise
            return found  # whoever works on the pipeline was faster

    def _moved(
        self, round_: Round, state: RoundState, by: str, reason: str, share: float | None = None
    ) -> Round:
        share = round_.share if share is None else share
        moved = self._mover.move(round_, state, by=by, reason=reason, share=share)
        with self._lock:
            self._known = None
        return moved

    @property
    def _mover(self) -> Mover:
        return Mover(rounds=self.store, clock=self._clock)
