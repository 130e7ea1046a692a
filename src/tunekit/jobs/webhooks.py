"""What follows from a webhook: the job that it is about is looked at. Knows jobs; not how a webhook is signed.

The look is the same as any other: it writes the same record, and whoever reads `job.events()` finds the backend's own
events there, in its order and with its ids. So there is no second source of truth to merge, and a webhook that is
lost, late or out of order costs nothing but time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from tunekit._settings import Settings
from tunekit.backends.base import Backend
from tunekit.jobs.job import FineTuneJob
from tunekit.refs import JobRef
from tunekit.store.base import RunStore
from tunekit.store.deliveries import Deliveries, SqliteDeliveries


class JobNews(Protocol):
    """What is needed of an event: a `tunekit.backends.openai.webhooks.WebhookEvent`, or another sender's."""

    @property
    def delivery_id(self) -> str:
        """Name of the message, the same for all its copies."""

    @property
    def job_id(self) -> str:
        """What the backend calls the job; empty if it is about something else."""


def refresh(
    event: JobNews,
    on_job: Callable[[FineTuneJob], object] | None = None,
    *,
    deliveries: Deliveries | None = None,
    backend: str | Backend = "openai",
    store: RunStore | None = None,
    settings: Settings | None = None,
) -> FineTuneJob | None:
    """Look at the job of a webhook, write down where it stands, and call `on_job` with it; once for each message.

    A message counts as handled when `on_job` has returned. If anything raises, answer with status 500, and the sender
    tries again: `on_job` is called at least once, and once only unless it failed or two copies came at the same moment.

    Args:
        event: What `tunekit.backends.openai.webhooks.receive` gave.
        on_job: What to do with the job after the look; `job.record.state` says where it stands.
        deliveries: Remembers what was handled; None is a file in the home of the settings.
        backend: Whose job it is, by name or as a configured instance.
        store: Where runs are remembered; None is the SQLite store of the settings.
        settings: Knobs of the host; None reads the environment.

    Returns:
        The job; None if the message was handled before, or is not about a job.

    Raises:
        NotFoundError: The backend does not know the job.
        BackendError: The backend cannot be asked.
        StorageError: What was handled cannot be read or written.
    """
    handled = deliveries or SqliteDeliveries(settings)
    if not event.job_id or handled.is_handled(event.delivery_id):
        return None
    name, given = _named(backend)
    ref = JobRef.of(name, event.job_id)
    job = FineTuneJob.attach(ref, backend=given, store=store, settings=settings)
    job.snapshot()
    if on_job is not None:
        on_job(job)
    handled.remember(event.delivery_id)
    return job


async def refresh_async(
    event: JobNews,
    on_job: Callable[[FineTuneJob], object] | None = None,
    *,
    deliveries: Deliveries | None = None,
    backend: str | Backend = "openai",
    store: RunStore | None = None,
    settings: Settings | None = None,
) -> FineTuneJob | None:
    """`refresh` for async code; `on_job` is called on the event loop, and awaited if it is a coroutine function."""
    handled = deliveries or SqliteDeliveries(settings)
    if not event.job_id or await asyncio.to_thread(handled.is_handled, event.delivery_id):
        return None
    name, given = _named(backend)
    ref = JobRef.of(name, event.job_id)
    job = await FineTuneJob.attach_async(ref, backend=given, store=store, settings=settings)
    await job.snapshot_async()
    if on_job is not None:
        answer = on_job(job)
        if asyncio.iscoroutine(answer):
            await answer
    await asyncio.to_thread(handled.remember, event.delivery_id)
    return job


def _named(backend: str | Backend) -> tuple[str, Backend | None]:
    return (backend, None) if isinstance(backend, str) else (backend.name, backend)
