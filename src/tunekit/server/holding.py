"""Which of the jobs that wait comes to its backend next. Knows places and turns; not how a job is handed in.

A job at its backend may be a process that waits for the device, and there it is first come, first served. So only a few
are there at once; the others are rows that wait here, and go in turns between their tenants.
"""

from __future__ import annotations

from tunekit.errors import ConflictError
from tunekit.events import JobState
from tunekit.refs import Target
from tunekit.server.ledger import NoRoomError, Room, Where
from tunekit.server.rows import JobRow, line_at, line_for, waited_for
from tunekit.server.service import Service

_RETRIES = 5


def admit(service: Service) -> None:
    """Give every place that is free at a backend to a job that waits for one.

    Each is given in one transaction that counts the places, so several processes never give more than there are, and
    what one has given is there for all to go on with.
    """
    for line in service.ledger.lines():
        backend = waited_for(line)
        while backend is not None and _admit_next(service, backend):
            pass


def _admit_next(service: Service, backend: str) -> bool:
    """Give one place; False if there is none, or nobody who waits, or another process gives them just now."""
    if service.ledger.in_line(line_at(backend)) >= service.limits.backend_jobs:
        return False
    row = service.ledger.next_in_line(JobRow, line_for(backend))
    if row is None:
        return False
    now = service.now()
    try:
        service.ledger.change(
            row, room=_room(service, backend, is_shared=True), phase="starting", due=now, turn_at=now
        )
    except ConflictError:
        return False
    return True


def retake(service: Service, row: JobRow) -> JobRow:
    """Give a place to a paused job that is to go on: one more than there are, if all are taken by others.

    It could wait for ever to be asked for again right when one is free. Of a tenant's own jobs there are never more.

    Raises:
        NoRoomError: Its tenant has all of them.
        ConflictError: Others change the job all the time.
    """
    room = _room(service, Target(row.target).backend, is_shared=False)
    for _ in range(_RETRIES):
        latest = service.ledger.find(JobRow, row.id) or row
        if latest.state is not JobState.PAUSED:
            return latest
        try:
            return service.ledger.change(latest, room=room, state=JobState.QUEUED)
        except NoRoomError:
            raise
        except ConflictError:
            continue  # somebody has just looked at it
    raise ConflictError(f"job {row.id!r} changes too fast to be resumed", hint="try again in a moment")


def _room(service: Service, backend: str, *, is_shared: bool) -> Room:
    where = Where("line = ?", (line_at(backend),))
    return Room(most=service.limits.backend_jobs, where=where, is_shared=is_shared)
