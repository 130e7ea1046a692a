"""One look at an accepted job, written through to the store. Knows how the two are kept in step; does not wait."""

from __future__ import annotations

import asyncio
import logging

from tunekit.backends.base import Snapshot
from tunekit.errors import ConflictError, DeadlineError, NotFoundError, StorageError
from tunekit.jobs import outcome
from tunekit.jobs.desk import Desk
from tunekit.records import RunRecord

_log = logging.getLogger(__name__)


async def refreshed(desk: Desk, record: RunRecord) -> tuple[Snapshot, RunRecord]:
    """Where a job stands, and its record with that in it."""
    try:
        seen = await desk.backend.snapshot(record.job_id)
    except NotFoundError:
        if not record.state.is_terminal:
            raise
        # Services forget finished jobs, people delete run directories; the store remembers how it ended.
        return outcome.snapshot_of(record), record
    return seen, await _remember(desk, record, seen)


async def _remember(desk: Desk, record: RunRecord, seen: Snapshot) -> RunRecord:
    """Write what a snapshot adds. Losing the race is fine: the winner saw the same job."""
    changed = outcome.progressed(record, seen, now=desk.clock.now())
    if changed is record:
        return record
    try:
        return await asyncio.to_thread(desk.store.update, changed)
    except ConflictError:
        return await asyncio.to_thread(desk.store.get, record.run_id)
    except (StorageError, DeadlineError) as error:
        # A full disk must not hide a job that has ended; the next look writes it.
        _log.warning("could not record that run %s is %s: %s", record.run_id, seen.state, error.message)
        return record
