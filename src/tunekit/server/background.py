"""The server's work between requests, for as long as it runs. Knows what is due; not how jobs are followed.

It begins with the application's lifespan, or where a host mounts the application and runs no lifespan of it, with the
first request. Everything that it does is written down before and after, so ending it at any moment loses nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tunekit.errors import ConflictError, NotFoundError, TunekitError, UnsupportedError
from tunekit.refs import ModelRef
from tunekit.server import answering, files, following, holding, webhooks
from tunekit.server.ledger import field_is
from tunekit.server.rows import BatchRow, DeliveryRow, FileRow, JobRow, ModelRow, PartRow, Row, UploadRow
from tunekit.server.service import Service, blocking

_log = logging.getLogger(__name__)

_PAUSE_S = 0.25
_ROWS_PER_LOOK = 512
_OF_A_QUEUE = 2
_TURNS = 4
_SWEEP_S = 3600.0
_AGAIN_S = 60.0
_LOOK_AGAIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Turns:
    """Who may do now what takes much of this machine. Given in the order of asking, so everybody comes to it.

    Attributes:
        handing_in: Held while a job's files are read, for a large one takes gigabytes.
        asking: Held while a few questions of a batch are with their model.
    """

    handing_in: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_TURNS))
    asking: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_TURNS))


class Background:
    """One task that looks for what is due, and one for each thing that is.

    Of a queue (a tenant's jobs to hand in, a tenant's batches, the messages to one receiver) a few are attended to at
    once. So whoever has many waits for himself, and at `Turns` everybody's queue is about as long.

    Args:
        service: What it works with.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._forget()

    def _forget(self) -> None:
        self._nudge, self._turns = asyncio.Event(), Turns()
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._queues: Counter[str | None] = Counter()
        self._resting: dict[tuple[str, int], float] = {}

    def ensure_running(self) -> None:
        """Begin, if nothing runs on this event loop yet."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop or self._main is None or self._main.done():
            self._forget()
            self._loop, self._main = loop, loop.create_task(self._run())

    def nudge(self) -> None:
        """Look now: something new is there."""
        self._nudge.set()

    async def aclose(self) -> None:
        """End. Runs go on, and so does all that was begun, with the next process."""
        tasks = [task for task in (self._main, *self._busy.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._main = None

    async def _run(self) -> None:
        while True:
            self._nudge.clear()
            now = self._service.now()
            self._resting = {name: until for name, until in self._resting.items() if until > now}
            await self._do("give out places", lambda: blocking(holding.admit, self._service))
            await self._do("look for what is due", self._start_due)
            await self._do("sweep", lambda: blocking(sweep, self._service), every_s=_SWEEP_S)
            try:
                async with asyncio.timeout(_PAUSE_S):
                    await self._nudge.wait()
            except TimeoutError:
                pass

    async def _do(self, name: str, work: Callable[[], Awaitable[object]], *, every_s: float = 0.0) -> None:
        """Do something, but not while it rests. What is wrong may last, as a full disk does: then it rests, too."""
        if (name, 0) in self._resting:
            return
        try:
            await work()
        except TunekitError as error:
            _log.warning("cannot %s: %s", name, error)
            every_s = _LOOK_AGAIN_S
        self._resting[name, 0] = self._service.now() + every_s

    async def _start_due(self) -> None:
        rows = await blocking(self._service.ledger.due, self._service.now(), limit=_ROWS_PER_LOOK)
        for row in sorted(rows, key=_has_no_place):
            queue = _queue_of(row)
            rests = row.id in self._busy or (row.id, row.version) in self._resting
            if not rests and self._queues[queue] < _OF_A_QUEUE:
                self._queues[queue] += queue is not None
                self._busy[row.id] = asyncio.create_task(self._attend(row, queue))

    async def _attend(self, row: Row, queue: str | None) -> None:
        try:
            await attend(self._service, row, self._turns)
            self._nudge.set()  # what comes next may be due at once
        except ConflictError:
            pass  # another process was faster
        except Exception as error:
            _log.warning("could not attend to %s %s: %r", row.kind, row.id, error)
            await self._put_off(row)
        finally:
            self._busy.pop(row.id, None)
            self._queues[queue] -= queue is not None

    async def _put_off(self, row: Row) -> None:
        until = self._service.now() + _AGAIN_S
        self._resting[row.id, row.version] = until
        try:
            await blocking(lambda: self._service.ledger.change(row, due=until))
        except TunekitError:
            pass  # on a full disk the others must find out for themselves


def sweep(service: Service) -> None:
    """End removals that were begun, and remove bytes that no row knows."""
    ledger, disk = service.ledger, service.disk
    for file_id in disk.all_aside():
        files.forget(service, file_id)
    for name in disk.strangers(lambda name: bool(ledger.find(FileRow, name) or ledger.find(PartRow, name))):
        disk.remove(name)


def _has_no_place(row: Row) -> bool:
    """Whether it is a job without a place at its backend: others wait for those that have one, which come first."""
    return isinstance(row, JobRow) and row.phase == "validating"


def _queue_of(row: Row) -> str | None:
    """What the row waits in; None if it does not wait."""
    match row:
        case BatchRow() | JobRow(phase="validating" | "starting"):
            return f"{row.kind} of {row.tenant}"
        case DeliveryRow():
            return f"webhook {row.endpoint}"
        case _:
            return None


async def attend(service: Service, row: Row, turns: Turns) -> None:
    """Do what is due about one row.

    Raises:
        ConflictError: Another process was faster.
    """
    match row:
        case JobRow(phase="validating" | "starting"):
            async with turns.handing_in:
                await following.follow(service, row)
        case JobRow():
            await following.follow(service, row)
        case BatchRow():
            await answering.run(service, row, turns.asking)
        case DeliveryRow():
            await _deliver(service, row)
        case FileRow():
            await blocking(files.forget, service, row.id)
        case UploadRow():
            await service.slowly(f"files of {row.tenant}", expire, service, row)
        case ModelRow():
            await _remove_model(service, row)
        case _:
            raise AssertionError(f"nothing is ever due about a {row.kind}")


def expire(service: Service, row: UploadRow) -> None:
    """Close an upload that was not completed in time, and remove its parts."""
    service.ledger.change(row, status="expired" if row.status == "pending" else row.status, due=None)
    for part in service.ledger.all(PartRow, parent=row.id):
        service.ledger.remove(part)
        service.disk.remove(part.id)


async def _deliver(service: Service, row: DeliveryRow) -> None:
    webhook = next((item for item in service.webhooks if item.name == row.endpoint), None)
    if webhook is None:
        _log.warning("webhook %s is for an endpoint that is no longer configured", row.id)
        await blocking(lambda: service.ledger.change(row, due=None))
        return
    now = service.now()
    # Pushed on before it is sent: after a kill in between it goes out again, under the same id.
    row = await blocking(
        lambda: service.ledger.change(
            row, attempts=row.attempts + 1, due=now + webhooks.pause_s(row.attempts)
        )
    )
    problem = await service.slowly(
        f"webhook {row.endpoint}", webhooks.post, webhook, row.id, int(now), row.payload.encode()
    )
    if not problem:
        await blocking(service.ledger.remove, row)
    elif row.attempts >= webhooks.MAX_ATTEMPTS:
        _log.error("webhook %s to %s was given up: %s", row.id, webhook.url, problem)
        await blocking(lambda: service.ledger.change(row, due=None))
    else:
        _log.info("webhook %s to %s failed, again later: %s", row.id, webhook.url, problem)


async def _remove_model(service: Service, row: ModelRow) -> None:
    """Remove what the job of a deleted model left at its backend, once no model that was tuned from it is left."""
    if await blocking(_is_needed, service, row):
        await blocking(lambda: service.ledger.change(row, due=service.now() + _AGAIN_S))
        return
    reference = ModelRef(row.ref)
    job = await blocking(service.ledger.find, JobRow, row.parent)
    if job is not None and job.run_id and not row.is_checkpoint:
        record = await blocking(service.store.get, job.run_id)
        try:
            await service.backend(reference.backend).delete_artifacts(record.job_id)
        except (NotFoundError, UnsupportedError):
            pass  # nothing is left, or nothing can be done
    await blocking(service.ledger.remove, row)


def _is_needed(service: Service, row: ModelRow) -> bool:
    """Whether a model that was tuned further from this one is there, or still to come: it may lie on top of it."""
    further = service.ledger.page(
        JobRow, tenant=row.tenant, limit=_ROWS_PER_LOOK, where=[field_is("request.model", row.id)]
    )
    return any(job.phase != "ended" or (job.model and not job.model_deleted) for job in further.rows)
