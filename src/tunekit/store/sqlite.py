"""Runs and leases in one SQLite file, safe for many threads and processes of one host. Knows tables and queries.

It does not know how the file is opened, locked and waited for (`_database`), nor what makes a claim, an update or a
lease valid (`_rules`).
"""

from __future__ import annotations

import builtins
import sqlite3
from collections.abc import Callable, Collection
from pathlib import Path

from tunekit._settings import Settings
from tunekit.events import JobState
from tunekit.records import RunRecord
from tunekit.store import _rules, identity
from tunekit.store._database import Database
from tunekit.store._rules import Holding
from tunekit.store.base import Lease
from tunekit.store.upgrade import run_record

_LAYOUT_VERSION = 1
_LAYOUT = (
    """
    CREATE TABLE runs (
        position INTEGER PRIMARY KEY,  -- order of insertion
        run_id TEXT NOT NULL UNIQUE,
        key TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        backend TEXT NOT NULL,
        job_id TEXT NOT NULL,
        state TEXT NOT NULL,
        created_at REAL NOT NULL,
        version INTEGER NOT NULL,
        body TEXT NOT NULL,  -- the record as JSON; the columns above repeat what is searched for
        UNIQUE (key, attempt)
    )
    """,
    "CREATE INDEX runs_by_job ON runs (backend, job_id)",
    "CREATE INDEX runs_by_age ON runs (created_at)",
    """
    CREATE TABLE leases (
        token INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice, even after the row is gone
        name TEXT NOT NULL UNIQUE,
        owner TEXT NOT NULL,
        boot TEXT NOT NULL,
        renewed REAL NOT NULL,  -- seconds since that boot
        expires REAL NOT NULL
    )
    """,
)


class SqliteStore:
    """The default `RunStore`: one file on a local disk, shared by all processes of the host that use it.

    Nothing is opened before the first call. One instance may be used by any number of threads, and on both sides of a
    fork.

    Args:
        location: The file, or the `Settings` that name it; default: the settings of the environment.
        deadline_s: How long a call waits for other processes before it gives up, in seconds.
        boottime: Seconds since boot; replace it to let leases expire in a test.

    Raises:
        StorageError: From any method: the file cannot be created, read or written, is damaged, or lies on a network
            filesystem.
        DeadlineError: From any method: other processes kept the file locked for `deadline_s`.

    Examples:
        >>> import tempfile
        >>> store = SqliteStore(Path(tempfile.mkdtemp()) / "store.sqlite3")
        >>> store.list()
        []
    """

    def __init__(
        self,
        location: Path | str | Settings | None = None,
        *,
        deadline_s: float = 60.0,
        boottime: Callable[[], float] = identity.boottime,
    ) -> None:
        if location is None:
            location = Settings()
        self.path = location.store if isinstance(location, Settings) else Path(location).absolute()
        self._database = Database(
            self.path.absolute(), schema=_LAYOUT, version=_LAYOUT_VERSION, deadline_s=deadline_s
        )
        self._boottime = boottime

    def __repr__(self) -> str:
        return f"SqliteStore({str(self.path)!r})"

    def claim(self, draft: RunRecord) -> tuple[RunRecord, bool]:
        """See `RunStore.claim`."""

        def work(db: sqlite3.Connection) -> tuple[RunRecord, bool]:
            latest = _latest(db, draft.key)
            if latest is not None and not latest.is_closed:
                return latest, False
            record = _rules.next_attempt(draft, latest)
            if _one(db, "run_id = ?", record.run_id):
                raise _rules.taken(record.run_id, record.key)
            db.execute(
                "INSERT INTO runs (run_id, key, attempt, backend, job_id, state, created_at, version, body)"
                " VALUES (:run_id, :key, :attempt, :backend, :job_id, :state, :created_at, :version, :body)",
                _columns(record),
            )
            return record, True

        return self._database.write(work)

    def get(self, run_id: str) -> RunRecord:
        """See `RunStore.get`."""
        return self._database.read(lambda db: _existing(db, run_id))

    def find_job(self, backend: str, job_id: str, *, place: str = "") -> RunRecord | None:
        """See `RunStore.find_job`."""
        if not job_id:
            return None  # the backend has not answered yet; many runs may be in that state
        where = "backend = ? AND job_id = ? ORDER BY position DESC"
        return _rules.latest_at(place, self._database.read(lambda db: _select(db, where, backend, job_id)))

    def list(
        self, *, backend: str | None = None, states: Collection[JobState] = (), limit: int = 100
    ) -> builtins.list[RunRecord]:
        """See `RunStore.list`."""
        names = [str(state) for state in states] or [str(state) for state in JobState]
        where = f"state IN ({', '.join('?' * len(names))}) AND backend = coalesce(?, backend)"
        order = "ORDER BY created_at DESC, position DESC LIMIT ?"
        parameters = (*names, backend, _rules.checked_limit(limit))
        return self._database.read(lambda db: _select(db, f"{where} {order}", *parameters))

    def update(self, record: RunRecord, *, lease: Lease | None = None) -> RunRecord:
        """See `RunStore.update`."""
        after = _rules.rewritten(record, lease)

        def work(db: sqlite3.Connection) -> RunRecord:
            if lease is not None and not _is_newest(db, lease):
                raise _rules.stale(lease)
            stored = _existing(db, record.run_id)
            _rules.check_update(record, stored)
            if _rules.reopens(record, stored) and _latest(db, record.key) != stored:
                raise _rules.superseded(record)
            db.execute(
                "UPDATE runs SET backend = :backend, job_id = :job_id, state = :state, created_at = :created_at,"
                " version = :version, body = :body WHERE run_id = :run_id",
                _columns(after),
            )
            return after

        return self._database.write(work)

    def acquire(self, name: str, *, ttl_s: float) -> Lease | None:
        """See `RunStore.acquire`."""
        _rules.checked_ttl(ttl_s)

        def work(db: sqlite3.Connection) -> Lease | None:
            held = _holding(db, name)
            now = self._boottime()  # read while the lock is held: any renewal seen above happened before it
            if held is not None and not _rules.is_free(held, now=now):
                return None
            new = _rules.hold(ttl_s=ttl_s, now=now)
            cursor = db.execute(
                "INSERT OR REPLACE INTO leases (name, owner, boot, renewed, expires) VALUES (?, ?, ?, ?, ?)",
                (name, new.owner, new.boot, new.renewed, new.expires),
            )
            return Lease(name=name, owner=new.owner, token=cursor.lastrowid or 0, ttl_s=ttl_s)

        return self._database.write(work)

    def heartbeat(self, lease: Lease) -> None:
        """See `RunStore.heartbeat`."""

        def work(db: sqlite3.Connection) -> None:
            now = self._boottime()
            changed = db.execute(
                "UPDATE leases SET renewed = ?, expires = ? WHERE name = ? AND token = ?",
                (now, now + lease.ttl_s, lease.name, lease.token),
            )
            if changed.rowcount != 1:
                raise _rules.stale(lease)

        self._database.write(work)

    def release(self, lease: Lease) -> None:
        """See `RunStore.release`."""
        where = (lease.name, lease.token)
        self._database.write(lambda db: db.execute("DELETE FROM leases WHERE name = ? AND token = ?", where))

    def close(self) -> None:
        """See `RunStore.close`."""
        self._database.close()


def _columns(record: RunRecord) -> dict[str, str | int | float]:
    return {
        "run_id": record.run_id,
        "key": record.key,
        "attempt": record.attempt,
        "backend": record.backend,
        "job_id": record.job_id,
        "state": str(record.state),
        "created_at": record.created_at,
        "version": record.version,
        "body": record.model_dump_json(),
    }


def _latest(db: sqlite3.Connection, key: str) -> RunRecord | None:
    return _one(db, "key = ? ORDER BY attempt DESC", key)


def _existing(db: sqlite3.Connection, run_id: str) -> RunRecord:
    record = _one(db, "run_id = ?", run_id)
    if record is None:
        raise _rules.not_found(run_id)
    return record


def _one(db: sqlite3.Connection, where: str, *parameters: object) -> RunRecord | None:
    found = _select(db, f"{where} LIMIT 1", *parameters)
    return found[0] if found else None


def _select(db: sqlite3.Connection, where: str, *parameters: object) -> list[RunRecord]:
    rows = db.execute(f"SELECT body FROM runs WHERE {where}", parameters).fetchall()
    return [run_record(body) for (body,) in rows]


def _holding(db: sqlite3.Connection, name: str) -> Holding | None:
    row = db.execute("SELECT owner, boot, renewed, expires FROM leases WHERE name = ?", (name,)).fetchone()
    if row is None:
        return None
    owner, boot, renewed, expires = row
    return Holding(owner=owner, boot=boot, renewed=renewed, expires=expires)


def _is_newest(db: sqlite3.Connection, lease: Lease) -> bool:
    query = "SELECT 1 FROM leases WHERE name = ? AND token = ?"
    return db.execute(query, (lease.name, lease.token)).fetchone() is not None
