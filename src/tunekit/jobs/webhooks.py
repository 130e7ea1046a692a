"""What follows from a webhook: the job that it is about is looked at. Knows jobs; not how a webhook is signed.

The look is the same as any other: it writes the same record, and whoever reads `job.events()` finds the backend's own
events there, in its order and with its ids. So there is no second source of truth to merge, and a webhook that is
lost, late or out of order costs nothing but time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from tunekit import _portal
from tunekit._settings import Settings
from tunekit.backends.base import Backend
from tunekit.errors import BackendError
from tunekit.events import JobState
from tunekit.jobs.job import FineTuneJob
from tunekit.refs import JobRef
from tunekit.store.base import RunStore
from tunekit.store.deliveries import Deliveries, SqliteDeliveries

_DELAYS_S = (1.0, 3.0)
"""Before each further look. The sender waits for the answer, so not as long as a submission would be waited for."""


class JobNews(Protocol):
    """What is needed of an event: a `tunekit.backends.openai.webhooks.WebhookEvent`, or another sender's."""

    @property
    def delivery_id(self) -> str:
        """Name of the message, the same for all its copies."""

    @property
    def job_id(self) -> str:
        """What the backend calls the job; empty if it is about something else."""

    @property
    def claimed_state(self) -> JobState | None:
        """Where the sender says that the job stands, if it says so."""


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
        BackendError: The backend cannot be asked; or it shows a job that has ended, by the message, as going on.
        StorageError: What was handled cannot be read or written.
    """
    handled = deliveries or SqliteDeliveries(settings)
    if not event.job_id or handled.is_handled(event.delivery_id):
        return None
    ref, given = _about(event, backend)
    job = FineTuneJob.attach(ref, backend=given, store=store, settings=settings)
    _portal.run(_look(job, event), instead="refresh_async")
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
    ref, given = _about(event, backend)
    job = await FineTuneJob.attach_async(ref, backend=given, store=store, settings=settings)
    await _look(job, event)
    if on_job is not None:
        answer = on_job(job)
        if asyncio.iscoroutine(answer):
            await answer
    await asyncio.to_thread(handled.remember, event.delivery_id)
    return job


async def _look(job: FineTuneJob, event: JobNews) -> None:
    """Look until what is seen is no older than the message: a service may announce an end before it shows it."""
    seen = await job.snapshot_async()
    if event.claimed_state is None or not event.claimed_state.is_terminal:
        return
    for delay_s in _DELAYS_S:
        if not seen.state.is_terminal:
            await job._live.desk.clock.sleep(delay_s)
            seen = await job.snapshot_async()
    if seen.state.is_terminal:
        return
    raise BackendError(
        f"a webhook says that job {str(job.ref)!r} is {event.claimed_state}, and its backend still shows it as"
        f" {seen.state}",
        hint="answer the webhook with status 500: its sender tries again later",
        backend=job.ref.backend,
        retryable=True,
    )


def _about(event: JobNews, backend: str | Backend) -> tuple[JobRef, Backend | None]:
    """The job that it is about, and the backend if it was given as such."""
    if isinstance(backend, str):
        return JobRef.of(backend, event.job_id), None
    return JobRef.of(backend.name, event.job_id), backend
