"""What jobs need from a place that remembers. Knows claims, compare-and-set and leases; not how they are kept."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from tunekit.events import JobState
from tunekit.records import RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to act on something for a while.

    Attributes:
        name: What it is about.
        owner: Identity of the process that holds it.
        token: Fencing token. It grows with every new owner, so a write that carries an old one is refused.
        ttl_s: How long it lasts without a heartbeat, in seconds.
    """

    name: str
    owner: str
    token: int
    ttl_s: float


class RunStore(Protocol):
    """A durable list of runs, safe for many threads and processes.

    Methods block for milliseconds; async code calls them in a thread. The default is `SqliteStore`; `MemoryStore` is
    its twin for tests.
    """

    def claim(self, draft: RunRecord) -> tuple[RunRecord, bool]:
        """Insert the draft, or return the run that already stands for its key.

        If the latest attempt of the key is closed (failed or cancelled), the draft is inserted as the next attempt,
        with `attempt` counted up and `run_id` suffixed by `-<attempt>`. All in one transaction.

        Returns:
            The record that stands, and whether this call inserted it.
        """

    def get(self, run_id: str) -> RunRecord:
        """One run. Raises `NotFoundError`."""

    def find_job(self, backend: str, job_id: str, *, place: str = "") -> RunRecord | None:
        """The run whose backend job is this one, if it is known here; the latest of several.

        Args:
            backend: Name of the backend.
            job_id: What the backend calls the job.
            place: Leave out runs that are known to be at another place; "" leaves out none.
        """

    def list(
        self, *, backend: str | None = None, states: Collection[JobState] = (), limit: int = 100
    ) -> list[RunRecord]:
        """Runs, newest first; no `states` means all."""

    def update(self, record: RunRecord, *, lease: Lease | None = None) -> RunRecord:
        """Write a record back: compare-and-set on `record.version`, fenced by the lease.

        Args:
            record: The changed record, with the version that was read.
            lease: If given, the write happens only while this lease is still the newest for its name.

        Returns:
            The record as stored, one version on.

        Raises:
            ConflictError: Somebody else wrote in between (read again), or a closed run would reopen after a later
                attempt of its key began.
            StaleLeaseError: The lease was taken over or released.
        """

    def acquire(self, name: str, *, ttl_s: float) -> Lease | None:
        """Take a lease for this process, or None while another live one holds it.

        A lease is free when it was released, when its time is over, or when its owner provably no longer runs.
        """

    def heartbeat(self, lease: Lease) -> None:
        """Extend a lease by its `ttl_s`. Raises `StaleLeaseError` if it was taken over."""

    def release(self, lease: Lease) -> None:
        """Give a lease back; one that was taken over is left alone."""

    def close(self) -> None:
        """Let go of files. The store reopens by itself when used again."""
