"""A backend whose submissions are apart from everybody else's. Knows who asks; leaves all work to the real backend.

Two tenants may send the same data for the same model. Their runs must not be one: either could delete it, and each
would learn that the other has it. So the base model's identity has the name of the server's job in it, and with that
the key of the run.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tunekit.backends.base import Backend, EventPage, Snapshot, SubmitRequest


class Apart(Backend):
    """A backend as the submission of one job sees it.

    Args:
        inner: Who does the work.
        job_id: The server's name for the job.
        announce: Told the run's id right before that is sent. What it raises stops the submission.
    """

    def __init__(self, inner: Backend, job_id: str, announce: Callable[[str], Awaitable[object]]) -> None:
        self._inner, self._job_id, self._announce = inner, job_id, announce
        self.clock = inner.clock
        # Claims are of a class; here they are those of another one.
        self.__dict__.update(
            name=inner.name, capabilities=inner.capabilities, poll_interval_s=inner.poll_interval_s
        )

    async def identify(self, model: str) -> str:
        """The base model's content, and for which job."""
        return f"{self._job_id}:{await self._inner.identify(model)}"

    async def submit(self, request: SubmitRequest) -> str:
        """Say which run it is, then start it."""
        await self._announce(request.idempotency_key)
        return await self._inner.submit(request)

    async def snapshot(self, job_id: str) -> Snapshot:
        """Where the job stands."""
        return await self._inner.snapshot(job_id)

    async def events(self, job_id: str, cursor: str | None) -> EventPage:
        """Its events."""
        return await self._inner.events(job_id, cursor)

    async def find(self, idempotency_key: str) -> str | None:
        """The job of a key."""
        return await self._inner.find(idempotency_key)
