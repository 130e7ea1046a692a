"""One look at an accepted job, written through to the store. Knows how the two are kept in step; does not wait."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tunekit.backends.base import LISTING_DELAYS_S, Snapshot
from tunekit.errors import (
    BackendError,
    ConflictError,
    DeadlineError,
    NotFoundError,
    StorageError,
    TunekitError,
)
from tunekit.jobs import budget, outcome
from tunekit.jobs.desk import GRACE_S, Desk
from tunekit.records import RunRecord

_log = logging.getLogger(__name__)


async def look_at(desk: Desk, job_id: str) -> Snapshot:
    """Ask the backend where a job stands. The one door by which snapshots come in.

    Raises:
        NotFoundError: The backend does not know it.
    """
    return outcome.of_accepted(await desk.backend.snapshot(job_id))


@contextmanager
def lagging(desk: Desk, record: RunRecord | None) -> Iterator[None]:
    """Says of a job that is not shown, so soon after it was made or moved on, that the next look may show it.

    Reads lag behind writes. Whoever waits bears such an error; whoever only looks is told.
    """
    try:
        yield
    except NotFoundError as error:
        is_new = record is not None and desk.clock.now() - record.updated_at < GRACE_S
        error.retryable = error.retryable or is_new
        raise


async def refreshed(desk: Desk, record: RunRecord) -> tuple[Snapshot, RunRecord]:
    """Where a job stands, and its record with that in it."""
    try:
        with lagging(desk, record):
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
    """Cancel a job whose budget is used up. Until that is written down, the next look does it again.

    Raises:
        BackendError: The backend refuses, for the first time; a later look that is refused only says so in the log.
    """
    _log.warning("cancelling run %s: %s", record.run_id, why)
    try:
        await desk.backend.cancel(record.job_id)
    except TunekitError as error:
        if error.retryable:
            raise
        if record.error is None:
            await _note(desk, record, outcome.unstoppable(record, why, error.message, now=desk.clock.now()))
            raise _goes_on(desk, record, why, error) from error
        _log.warning("run %s goes on over its budget: %s", record.run_id, error.message)
        return record
    return await _note(desk, record, outcome.stopped(record, why, now=desk.clock.now()))


def _goes_on(desk: Desk, record: RunRecord, why: str, error: TunekitError) -> BackendError:
    return BackendError(
        f"job {record.job_id!r} is over its budget ({why}), and goes on: {error.message}",
        hint="cancel it at the backend by hand; every later look at it tries to cancel it again",
        backend=desk.name,
        details={"run_id": record.run_id},
    )


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
    """What the backend shows of the job, or None if it has none. A new one may only not be shown yet.

    A second job is what a wrong answer costs, so one look is not believed, and where the job can be looked for by its
    key, that must not find it either.
    """
    is_new = desk.clock.now() - record.updated_at < GRACE_S
    for delay_s in LISTING_DELAYS_S if is_new else LISTING_DELAYS_S[:3]:
        await desk.clock.sleep(delay_s)
        with suppress(NotFoundError):
            return await look_at(desk, record.job_id)
    if desk.backend.capabilities.supports("find") and await desk.backend.find(record.run_id):
        raise BackendError(
            f"backend {desk.name!r} does not show job {record.job_id!r}, and finds it by its key",
            hint="look again later",
            backend=desk.name,
            retryable=True,
        )
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
