"""One look at an accepted job, written through to the store. Knows how the two are kept in step; does not wait."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from tunekit.backends.base import Snapshot
from tunekit.errors import ConflictError, DeadlineError, NotFoundError, StorageError
from tunekit.jobs import budget, outcome
from tunekit.jobs.desk import GRACE_S, Desk
from tunekit.jobs.polling import LISTING_DELAYS_S
from tunekit.records import RunRecord

_log = logging.getLogger(__name__)


async def look_at(desk: Desk, job_id: str) -> Snapshot:
    """Ask the backend where a job stands. The one door by which snapshots come in.

    Raises:
        NotFoundError: The backend does not know it.
    """
    return outcome.of_accepted(await desk.backend.snapshot(job_id))


async def refreshed(desk: Desk, record: RunRecord) -> tuple[Snapshot, RunRecord]:
    """Where a job stands, and its record with that in it."""
    try:
        seen = await look_at(desk, record.job_id)
    except NotFoundError:
        if not record.state.is_terminal:
            raise
        # Services forget finished jobs, people delete run directories; the store remembers how it ended.
        return outcome.snapshot_of(record), record
    seen = budget.reckoned(desk.backend, record, seen, now=desk.clock.now())
    record = await _remember(desk, record, seen)
    if why := budget.overrun(desk.backend, record, seen, now=desk.clock.now()):
        record = await _stop(desk, record, why)
    return outcome.with_reason(seen, record), record


async def _stop(desk: Desk, record: RunRecord, why: str) -> RunRecord:
    """Cancel a job whose budget is used up. Until that is written down, the next look does it again."""
    _log.warning("cancelling run %s: %s", record.run_id, why)
    await desk.backend.cancel(record.job_id)
    return await _note(desk, record, outcome.stopped(record, why, now=desk.clock.now()))


async def confirmed(desk: Desk, record: RunRecord) -> RunRecord:
    """The record of a job that stands for a submission, after one look; closed if the backend no longer knows the job.

    A backend that cannot be asked changes nothing.

    Raises:
        StorageError: The job is gone, and that cannot be written.
    """
    try:
        async with asyncio.timeout(desk.timeout_s):
            seen = await _found(desk, record)
    except Exception as error:
        _log.info("could not look at run %s, which stands already: %r", record.run_id, error)
        return record
    if seen is None:
        _log.warning("backend %r no longer knows job %r; starting over", desk.name, record.job_id)
        return await _write(desk, outcome.lost(record, now=desk.clock.now()))
    return await _remember(desk, record, seen)


async def _found(desk: Desk, record: RunRecord) -> Snapshot | None:
    """What the backend shows of the job, or None if it has none. A new one may only not be shown yet."""
    is_new = desk.clock.now() - record.updated_at < GRACE_S
    for delay_s in LISTING_DELAYS_S if is_new else (0.0,):
        await desk.clock.sleep(delay_s)
        with suppress(NotFoundError):
            return await look_at(desk, record.job_id)
    return None


async def _remember(desk: Desk, record: RunRecord, seen: Snapshot) -> RunRecord:
    """Write what a snapshot adds. Losing the race is fine: the winner saw the same job."""
    changed = outcome.progressed(record, seen, now=desk.clock.now())
    return record if changed is record else await _note(desk, record, changed)


async def _note(desk: Desk, record: RunRecord, changed: RunRecord) -> RunRecord:
    try:
        return await _write(desk, changed)
    except (StorageError, DeadlineError) as error:
        # A full disk must not hide a job that has ended; the next look writes it.
        _log.warning("could not record that run %s is %s: %s", record.run_id, changed.state, error.message)
        return record


async def _write(desk: Desk, changed: RunRecord) -> RunRecord:
    try:
        return await asyncio.to_thread(desk.store.update, changed)
    except ConflictError:
        return await asyncio.to_thread(desk.store.get, changed.run_id)
