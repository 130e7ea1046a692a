"""Runs and leases in the memory of one process. Knows the contract of `RunStore`; it forgets everything at exit."""

from __future__ import annotations

import builtins
import os
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace

from tunekit.errors import StorageError
from tunekit.events import JobState
from tunekit.records import RunRecord
from tunekit.store import _rules, identity
from tunekit.store._rules import Holding
from tunekit.store.base import Lease


class MemoryStore:
    """The twin of `SqliteStore` for tests and for hosts that want nothing on disk.

    Safe for threads. A forked child has a copy that nobody else sees, so using it there is refused.

    Args:
        boottime: Seconds since boot; replace it to let leases expire in a test.

    Examples:
        >>> store = MemoryStore()
        >>> lease = store.acquire("submit:abc", ttl_s=30)
        >>> store.acquire("submit:abc", ttl_s=30) is None
        True
    """

    def __init__(self, *, boottime: Callable[[], float] = identity.boottime) -> None:
        self._boottime = boottime
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._runs: dict[str, RunRecord] = {}
        self._leases: dict[str, tuple[int, Holding]] = {}
        self._newest_token = 0

    def __repr__(self) -> str:
        return "MemoryStore()"

    def claim(self, draft: RunRecord) -> tuple[RunRecord, bool]:
        """See `RunStore.claim`."""
        with self._locked():
            latest = self._latest(draft.key)
            if latest is not None and not latest.is_closed:
                return latest, False
            record = _rules.next_attempt(draft, latest)
            if record.run_id in self._runs:
                raise _rules.taken(record.run_id, record.key)
            self._runs[record.run_id] = record
            return record, True

    def get(self, run_id: str) -> RunRecord:
        """See `RunStore.get`."""
        with self._locked():
            if run_id not in self._runs:
                raise _rules.not_found(run_id)
            return self._runs[run_id]

    def find_job(self, backend: str, job_id: str, *, place: str = "") -> RunRecord | None:
        """See `RunStore.find_job`."""
        with self._locked():
            found = [run for run in self._runs.values() if (run.backend, run.job_id) == (backend, job_id)]
            return _rules.latest_at(place, reversed(found)) if job_id else None

    def list(
        self, *, backend: str | None = None, states: Collection[JobState] = (), limit: int = 100
    ) -> builtins.list[RunRecord]:
        """See `RunStore.list`."""
        _rules.checked_limit(limit)
        with self._locked():
            latest_first = [*self._runs.values()][::-1]
        newest_first = sorted(
            latest_first, key=lambda run: -run.created_at
        )  # stable: at one moment, the latest first
        wanted = (
            run
            for run in newest_first
            if backend in (None, run.backend) and (not states or run.state in states)
        )
        return [run for run, _ in zip(wanted, range(limit), strict=False)]

    def update(self, record: RunRecord, *, lease: Lease | None = None) -> RunRecord:
        """See `RunStore.update`."""
        with self._locked():
            if lease is not None:
                self._holding(lease)
            stored = self.get(record.run_id)
            _rules.check_update(record, stored)
            if _rules.reopens(record, stored) and self._latest(record.key) != stored:
                raise _rules.superseded(record)
            after = _rules.rewritten(record, lease)
            self._runs[record.run_id] = after
            return after

    def acquire(self, name: str, *, ttl_s: float) -> Lease | None:
        """See `RunStore.acquire`."""
        _rules.checked_ttl(ttl_s)
        with self._locked():
            now = self._boottime()
            if name in self._leases and not _rules.is_free(self._leases[name][1], now=now):
                return None
            self._newest_token += 1
            holding = _rules.hold(ttl_s=ttl_s, now=now)
            self._leases[name] = (self._newest_token, holding)
            return Lease(name=name, owner=holding.owner, token=self._newest_token, ttl_s=ttl_s)

    def heartbeat(self, lease: Lease) -> None:
        """See `RunStore.heartbeat`."""
        with self._locked():
            holding = self._holding(lease)
            now = self._boottime()
            self._leases[lease.name] = (lease.token, replace(holding, renewed=now, expires=now + lease.ttl_s))

    def release(self, lease: Lease) -> None:
        """See `RunStore.release`."""
        with self._locked():
            if self._leases.get(lease.name, (0, None))[0] == lease.token:
                del self._leases[lease.name]

    def close(self) -> None:
        """Nothing to let go of."""

    def _latest(self, key: str) -> RunRecord | None:
        attempts = (run for run in self._runs.values() if run.key == key)
        return max(attempts, key=lambda run: run.attempt, default=None)

    def _holding(self, lease: Lease) -> Holding:
        token, holding = self._leases.get(lease.name, (0, None))
        if holding is None or token != lease.token:
            raise _rules.stale(lease)
        return holding

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if os.getpid() != self._pid:
            raise StorageError(
                "a MemoryStore was carried across a fork; the copy here would forget what the other process writes",
                hint="use SqliteStore, or make the MemoryStore after the fork",
            )
        with self._lock:
            yield
