"""Versions and moves in MLflow's model registry. Knows its client and its tags; not what a move means.

MLflow has no compare-and-set of aliases, and one thing that it does at once or not at all: it numbers the versions of a
model. So moves are versions, too, of a model `<name>.<alias>.moves`: whoever adds one that is not the next in its turn
finds that out by reading the line again, and so does every reader. MLflow's own alias follows, for its pages and tools.
"""

from __future__ import annotations

import logging
import random
import time
import uuid
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple, TypeVar

from tunekit.errors import MissingExtraError, StorageError
from tunekit.retrain.registry.records import ModelVersion, Move

T = TypeVar("T")
_log = logging.getLogger(__name__)
_RECORD, _ENTRY, _KIND = "tunekit.record", "tunekit.entry", "tunekit.kind"
_MOST_CHARACTERS = 100_000  # of a tag's value


class _Entry(NamedTuple):
    """One version of a model of MLflow that is ours: its number, our id of it, and the record."""

    number: int
    id: str
    record: str


class MLflowRegistryStore:
    """A `RegistryStore` in MLflow: what was registered and promoted is seen there, with the alias and all facts.

    Safe to use from several threads, processes and hosts. An alias that is moved by MLflow's own means is put right by
    the next move of ours, and was never resolved to. Each call asks the server; `Registry` remembers the answers.

    Args:
        registry_uri: Of MLflow, such as "sqlite:///mlflow.db" or "http://mlflow:5000"; None is MLflow's own choice.
        deadline_s: How long an addition is tried while others are at it or the server is away, in seconds.

    Raises:
        MissingExtraError: MLflow is not installed.
        StorageError: From any method: MLflow refuses, or cannot be reached.

    Examples:
        >>> import tunekit as tk
        >>> registry = tk.Registry(MLflowRegistryStore("sqlite:///mlflow.db"))  # doctest: +SKIP
        >>> registry.resolve("support-bot@champion")  # doctest: +SKIP
    """

    def __init__(self, registry_uri: str | None = None, *, deadline_s: float = 60.0) -> None:
        try:
            self._errors = import_module("mlflow.exceptions").MlflowException
            client = import_module("mlflow").MlflowClient
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "mlflow":
                raise  # it is there, and something that it needs is not
            raise MissingExtraError("mlflow", extra="mlflow") from None
        try:
            self._client: Any = client(tracking_uri=registry_uri, registry_uri=registry_uri)
        except self._errors as error:
            raise self._refused(error) from error
        self._deadline_s = deadline_s

    def add_version(self, draft: ModelVersion) -> ModelVersion:
        """See `RegistryStore.add_version`."""
        fingerprint = draft.fingerprint
        while True:
            for known in self.versions(draft.name):
                if known.fingerprint == fingerprint:
                    return known
            self._append(draft.name, "models", str(draft.model), draft.to_json())

    def version(self, name: str, number: int) -> ModelVersion | None:
        """See `RegistryStore.version`."""
        return next((each for each in self.versions(name) if each.number == number), None)

    def versions(self, name: str) -> Sequence[ModelVersion]:
        """See `RegistryStore.versions`."""
        found: dict[str, ModelVersion] = {}
        for entry in self._entries(name):
            version = ModelVersion.from_json(entry.record).model_copy(update={"number": entry.number})
            found.setdefault(version.fingerprint, version)  # of two that were added at once, the first stands
        return tuple(found.values())

    def add_move(self, move: Move) -> bool:
        """See `RegistryStore.add_move`."""
        which = move.name, move.alias
        if move.sequence != len(self._turns(*which)) + 1:
            return False
        mine = self._append(_line(*which), "moves", f"{move.name}/{move.after}", move.to_json())
        done = any(entry.id == mine for entry, _ in self._turns(*which))
        if done:
            self._show(move.name, move.alias)
        return done

    def moves(self, name: str, alias: str) -> Sequence[Move]:
        """See `RegistryStore.moves`."""
        return tuple(move for _, move in self._turns(name, alias))

    def names(self) -> Sequence[str]:
        """See `RegistryStore.names`."""
        return tuple(sorted(self._models("models")))

    def aliases(self, name: str) -> Sequence[str]:
        """See `RegistryStore.aliases`."""
        lines = [line for line in self._models("moves") if line.startswith(f"{name}.")]
        moves = [Move.from_json(entry.record) for line in lines for entry in self._entries(line)]
        return tuple(sorted({move.alias for move in moves if move.name == name}))

    # --- inside -----------------------------------------------------------------------------------------

    def _turns(self, name: str, alias: str) -> list[tuple[_Entry, Move]]:
        """The moves that came in their turn, in order."""
        found: list[tuple[_Entry, Move]] = []
        for entry in self._entries(_line(name, alias)):
            move = Move.from_json(entry.record)
            # Names have dots, too, so two aliases may share a line.
            if (move.name, move.alias) == (name, alias) and move.sequence == len(found) + 1:
                found.append((entry, move))
        return found

    def _entries(self, model: str) -> list[_Entry]:
        found = self._all(
            lambda token: self._client.search_model_versions(f"name = '{model}'", page_token=token)
        )
        ours = [
            _Entry(int(each.version), each.tags[_ENTRY], each.tags[_RECORD])
            for each in found
            if _ENTRY in each.tags and _RECORD in each.tags
        ]
        return sorted(ours)

    def _models(self, kind: str) -> list[str]:
        found = self._all(
            lambda token: self._client.search_registered_models(f"tag.`{_KIND}` = '{kind}'", page_token=token)
        )
        return [each.name for each in found]

    def _append(self, model: str, kind: str, source: str, record: str) -> str:
        """Add a version to a model of MLflow, once; our id of it."""
        if len(record) > _MOST_CHARACTERS:
            raise StorageError(
                f"a record of {len(record):,} characters is more than the {_MOST_CHARACTERS:,} that MLflow keeps",
                hint="keep facts and recipe small, and put a path in their place",
            )
        mine, ends = uuid.uuid4().hex, time.monotonic() + self._deadline_s
        while True:
            try:
                self._made(model, kind)
                self._client.create_model_version(
                    model,
                    f"tunekit:{source}",
                    tags={_ENTRY: mine, _RECORD: record},
                    await_creation_for=None,
                )
                return mine
            except self._errors as error:  # others were faster, or the answer was lost
                if any(entry.id == mine for entry in self._entries(model)):
                    return mine
                if time.monotonic() > ends:
                    raise self._refused(error) from error
                time.sleep(random.uniform(0.01, 0.1))

    def _made(self, model: str, kind: str) -> None:
        try:
            self._client.create_registered_model(model, tags={_KIND: kind})
        except self._errors as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _show(self, name: str, alias: str) -> None:
        """Let MLflow's alias follow. The moves are what counts, so trouble with it is told and stops nobody."""
        try:
            shown = None
            while (last := self.moves(name, alias)[-1]) != shown:  # another may have moved it meanwhile
                self._client.set_registered_model_alias(name, alias, str(last.after))
                shown = last
        except (self._errors, StorageError) as error:
            _log.warning("MLflow does not show that %s@%s was moved: %s", name, alias, error)

    def _all(self, page: Callable[[str | None], Any]) -> list[Any]:
        try:
            found, token = [], None
            while True:
                some = page(token)
                found += some
                token = some.token
                if not token:
                    return found
        except self._errors as error:
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> StorageError:
        return StorageError(
            f"MLflow refuses: {str(error)[:300]}", hint="check registry_uri, and that the server is up"
        )


def _line(name: str, alias: str) -> str:
    return f"{name}.{alias}.moves"
