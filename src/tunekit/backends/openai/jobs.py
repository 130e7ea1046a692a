"""The calls about jobs. Knows paths and what may be made again; not our words for any of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunekit.backends.openai import listing, wire
from tunekit.backends.openai.remote import RemoteCheckpoint, RemoteJob
from tunekit.backends.openai.translate import RUN_KEY, state_of
from tunekit.backends.openai.transport import Call, Query, Safety, Transport
from tunekit.errors import BackendError
from tunekit.events import JobState

_log = logging.getLogger(__name__)

PATH = "/fine_tuning/jobs"
CHECKPOINTS_PER_PAGE = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """The fine-tuning jobs of an account.

    Attributes:
        transport: Carries the calls.
    """

    transport: Transport

    async def create(self, body: Mapping[str, Any]) -> str:
        """Start a job and give its id. Made once: a second one would be a second bill.

        Raises:
            BackendError: The host refused; `ambiguous` where there may be a job all the same.
            DeadlineError: No answer came; there may be a job all the same.
        """
        reply = await self.transport.send(Call(method="POST", path=PATH, safety=Safety.ONCE, body=body))
        return wire.made(reply.json(), "a job")

    async def of(self, job_id: str) -> RemoteJob:
        """Where a job stands.

        Raises:
            NotFoundError: The host does not know it.
            BackendError: It answers for another job.
        """
        found = wire.job((await self.transport.send(self._call("GET", job_id, Safety.READ))).json())
        if found.id != job_id:
            raise BackendError(
                f"asked for job {job_id!r}, the host answers for {found.id!r}",
                hint="check the proxy before it; a cache there may mix up its answers",
                retryable=True,
            )
        return found

    async def tagged(self, key: str) -> list[RemoteJob]:
        """Jobs with this tag, where the host can look for it."""
        query: Query = ((f"metadata[{RUN_KEY}]", key),)
        found = await listing.everything(self.transport, PATH, wire.job, query=query)
        # A host that passes the filter over lists all there are.
        return [job for job in found if job.metadata.get(RUN_KEY) == key]

    async def all(self) -> list[RemoteJob]:
        """Every job of the account."""
        return await listing.everything(self.transport, PATH, wire.job)

    async def turn(self, job_id: str, verb: str, *, pointless: Sequence[JobState]) -> None:
        """Cancel, pause or resume a job. One that has ended, or that it says nothing to, is left as it is.

        Args:
            job_id: The job.
            verb: "cancel", "pause" or "resume".
            pointless: States in which there is nothing to do, beside those of an end.
        """
        try:
            await self.transport.send(self._call("POST", job_id, Safety.REPEATABLE, f"/{verb}"))
        except BackendError:
            state = state_of(await self.of(job_id))
            if not state.is_terminal and state not in pointless:
                raise

    async def checkpoints(self, job_id: str) -> list[RemoteCheckpoint]:
        """Models saved along the way, oldest first."""
        path = f"{PATH}/{wire.quoted(job_id)}/checkpoints"
        found = await listing.everything(self.transport, path, wire.checkpoint, size=CHECKPOINTS_PER_PAGE)
        return sorted(found, key=lambda item: (item.step, item.created_at))

    def events_path(self, job_id: str) -> str:
        """Where a job's events are listed."""
        return f"{PATH}/{wire.quoted(job_id)}/events"

    def _call(self, method: str, job_id: str, safety: Safety, below: str = "") -> Call:
        return Call(method=method, path=f"{PATH}/{wire.quoted(job_id)}{below}", safety=safety)


def oldest_live(jobs: Sequence[RemoteJob], tag: str) -> RemoteJob | None:
    """Of jobs with one tag, the one to go by: the first that has not come to nothing, else the first."""
    ordered = sorted(jobs, key=lambda job: (job.created_at, job.id))
    if len(ordered) > 1:
        _log.warning("%d jobs have the key %s: %s", len(jobs), tag, ", ".join(job.id for job in ordered))
    ended = (JobState.FAILED, JobState.CANCELLED)
    return next((job for job in ordered if state_of(job) not in ended), ordered[0] if ordered else None)
