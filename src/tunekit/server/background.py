"""The server's work between requests, for as long as it runs. Knows what is due; not how jobs are followed.

It begins with the application's lifespan, or where a host mounts the application and runs no lifespan of it, with the
first request. Everything that it does is written down before and after, so ending it at any moment loses nothing.
"""

from __future__ import annotations

import asyncio
import logging

from tunekit.errors import ConflictError, NotFoundError, TunekitError, UnsupportedError
from tunekit.refs import ModelRef
from tunekit.server import files, following, webhooks
from tunekit.server.ledger import field_is
from tunekit.server.rows import DeliveryRow, FileRow, JobRow, ModelRow, PartRow, Row, UploadRow
from tunekit.server.service import Service, blocking

_log = logging.getLogger(__name__)

_PAUSE_S = 0.25
_ROWS_PER_LOOK = 512
_HAND_IN_AT_ONCE = 4
"""Jobs whose files are read at once: a large one takes gigabytes."""
_SWEEP_S = 3600.0
_AGAIN_S = 60.0


class Background:
    """One task that looks for what is due, and one for each thing that is.

    Args:
        service: What it works with.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._handing_in: set[str] = set()
        self._nudge = asyncio.Event()

    def ensure_running(self) -> None:
        """Begin, if nothing runs on this event loop yet."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop or self._main is None or self._main.done():
            self._loop, self._nudge = loop, asyncio.Event()
            self._busy, self._handing_in = {}, set()
            self._main = loop.create_task(self._run())

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
        swept_at = 0.0
        while True:
            self._nudge.clear()
            try:
                await self._start_due()
                if self._service.now() - swept_at > _SWEEP_S:
                    swept_at = self._service.now()
                    await blocking(self._sweep)
            except TunekitError as error:
                _log.warning("cannot look for what is due: %s", error)
            try:
                async with asyncio.timeout(_PAUSE_S):
                    await self._nudge.wait()
            except TimeoutError:
                pass

    async def _start_due(self) -> None:
        for row in await blocking(self._service.ledger.due, self._service.now(), limit=_ROWS_PER_LOOK):
            if row.id not in self._busy and self._has_turn(row):
                self._busy[row.id] = asyncio.create_task(self._attend(row))

    def _has_turn(self, row: Row) -> bool:
        """Whether there is room for this one now; of jobs to be handed in there is for a few."""
        if not isinstance(row, JobRow) or row.phase != "validating":
            return True
        if len(self._handing_in) >= _HAND_IN_AT_ONCE:
            return False
        self._handing_in.add(row.id)
        return True

    async def _attend(self, row: Row) -> None:
        try:
            await attend(self._service, row)
            self._nudge.set()  # what comes next may be due at once
        except ConflictError:
            pass  # another process was faster
        except Exception as error:
            _log.warning("could not attend to %s %s: %r", row.kind, row.id, error)
            await self._put_off(row)
        finally:
            self._busy.pop(row.id, None)
            self._handing_in.discard(row.id)

    async def _put_off(self, row: Row) -> None:
        try:
            await blocking(lambda: self._service.ledger.change(row, due=self._service.now() + _AGAIN_S))
        except TunekitError:
            pass  # it is due again at once, then

    def _sweep(self) -> None:
        """Remove bytes that no row knows."""
        ledger, disk = self._service.ledger, self._service.disk
        for name in disk.strangers(
            lambda name: bool(ledger.find(FileRow, name) or ledger.find(PartRow, name))
        ):
            disk.remove(name)


async def attend(service: Service, row: Row) -> None:
    """Do what is due about one row.

    Raises:
        ConflictError: Another process was faster.
    """
    match row:
        case JobRow():
            await following.follow(service, row)
        case DeliveryRow():
            await _deliver(service, row)
        case FileRow():
            await blocking(files.forget, service, row)
        case UploadRow():
            await service.slowly(expire, service, row)
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
    problem = await service.slowly(webhooks.post, webhook, row.id, int(now), row.payload.encode())
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
