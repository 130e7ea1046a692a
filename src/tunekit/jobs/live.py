"""One job that is followed. Knows backend and store and keeps them in step; not the public face."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeAlias, TypeVar

from tunekit import _portal
from tunekit.backends.base import EventPage, Snapshot
from tunekit.errors import BackendError, DeadlineError
from tunekit.events import JobEvent, JobState, Notice
from tunekit.jobs import outcome
from tunekit.jobs.desk import Desk
from tunekit.jobs.polling import FIRST_PAUSE_S, Deadline, until
from tunekit.jobs.refresh import lagging, look_at, refreshed
from tunekit.jobs.stream import EventStream
from tunekit.jobs.submission import reconcile
from tunekit.records import RunRecord
from tunekit.refs import JobRef

_log = logging.getLogger(__name__)

T = TypeVar("T")

OnEvent: TypeAlias = Callable[[JobEvent], object]


class LiveJob:
    """A job that is followed: its record where the store has one, and the backend's own id once that is known.

    Args:
        desk: Backend and store.
        job_id: What the backend calls the job; "" while nobody knows.
        record: What the store knows; None for a job that it never saw.
    """

    def __init__(self, desk: Desk, *, job_id: str = "", record: RunRecord | None = None) -> None:
        self.desk = desk
        self.job_id = job_id or (record.job_id if record else "")
        self.record = record
        self._strange = ""

    @property
    def ref(self) -> JobRef:
        """The backend's id where known, else the run's."""
        return JobRef.of(self.desk.name, self.job_id or (self.record.run_id if self.record else ""))

    async def settle(self) -> str:
        """The backend's id of the job, looked up once more if nobody knew it; "" if there is none (yet)."""
        if not self.job_id and self.record is not None:
            if self.record.is_unsettled:
                self.record = await _portal.shielded(reconcile(self.desk, self.record.run_id))
            self.job_id = self.record.job_id
        return self.job_id

    async def snapshot(self) -> Snapshot:
        """Where the job stands; what is new goes to the store."""
        job_id = await self.settle()
        if not job_id and self.record is not None:
            return outcome.snapshot_of(self.record)
        if self.record is None:
            return await look_at(self.desk, job_id)
        seen, self.record = await refreshed(self.desk, self.record)
        return seen

    async def look(self) -> Snapshot:
        """`snapshot` for those who wait: nothing comes of waiting for a job that may not exist.

        Raises:
            UnknownOutcomeError: Nobody knows whether the backend has the job.
        """
        seen = await self.snapshot()
        self._strange = outcome.strange_state(seen) if seen.unknown_state else ""
        if self.record is not None and not self.job_id and seen.state is JobState.UNKNOWN:
            raise outcome.unknown_outcome(self.record)
        return seen

    def events(self, cursor: str | None) -> EventStream:
        """A stream over the job's events."""
        return EventStream(
            self._read_page,
            self.look,
            clock=self.desk.clock,
            longest_pause_s=self._longest_pause_s,
            cursor=cursor,
        )

    async def heard(self) -> AsyncGenerator[JobEvent]:
        """The events for those who wait for the end: a log that cannot be read is told, and ends no wait."""
        try:
            async for event in self.events(None):
                yield event
        except BackendError as error:
            text = f"the events cannot be read, and are no longer waited for: {error.message}"
            yield Notice(id="", at=self.desk.clock.now(), message=text, level="warning")

    async def ended(self, on_event: OnEvent | None) -> Snapshot:
        """Wait for the end, telling of each event."""
        if on_event is not None:
            async for event in self.heard():
                tell(on_event, event)
        return await self._until(lambda seen: seen.state.is_terminal)

    async def accepted(self) -> str:
        """Wait until the backend's id is known; "" if it refused the job."""
        if await self.settle():
            return self.job_id
        return (await self._until(lambda seen: bool(seen.job_id) or seen.state.is_terminal)).job_id

    async def within(self, deadline: Deadline, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` comes to, unless the caller's patience ends first.

        Raises:
            DeadlineError: It has ended.
        """
        limit = asyncio.timeout(deadline.left_s)
        try:
            async with limit:
                return await work()
        except TimeoutError:
            if not limit.expired():
                raise
        raise DeadlineError(
            f"job {str(self.ref)!r} has not ended after {deadline.timeout_s!r} s"
            + (f"; {self._strange}" if self._strange else ""),
            hint="it goes on; wait again, or attach to it later",
            backend=self.ref.backend,
        )

    @property
    def _longest_pause_s(self) -> float:
        return max(FIRST_PAUSE_S, self.desk.backend.poll_interval_s)

    async def _until(self, done: Callable[[Snapshot], bool]) -> Snapshot:
        return await until(self.look, done, self.desk.clock, self._longest_pause_s)

    async def _read_page(self, cursor: str | None) -> EventPage:
        if not self.job_id:  # still being submitted; `look` finds out
            return EventPage(events=(), cursor=cursor)
        with lagging(self.desk, self.record):
            return await self.desk.backend.events(self.job_id, cursor)


def tell(on_event: OnEvent, event: JobEvent) -> None:
    """Call a listener; what it raises is logged, because its trouble is not the job's."""
    try:
        on_event(event)
    except Exception:
        _log.exception("on_event raised for event %r; the wait goes on", event.id)
