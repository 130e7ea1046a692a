"""`Registry`: what hosts call to register, promote, roll back and resolve models. Knows rules and a cache; no files."""

from __future__ import annotations

import logging
import platform
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from tunekit._clock import SystemClock
from tunekit._settings import Settings
from tunekit._validation import parse_model
from tunekit.data.wording import brief
from tunekit.errors import ConflictError, DeadlineError, NotFoundError, StorageError
from tunekit.refs import ModelRef
from tunekit.retrain.registry import aliases
from tunekit.retrain.registry.aliases import Expected
from tunekit.retrain.registry.base import RegistryStore
from tunekit.retrain.registry.records import ModelVersion, Move, checked_name, parsed
from tunekit.retrain.registry.sqlite import SqliteRegistryStore

if TYPE_CHECKING:
    from tunekit.spec import TuneSpec

CHAMPION = "champion"
"""The alias that product code asks for, unless told."""
_log = logging.getLogger(__name__)
_TRIES = 1000
_LIBRARIES = ("tunekit", "torch", "transformers", "peft")


class Registry:
    """Which model answers for a product: versions that never change, and aliases that are moved by compare-and-set.

    Safe to use from several threads, and from all processes that share the store.

    Args:
        store: Where it is kept; None takes `registry.sqlite3` in the home directory.
        settings: Knobs of the host, for that file; None reads the environment.
        max_age_s: How old an alias may be that `resolve` answers from memory, in seconds; 0 always looks.

    Examples:
        >>> from tunekit.retrain.registry import MemoryRegistryStore
        >>> registry = Registry(MemoryRegistryStore())
        >>> first = registry.register("support-bot", "local:run-9f2c", note="weekly")
        >>> second = registry.register("support-bot", "local:run-a01b", parent=1)
        >>> _ = registry.promote(first.ref, expected=None, reason="the first")
        >>> _ = registry.promote(second.ref, expected=1, reason="gate passed")
        >>> registry.resolve("support-bot@champion")
        ModelRef('local:run-a01b')
        >>> registry.rollback("support-bot@champion", reason="complaints").after
        1
    """

    def __init__(
        self,
        store: RegistryStore | None = None,
        *,
        settings: Settings | None = None,
        max_age_s: float = 1.0,
    ) -> None:
        self.store = SqliteRegistryStore(settings or Settings()) if store is None else store
        self._max_age_s = max_age_s
        self._clock = SystemClock()
        self._lock = threading.Lock()
        self._resolved: dict[str, tuple[float, ModelRef]] = {}
        self._moves_made = 0

    # --- versions -------------------------------------------------------------------------------------

    def register(
        self,
        name: str,
        model: str,
        *,
        spec: TuneSpec | None = None,
        data: Mapping[str, str] | None = None,
        libraries: Mapping[str, str] | None = None,
        base_ends: date | None = None,
        **given: Any,
    ) -> ModelVersion:
        """Add a version. What is there already with the same contents is given back, so that trying again is safe.

        Args:
            name: What the models of one product are called together.
            model: What `generate` takes.
            spec: How it was trained; its seed is taken from it.
            data: Fingerprints by role, such as `{"train": train.fingerprint()}`.
            libraries: Versions of what made it; None takes those of this process.
            base_ends: First day on which the base answers no more.
            given: Other fields of `ModelVersion`.

        Raises:
            RefError: The name or the model is none.
            SpecError: A field is wrong, or not one of `ModelVersion`.
        """
        fields = {
            "name": checked_name(name, "the model"),
            "number": 1,
            "model": ModelRef(model),
            "recipe": {} if spec is None else spec.model_dump(mode="json"),
            "seed": None if spec is None else spec.seed,
            "data": dict(data or {}),
            "libraries": dict(_installed() if libraries is None else libraries),
            "base_ends": base_ends,
            "created_at": self._clock.now(),
        }
        return self.store.add_version(parse_model(ModelVersion, {**fields, **given}))

    def version(self, which: str) -> ModelVersion:
        """A version by number or alias: `"support-bot@3"`, `"support-bot@champion"`.

        Raises:
            RefError: This names none.
            NotFoundError: There is none.
        """
        name, wanted = parsed(which)
        number = wanted if isinstance(wanted, int) else self._standing(name, wanted)
        found = self.store.version(name, number)
        if found is None:
            raise NotFoundError(
                f"there is no version {number} of {name!r}", hint=f"look at Registry.versions({name!r})"
            )
        return found

    def versions(self, name: str) -> Sequence[ModelVersion]:
        """All versions, oldest first; none of a name that nobody has registered."""
        return self.store.versions(checked_name(name, "the model"))

    def names(self) -> Sequence[str]:
        """What there are versions of."""
        return self.store.names()

    # --- aliases --------------------------------------------------------------------------------------

    def resolve(self, which: str) -> ModelRef:
        """The model behind an alias or a number, for `generate` and its kin. Cheap: call it for every request.

        An alias that another process moves is seen within `max_age_s`.

        Raises:
            RefError: This names none.
            NotFoundError: There is none, or nothing was promoted to this alias.
            StorageError: The store cannot be read, and nothing is known of it yet. What is known goes on being the
                answer, with a warning in the log.
        """
        now = self._clock.monotonic()
        known = self._resolved.get(which)
        if known is not None and now - known[0] < self._max_age_s:
            return known[1]
        moved = self._moves_made
        try:
            model = self.version(which).model
        except StorageError as error:
            if known is None or not self._max_age_s:
                raise
            _log.warning("%s is %s, as it was known last: %s", which, known[1], error.message)
            model = known[1]  # a disk that is away must not take the product with it
        with self._lock:
            if self._moves_made == moved:  # else a move of this process is newer than what was read
                self._resolved[which] = (now, model)
        return model

    def promote(
        self,
        which: str,
        alias: str = CHAMPION,
        *,
        expected: Expected = "any",
        reason: str = "",
        by: str = "",
        key: str = "",
    ) -> Move:
        """Let an alias name a version from now on.

        Args:
            which: The version, such as `"support-bot@3"`, or an alias whose version is meant.
            alias: What is moved.
            expected: The version that you compared with: if another one is in use by now, nothing is done.
            reason: Why.
            by: Who.
            key: Of the request: with the key of an earlier move, that move is the answer and nothing is done.

        Returns:
            The move; where the version was in use already, the one that made it so.

        Raises:
            RefError: A name is none.
            NotFoundError: There is no such version.
            ConflictError: Another version than expected is in use, or the key was used for another request.
        """
        found = self.version(which)
        draft = self._draft("promote", found.name, alias, found.number, reason, by, key)
        return self._moved(draft, lambda moves: aliases.promotion(moves, draft, expected=expected))

    def rollback(
        self, which: str, *, expected: Expected = "any", reason: str = "", by: str = "", key: str = ""
    ) -> Move:
        """Let an alias name the version that it named before the one in use; again, the one before that.

        Args:
            which: The alias, such as `"support-bot@champion"`.
            expected: The version that you want to be rid of: if another one is in use by now, nothing is done.
            reason: Why.
            by: Who.
            key: As for `promote`.

        Raises:
            RefError: This is no alias.
            NotFoundError: There is no earlier version.
            ConflictError: Another version than expected is in use, or the key was used for another request.
        """
        name, alias = parsed(which)
        draft = self._draft("rollback", name, checked_name(alias, "the alias"), 1, reason, by, key)
        return self._moved(draft, lambda moves: aliases.rollback(moves, draft, expected=expected))

    def history(self, which: str) -> Sequence[Move]:
        """Every move of an alias, oldest first.

        Raises:
            RefError: This is no alias.
        """
        name, alias = parsed(which)
        return self.store.moves(name, checked_name(alias, "the alias"))

    def aliases(self, name: str) -> Mapping[str, int]:
        """The version that each alias names."""
        found = self.store.aliases(checked_name(name, "the model"))
        return {alias: self._standing(name, alias) for alias in found}

    # --- inside ---------------------------------------------------------------------------------------

    def _standing(self, name: str, alias: str) -> int:
        stack = aliases.standing(self.store.moves(name, alias))
        if not stack:
            known = self.store.aliases(name)
            raise NotFoundError(
                f"nothing was promoted to {name}@{alias}",
                hint=f"aliases of {brief(name)}: {', '.join(known) or 'none'}; promote a version first",
            )
        return stack[-1]

    def _draft(self, action: Any, name: str, alias: str, after: int, reason: str, by: str, key: str) -> Move:
        return Move(
            name=name,
            alias=checked_name(alias, "the alias"),
            sequence=1,
            action=action,
            after=after,
            reason=reason,
            by=by,
            key=key,
            at=self._clock.now(),
        )

    def _moved(self, draft: Move, plan: Callable[[Sequence[Move]], Move | None]) -> Move:
        """Add the move that is planned for what was done so far; whoever was faster makes it be planned again."""
        for _ in range(_TRIES):
            moves = self.store.moves(draft.name, draft.alias)
            done = next((move for move in moves if draft.key and move.key == draft.key), None)
            if done is not None and not _is_same(done, draft):
                raise ConflictError(
                    f"key {draft.key!r} was used to {done.action} version {done.after}",
                    hint="use a new key for a new request",
                )
            move = done or plan(moves)
            if move is None:
                return moves[-1]
            if done or self.store.add_move(move):
                with self._lock:
                    self._moves_made += 1
                    self._resolved.clear()
                return move
        raise DeadlineError(
            f"{draft.name}@{draft.alias} was moved by others {_TRIES} times in a row",
            hint="somebody promotes in a loop: find them by the history",
            retryable=True,
        )


def _is_same(done: Move, asked: Move) -> bool:
    """Whether two moves with one key are one request. Where a rollback leads is not asked for, but found."""
    return done.action == asked.action and (asked.action == "rollback" or done.after == asked.after)


def _installed() -> dict[str, str]:
    """Versions of what decides how a model is trained, without importing any of it."""
    found = {"python": platform.python_version()}
    for package in _LIBRARIES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
