"""What happens to jobs while nobody asks: handing in, copying events, writing down how they end. Knows no route.

Every process of a server looks at the same rows. A row says when it is due; whoever pushes that on by
compare-and-set has the next turn, so two processes share the work, and one goes on where another was killed.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any

from tunekit.backends.base import Backend, EventPage, Snapshot
from tunekit.errors import ConflictError, DeadlineError, NotFoundError, StorageError, TunekitError
from tunekit.events import JobEvent, JobState
from tunekit.jobs.job import FineTuneJob
from tunekit.records import JobError, RunRecord
from tunekit.refs import JobRef, Target
from tunekit.server import failures, handing_in, shapes
from tunekit.server.ending import Ending, ended_rows
from tunekit.server.leases import turn
from tunekit.server.rows import JobRow
from tunekit.server.service import Service, blocking

_log = logging.getLogger(__name__)

_LONGEST_PAUSE_S = 60.0
_SHORTEST_PAUSE_S = 0.25
_EVENTS_PER_LOOK = 10_000
_MOST_BEGUN = 3
"""Times that a job may be begun to be handed in, and end with its process. Then it is the job that ends them."""
_FAILED = Snapshot(job_id="", state=JobState.FAILED)


async def attached(service: Service, row: JobRow) -> FineTuneJob:
    """The run of a job that was handed in.

    Raises:
        NotFoundError: Neither store nor backend knows it.
    """
    target = Target(row.target)
    return await FineTuneJob.attach_async(
        JobRef.of(target.backend, row.run_id),
        backend=service.backend(target.backend),
        store=service.store,
        settings=service.settings,
    )


async def follow(service: Service, row: JobRow) -> JobRow:
    """One look at a job that has not ended, and whatever that asks for.

    Raises:
        ConflictError: Another process was faster; it has done the same.
    """
    try:
        if row.is_before_its_run:
            return await _bring_forward(service, row)
        return await _look(service, row)
    except ConflictError:
        raise
    except Exception as error:
        if isinstance(error, NotFoundError) and row.phase == "submitted":
            lost = JobError(message=error.message, hint=error.hint, code=error.code)
            return await _end(service, row, Ending(seen=_FAILED, error=lost))
        _log.warning("could not look at job %s: %r", row.id, error)
        pause_s = min(_SHORTEST_PAUSE_S * 2.0 ** min(row.failures, 10), _LONGEST_PAUSE_S)
        # As it is now: the attempt has been counted in it.
        latest = await blocking(service.ledger.find, JobRow, row.id) or row
        if latest.phase != row.phase:
            return latest
        return await blocking(
            lambda: service.ledger.change(
                latest, begun=0, failures=latest.failures + 1, due=service.now() + pause_s
            )
        )


async def _bring_forward(service: Service, row: JobRow) -> JobRow:
    """Look through a job's files, or submit it, unless a living process is at it."""
    async with turn(service, f"hand-in:{row.id}") as is_ours:
        if not is_ours:
            return row
        if row.begun >= _MOST_BEGUN:
            return await _given_up(service, row)
        row = await blocking(lambda: service.ledger.change(row, begun=row.begun + 1))
        try:
            return await (_looked_through if row.phase == "validating" else _handed_in)(service, row)
        except asyncio.CancelledError:
            await blocking(_uncount, service, row.id)
            raise


def _uncount(service: Service, job_id: str) -> None:
    """Take back that a job was begun: this process ends for reasons of its own."""
    row = service.ledger.find(JobRow, job_id)
    if row is not None and row.is_before_its_run:
        service.ledger.change(row, begun=0)


async def _given_up(service: Service, row: JobRow) -> JobRow:
    """No further attempt at a job whose files may be what ended the processes that read them."""
    if row.run_id:  # something may have been sent: that is looked for, without its files
        return await blocking(
            lambda: service.ledger.change(row, phase="submitted", begun=0, due=service.now())
        )
    error = handing_in.BadFile(
        f"its files were begun to be read {row.begun} times, and each time the server ended before it was through",
        param="training_file",
        hint="they may be larger than this server can hold; send fewer or shorter examples",
    )
    said, param = handing_in.error_of(error)
    return await _end(service, row, Ending(seen=_FAILED, error=said, param=param))


async def _looked_through(service: Service, row: JobRow) -> JobRow:
    """Let a job wait for a place at its backend, if that would not refuse it."""
    try:
        await handing_in.look_through(service, row)
    except (StorageError, DeadlineError):
        raise  # it passes
    except TunekitError as error:
        said, param = handing_in.error_of(error)
        return await _end(service, row, Ending(seen=_FAILED, error=said, param=param))
    latest = await blocking(service.ledger.find, JobRow, row.id) or row
    if latest.phase != "validating":
        return latest  # it was cancelled meanwhile
    return await blocking(lambda: service.ledger.change(latest, phase="held", begun=0, failures=0, due=None))


async def _handed_in(service: Service, row: JobRow) -> JobRow:
    error: TunekitError | None = None
    record: RunRecord | None = None
    try:
        record = await handing_in.hand_in(service, row)
    except (StorageError, DeadlineError):
        raise  # a full disk or a busy store: nothing was sent, and it passes
    except TunekitError as raised:
        error = raised
    current = await blocking(service.ledger.find, JobRow, row.id)
    if current is None or current.phase != "starting":
        return current or row  # it was cancelled meanwhile
    if record is None:
        assert error is not None, "there is a record or an error"
        said, param = handing_in.error_of(error)
        return await _end(service, current, Ending(seen=_FAILED, error=said, param=param))
    return await blocking(
        lambda: service.ledger.change(
            current, phase="submitted", run_id=record.run_id, state=record.state, begun=0, due=service.now()
        )
    )


async def _look(service: Service, row: JobRow) -> JobRow:
    """Copy what is new of a job's events, and its state."""
    job = await attached(service, row)
    seen = await job.snapshot_async()
    backend = service.backend(Target(row.target).backend)
    page = EventPage(events=(), cursor=row.cursor)
    if seen.job_id:
        page = await _new_events(backend, seen.job_id, row.cursor)
    used = shapes.used(page.events) or row.used
    copied = [shapes.event_row(row, row.events + at, event) for at, event in enumerate(page.events)]
    if seen.state.is_terminal and not _is_full(page):
        error = (job.record.error if job.record is not None else None) or _why(seen)
        checkpoints = await _checkpoints(backend, seen)
        return await _end(
            service,
            row,
            Ending(seen=seen, copied=copied, checkpoints=checkpoints, error=error),
            cursor=page.cursor,
            used=used,
        )
    pause_s = 0.0 if _is_full(page) else max(_SHORTEST_PAUSE_S, backend.poll_interval_s)
    return await blocking(
        lambda: service.ledger.change(
            row,
            *copied,
            state=row.state if seen.state.is_terminal else seen.state,
            cursor=page.cursor,
            used=used,
            events=row.events + len(copied),
            failures=0,
            due=service.now() + pause_s,
        )
    )


def _why(seen: Snapshot) -> JobError | None:
    """What the backend said of a failure, where the store could not take it down."""
    failure = seen.failure
    if failure is None:
        return None
    return JobError(
        message=failure.message, hint=failure.hint, code=failure.code, retryable=failure.retryable
    )


async def _new_events(backend: Backend, job_id: str, cursor: str | None) -> EventPage:
    """The events behind a cursor, up to `_EVENTS_PER_LOOK`. A backend that has forgotten them has no more."""
    events: list[JobEvent] = []
    while len(events) < _EVENTS_PER_LOOK:
        try:
            page = await backend.events(job_id, cursor)
        except NotFoundError:
            break
        events.extend(page.events)
        if not page.events or page.cursor == cursor:
            break
        cursor = page.cursor
    return EventPage(events=tuple(events), cursor=cursor)


def _is_full(page: EventPage) -> bool:
    """Whether there may be more events: then the next look comes at once, and the end of the job waits for it."""
    return len(page.events) >= _EVENTS_PER_LOOK


async def _checkpoints(backend: Backend, seen: Snapshot) -> tuple[str, ...]:
    if seen.state is not JobState.SUCCEEDED or not backend.capabilities.supports("checkpoints"):
        return ()
    return await backend.checkpoints(seen.job_id)


async def _end(service: Service, row: JobRow, end: Ending, **known: Any) -> JobRow:
    """Write down how a job ended: its model, result file and webhooks in the same transaction as its end."""
    if end.error is not None:
        files = await blocking(failures.named_files, service, row)
        said, param = failures.told_of_job(end.error, row.id, files)
        end = replace(end, error=said, param=end.param or param)
    changes, beside = await blocking(ended_rows, service, row, end)
    return await blocking(lambda: service.ledger.change(row, *beside, **changes, **known))


async def cancelled(service: Service, row: JobRow) -> JobRow:
    """Close a job of which nothing was sent.

    Raises:
        ConflictError: Something has been sent since, or is about to be.
    """
    return await _end(service, row, Ending(seen=Snapshot(job_id="", state=JobState.CANCELLED)))
