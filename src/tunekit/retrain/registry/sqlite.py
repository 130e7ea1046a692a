"""Versions and moves in one SQLite file, for all processes of a host. Knows tables; not what a move means."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from tunekit._settings import Settings
from tunekit.retrain.registry.records import ModelVersion, Move
from tunekit.store._database import Database

_LAYOUT_VERSION = 1
_LAYOUT = (
    """
    CREATE TABLE versions (
        name TEXT NOT NULL,
        number INTEGER NOT NULL,
        fingerprint TEXT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (name, number),
        UNIQUE (name, fingerprint)
    )
    """,
    """
    CREATE TABLE moves (
        name TEXT NOT NULL,
        alias TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (name, alias, sequence)
    )
    """,
)


class SqliteRegistryStore:
    """The default `RegistryStore`: one file on a local disk. What it has confirmed survives a power failure.

    Args:
        location: The file, or the `Settings` that name it; default: the settings of the environment.
        deadline_s: How long a call waits for other processes before it gives up, in seconds.

    Raises:
        StorageError: From any method: the file cannot be used, or is of a newer tunekit.
        DeadlineError: From any method: other processes kept it locked for `deadline_s`.
    """

    def __init__(self, location: Path | str | Settings | None = None, *, deadline_s: float = 60.0) -> None:
        if location is None:
            location = Settings()
        self.path = location.registry if isinstance(location, Settings) else Path(location).absolute()
        self._database = Database(self.path, schema=_LAYOUT, version=_LAYOUT_VERSION, deadline_s=deadline_s)

    def __repr__(self) -> str:
        return f"SqliteRegistryStore({str(self.path)!r})"

    def add_version(self, draft: ModelVersion) -> ModelVersion:
        """See `RegistryStore.add_version`."""

        def work(db: sqlite3.Connection) -> ModelVersion:
            fingerprint = draft.fingerprint
            known = db.execute(
                "SELECT body FROM versions WHERE name = ? AND fingerprint = ?", (draft.name, fingerprint)
            ).fetchone()
            if known is not None:
                return ModelVersion.from_json(known[0])
            (last,) = db.execute(
                "SELECT coalesce(max(number), 0) FROM versions WHERE name = ?", (draft.name,)
            ).fetchone()
            version = draft.model_copy(update={"number": last + 1})
            db.execute(
                "INSERT INTO versions VALUES (?, ?, ?, ?)",
                (version.name, version.number, fingerprint, version.to_json()),
            )
            return version

        return self._database.write(work)

    def version(self, name: str, number: int) -> ModelVersion | None:
        """See `RegistryStore.version`."""
        rows = self._rows("SELECT body FROM versions WHERE name = ? AND number = ?", name, number)
        return ModelVersion.from_json(rows[0]) if rows else None

    def versions(self, name: str) -> Sequence[ModelVersion]:
        """See `RegistryStore.versions`."""
        rows = self._rows("SELECT body FROM versions WHERE name = ? ORDER BY number", name)
        return tuple(map(ModelVersion.from_json, rows))

    def add_move(self, move: Move) -> bool:
        """See `RegistryStore.add_move`."""

        def work(db: sqlite3.Connection) -> bool:
            (last,) = db.execute(
                "SELECT coalesce(max(sequence), 0) FROM moves WHERE name = ? AND alias = ?",
                (move.name, move.alias),
            ).fetchone()
            if move.sequence != last + 1:
                return False
            db.execute(
                "INSERT INTO moves VALUES (?, ?, ?, ?)",
                (move.name, move.alias, move.sequence, move.to_json()),
            )
            return True

        return self._database.write(work)

    def moves(self, name: str, alias: str) -> Sequence[Move]:
        """See `RegistryStore.moves`."""
        rows = self._rows(
            "SELECT body FROM moves WHERE name = ? AND alias = ? ORDER BY sequence", name, alias
        )
        return tuple(map(Move.from_json, rows))

    def names(self) -> Sequence[str]:
        """See `RegistryStore.names`."""
        return self._rows("SELECT DISTINCT name FROM versions ORDER BY name")

    def aliases(self, name: str) -> Sequence[str]:
        """See `RegistryStore.aliases`."""
        return self._rows("SELECT DISTINCT alias FROM moves WHERE name = ? ORDER BY alias", name)

    def close(self) -> None:
        """Let go of the file until it is used again."""
        self._database.close()

    def _rows(self, query: str, *values: str | int) -> tuple[str, ...]:
        return self._database.read(lambda db: tuple(row[0] for row in db.execute(query, values)))
