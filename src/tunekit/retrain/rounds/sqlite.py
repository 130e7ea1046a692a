"""Rounds in one SQLite file, for all processes of a host. Knows tables; not what a state means."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from pathlib import Path

from tunekit._settings import Settings
from tunekit.errors import ConflictError, NotFoundError, StaleLeaseError
from tunekit.retrain.rounds.records import Batch, Round, RoundState, Transition
from tunekit.store._database import Database

_LAYOUT_VERSION = 1
_LAYOUT = (
    """
    CREATE TABLE batches (
        pipeline TEXT NOT NULL,
        position INTEGER NOT NULL,
        fingerprint TEXT NOT NULL,
        task TEXT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (pipeline, position),
        UNIQUE (pipeline, fingerprint, task)
    )
    """,
    """
    CREATE TABLE rounds (
        place INTEGER PRIMARY KEY,  -- order of insertion
        round_id TEXT NOT NULL UNIQUE,
        pipeline TEXT NOT NULL,
        key TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        body TEXT NOT NULL,
        UNIQUE (pipeline, key, attempt)
    )
    """,
    """
    CREATE TABLE transitions (
        round_id TEXT NOT NULL,
        sequence INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (round_id, sequence)
    )
    """,
    "CREATE TABLE tokens (pipeline TEXT PRIMARY KEY, token INTEGER NOT NULL)",
)


class SqliteRoundStore:
    """The default `RoundStore`: one file on a local disk. What it has confirmed survives a power failure.

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
        self.path = location.rounds if isinstance(location, Settings) else Path(location).absolute()
        self._database = Database(self.path, schema=_LAYOUT, version=_LAYOUT_VERSION, deadline_s=deadline_s)

    def __repr__(self) -> str:
        return f"SqliteRoundStore({str(self.path)!r})"

    def add_batch(self, draft: Batch) -> Batch:
        """See `RoundStore.add_batch`."""

        def work(db: sqlite3.Connection) -> Batch:
            known = db.execute(
                "SELECT body FROM batches WHERE pipeline = ? AND fingerprint = ? AND task = ?",
                (draft.pipeline, draft.fingerprint, draft.task),
            ).fetchone()
            if known is not None:
                return Batch.from_json(known[0])
            (last,) = db.execute(
                "SELECT coalesce(max(position), 0) FROM batches WHERE pipeline = ?", (draft.pipeline,)
            ).fetchone()
            batch = draft.model_copy(update={"position": last + 1})
            row = (batch.pipeline, batch.position, batch.fingerprint, batch.task, batch.to_json())
            db.execute("INSERT INTO batches VALUES (?, ?, ?, ?, ?)", row)
            return batch

        return self._database.write(work)

    def batches(self, pipeline: str) -> Sequence[Batch]:
        """See `RoundStore.batches`."""
        query = "SELECT body FROM batches WHERE pipeline = ? ORDER BY position"
        return tuple(map(Batch.from_json, self._texts(query, pipeline)))

    def withdraw_batch(self, pipeline: str, position: int, *, at: float, reason: str) -> Batch:
        """See `RoundStore.withdraw_batch`."""

        def work(db: sqlite3.Connection) -> Batch:
            where = (pipeline, position)
            row = db.execute("SELECT body FROM batches WHERE pipeline = ? AND position = ?", where).fetchone()
            if row is None:
                raise NotFoundError(
                    f"pipeline {pipeline!r} has no batch {position!r}", hint="look at `Rounds.batches()`"
                )
            batch = Batch.from_json(row[0])
            if batch.withdrawn_at is not None:
                return batch
            out = batch.model_copy(update={"withdrawn_at": at, "withdrawn_because": reason})
            db.execute(
                "UPDATE batches SET body = ? WHERE pipeline = ? AND position = ?", (out.to_json(), *where)
            )
            return out

        return self._database.write(work)

    def request(self, draft: Round) -> tuple[Round, bool]:
        """See `RoundStore.request`."""

        def work(db: sqlite3.Connection) -> tuple[Round, bool]:
            row = db.execute(
                "SELECT body FROM rounds WHERE pipeline = ? AND key = ? ORDER BY attempt DESC LIMIT 1",
                (draft.pipeline, draft.key),
            ).fetchone()
            latest = None if row is None else Round.from_json(row[0])
            if latest is not None and latest.request != draft.request:
                raise ConflictError(
                    f"key {draft.key!r} was used for another request, of round {latest.round_id!r}",
                    hint="use a new key for a new request, or none: then equal requests are one",
                )
            if latest is not None and not latest.state.may_be_asked_again:
                return latest, False
            attempt = 1 if latest is None else latest.attempt + 1
            name = draft.round_id if attempt == 1 else f"{draft.round_id}-{attempt}"
            added = draft.model_copy(update={"attempt": attempt, "round_id": name, "sequence": 1})
            db.execute(
                "INSERT INTO rounds (round_id, pipeline, key, attempt, body) VALUES (?, ?, ?, ?, ?)",
                (name, added.pipeline, added.key, attempt, added.to_json()),
            )
            _tell(db, added, reason=added.trigger, by=added.requested_by)
            return added, True

        return self._database.write(work)

    def get(self, round_id: str) -> Round | None:
        """See `RoundStore.get`."""
        found = self._texts("SELECT body FROM rounds WHERE round_id = ?", round_id)
        return Round.from_json(found[0]) if found else None

    def rounds(
        self,
        pipeline: str,
        *,
        alias: str | None = None,
        key: str | None = None,
        states: Collection[RoundState] = (),
        limit: int | None = None,
    ) -> Sequence[Round]:
        """See `RoundStore.rounds`."""
        where, values = ["pipeline = ?"], [pipeline]
        if alias is not None:
            where, values = [*where, "json_extract(body, '$.alias') = ?"], [*values, alias]
        if key is not None:
            where, values = [*where, "key = ?"], [*values, key]
        if states:
            among = ", ".join("?" * len(states))
            where, values = [*where, f"json_extract(body, '$.state') IN ({among})"], [*values, *states]
        query = f"SELECT body FROM rounds WHERE {' AND '.join(where)} ORDER BY place DESC LIMIT ?"
        return tuple(map(Round.from_json, self._texts(query, *values, -1 if limit is None else limit)))

    def move(self, after: Round, *, reason: str = "", by: str = "", token: int | None = None) -> Round:
        """See `RoundStore.move`."""
        written = after.model_copy(update={"sequence": after.sequence + 1})

        def work(db: sqlite3.Connection) -> Round:
            if token is not None:
                _fence(db, after.pipeline, token)
            row = db.execute("SELECT body FROM rounds WHERE round_id = ?", (after.round_id,)).fetchone()
            if row is None:
                raise NotFoundError(
                    f"there is no round {after.round_id!r}", hint="look at `tunekit retrain list`"
                )
            stored = Round.from_json(row[0])
            if stored.sequence != after.sequence:
                raise ConflictError(
                    f"round {after.round_id!r} was moved to {stored.state} in the meantime",
                    hint="read it again and decide anew",
                    retryable=True,
                )
            db.execute("UPDATE rounds SET body = ? WHERE round_id = ?", (written.to_json(), after.round_id))
            _tell(db, written, reason=reason, by=by)
            return written

        return self._database.write(work)

    def transitions(self, round_id: str) -> Sequence[Transition]:
        """See `RoundStore.transitions`."""
        query = "SELECT body FROM transitions WHERE round_id = ? ORDER BY sequence"
        return tuple(map(Transition.from_json, self._texts(query, round_id)))

    def pipelines(self) -> Sequence[str]:
        """See `RoundStore.pipelines`."""
        return self._texts("SELECT DISTINCT pipeline FROM rounds ORDER BY pipeline")

    def close(self) -> None:
        """Let go of the file until it is used again."""
        self._database.close()

    def _texts(self, query: str, *values: str | int) -> tuple[str, ...]:
        return self._database.read(lambda db: tuple(row[0] for row in db.execute(query, values)))


def _fence(db: sqlite3.Connection, pipeline: str, token: int) -> None:
    """Remember the newest lease that was at work, and refuse what an older one still wants to do."""
    row = db.execute("SELECT token FROM tokens WHERE pipeline = ?", (pipeline,)).fetchone()
    if row is not None and row[0] > token:
        raise StaleLeaseError(
            f"another process has taken over pipeline {pipeline!r}", hint="leave it to that one, or run again"
        )
    db.execute("INSERT OR REPLACE INTO tokens VALUES (?, ?)", (pipeline, token))


def _tell(db: sqlite3.Connection, after: Round, *, reason: str, by: str) -> None:
    transition = Transition(
        round_id=after.round_id,
        pipeline=after.pipeline,
        sequence=after.sequence,
        state=after.state,
        reason=reason,
        by=by,
        at=after.updated_at,
    )
    db.execute(
        "INSERT INTO transitions VALUES (?, ?, ?)",
        (transition.round_id, transition.sequence, transition.to_json()),
    )
