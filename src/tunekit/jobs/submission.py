"""Exactly-once submission: one `submit` makes at most one billable job, whatever fails.

Knows intents, leases and doubt; not what a job does. The order is: write the intent, take the lease, write
"submitting", make ONE call. Whatever leaves doubt is looked up by its key (`find`), again after growing delays because
listings lag; a match is adopted, a proven absence may be sent again, and anything else is shown as `unknown`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, TypeAlias, TypeVar

from tunekit._canonical import plain_facts
from tunekit.backends.base import LISTING_DELAYS_S, SubmitRequest
from tunekit.errors import (
    BackendError,
    ConflictError,
    DeadlineError,
    StaleLeaseError,
    StorageError,
    TunekitError,
    UnknownOutcomeError,
    UnsupportedError,
)
from tunekit.events import JobState
from tunekit.jobs.desk import GRACE_S, Desk
from tunekit.jobs.polling import pauses
from tunekit.jobs.refresh import confirmed
from tunekit.records import JobError, RunRecord
from tunekit.store.base import Lease

T = TypeVar("T")
_log = logging.getLogger(__name__)

MAX_POSTS = 3
BEAT_S = 10.0
RELEASE_AGAIN_S = 1.0


class _Standing(Enum):
    ABSENT = "every look answered: no such job"
    UNPROVEN = "the backend cannot say"


Found: TypeAlias = str | _Standing
"""What a look-up came to: the job's id, proven absence, or no proof."""


async def submit_once(desk: Desk, draft: RunRecord, request: SubmitRequest) -> RunRecord:
    """Submit the draft, or return the run that already stands for its key.

    Run this where no caller can cancel it (`_portal.shielded`).

    Raises:
        TunekitError: The backend refused for certain; the run is stored as failed.
    """
    record = await _claim(desk, draft)
    while record.is_unsettled:
        lease, record = await _turn(desk, record.run_id)
        if lease is None:
            break
        attempt = _Attempt(desk=desk, lease=lease, key=record.run_id)
        try:
            if record.is_unsettled:
                return await attempt.carry_out(record, replace(request, idempotency_key=record.run_id))
        except (StaleLeaseError, ConflictError) as error:
            _log.warning(
                "run %s was taken over while it was being submitted: %s", record.run_id, error.message
            )
            record = await asyncio.to_thread(desk.store.get, record.run_id)
        finally:
            await attempt.release()
    return record


async def reconcile(desk: Desk, run_id: str) -> RunRecord:
    """Look once more at a run whose fate is open. Never sends anything; adopts the job if the backend has it."""
    lease = await asyncio.to_thread(desk.store.acquire, _lease_name(run_id), ttl_s=desk.lease_s)
    record = await asyncio.to_thread(desk.store.get, run_id)
    if lease is None:
        return record  # its submitter is alive and at work
    attempt = _Attempt(desk=desk, lease=lease, key=run_id)
    try:
        return await attempt.look_again(record) if record.is_unsettled else record
    except (StaleLeaseError, ConflictError):
        return await asyncio.to_thread(desk.store.get, run_id)
    finally:
        await attempt.release()


async def _claim(desk: Desk, draft: RunRecord) -> RunRecord:
    """The run that stands for the draft's key. One that failed, or was lost, unseen is followed by a new attempt."""
    record, inserted = await asyncio.to_thread(desk.store.claim, draft)
    if inserted or not record.job_id:
        return record
    record = await confirmed(desk, record)
    if record.is_closed:
        record, _ = await asyncio.to_thread(desk.store.claim, draft)
    return record


async def _turn(desk: Desk, run_id: str) -> tuple[Lease | None, RunRecord]:
    """Wait for the right to submit, or until another live process has done it."""
    for pause in pauses(2.0, first_s=0.05):
        lease = await asyncio.to_thread(desk.store.acquire, _lease_name(run_id), ttl_s=desk.lease_s)
        record = await asyncio.to_thread(desk.store.get, run_id)
        if lease is not None or not record.is_unsettled or record.state is JobState.UNKNOWN:
            return lease, record
        await desk.clock.sleep(pause)
    raise AssertionError("pauses never end")


def _lease_name(run_id: str) -> str:
    return f"submit:{run_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """What the holder of the submission lease may do."""

    desk: Desk
    lease: Lease
    key: str

    async def carry_out(self, record: RunRecord, request: SubmitRequest) -> RunRecord:
        """Bring an unsettled run to a job, to a refusal, or to `unknown`."""
        fresh = record.state is JobState.CREATED
        standing: Found = _Standing.ABSENT if fresh else await self.look_up(LISTING_DELAYS_S)
        doubt: Exception | None = None
        for post in range(MAX_POSTS if fresh else MAX_POSTS - 1):
            if standing is not _Standing.ABSENT:
                break
            record = await self.write(record, state=JobState.SUBMITTING)
            reply = await self.post(request)
            if isinstance(reply, str):
                return await self.adopt(record, reply)
            certain = is_refusal(reply)
            if certain and fresh and post == 0:
                return await self.refuse(record, reply)
            # Even a clear refusal of a second call may be about the first one ("this key was used already").
            standing = await self.look_up(LISTING_DELAYS_S)
            if certain and standing is _Standing.ABSENT:
                return await self.refuse(record, reply)
            doubt = reply
        if isinstance(standing, str):
            return await self.adopt(record, standing)
        return await self.write(record, state=JobState.UNKNOWN, error=_doubt(doubt, record))

    async def look_again(self, record: RunRecord) -> RunRecord:
        """One look at an unsettled run that has no live submitter."""
        if record.state is JobState.CREATED:
            return await self.give_up(record)
        standing = await self.look_up((0.0,))
        if isinstance(standing, str):
            return await self.adopt(record, standing)
        if record.state is JobState.UNKNOWN:
            return record
        return await self.write(record, state=JobState.UNKNOWN, error=_doubt(None, record))

    async def give_up(self, record: RunRecord) -> RunRecord:
        """Close a run whose submitter stopped before it sent anything. A young one may still be about to."""
        if self.desk.clock.now() - record.updated_at < GRACE_S:
            return record
        error = JobError(
            message="the submitting process stopped before anything was sent",
            hint="submit the same spec and data again",
            retryable=True,
        )
        return await self.write(record, state=JobState.FAILED, error=error)

    async def post(self, request: SubmitRequest) -> str | Exception:
        """The one call that may cost money: the job's id, or the error that came instead."""
        await asyncio.to_thread(self.desk.store.heartbeat, self.lease)  # still ours? else stop here
        try:
            job_id = await self.bounded(self.desk.backend.submit(request))
        except Exception as error:
            _log.info("submit of run %s gave %r", self.key, error)
            return error
        return job_id or BackendError(
            "the backend answered with an empty job id",
            ambiguous=True,
            hint="this is a defect of the backend; look there for the job before you submit again",
        )

    async def look_up(self, delays_s: tuple[float, ...]) -> Found:
        """Ask for the job by its key, once per delay. Absence counts only if every look was answered."""
        backend = self.desk.backend
        if not backend.capabilities.supports("find"):
            return _Standing.UNPROVEN
        standing = _Standing.ABSENT
        for delay_s in delays_s:
            await self.desk.clock.sleep(delay_s)
            try:
                job_id = await self.bounded(backend.find(self.key))
            except UnsupportedError:
                return _Standing.UNPROVEN
            except Exception as error:
                _log.info("look-up of run %s gave %r", self.key, error)
                standing = _Standing.UNPROVEN
            else:
                if job_id:
                    return job_id
        return standing

    async def bounded(self, call: Coroutine[Any, Any, T]) -> T:
        """A backend call that ends by its deadline, with the lease kept alive meanwhile."""
        task = asyncio.ensure_future(call)
        # Real time on purpose: leases and remote services know no virtual clock.
        ends = asyncio.get_running_loop().time() + self.desk.timeout_s
        while (left_s := ends - asyncio.get_running_loop().time()) > 0:
            done, _ = await asyncio.wait({task}, timeout=min(left_s, BEAT_S))
            if done:
                break
            await self.beat()
        else:
            task.cancel()
            await asyncio.wait({task}, timeout=1.0)
        if not task.done() or task.cancelled():
            raise TimeoutError(
                f"backend {self.desk.backend.name!r} did not answer in {self.desk.timeout_s} s"
            )
        return task.result()

    async def beat(self) -> None:
        """Keep the lease. Losing it shows at the next write, which is fenced."""
        try:
            await asyncio.to_thread(self.desk.store.heartbeat, self.lease)
        except TunekitError as error:
            _log.warning("could not keep the lease of run %s: %s", self.key, error.message)

    async def adopt(self, record: RunRecord, job_id: str) -> RunRecord:
        """Record that the backend has the job."""
        try:
            return await self.write(record, state=JobState.QUEUED, job_id=job_id, error=None)
        except TunekitError as error:
            # Nothing is lost: the state is still "submitting", so the next submit looks the job up by its key.
            error.add_note(f"backend {self.desk.backend.name!r} has accepted the job as {job_id!r}")
            raise

    async def refuse(self, record: RunRecord, error: Exception) -> RunRecord:
        """Record a certain refusal and raise it."""
        try:
            await self.write(record, state=JobState.FAILED, error=_stored(error))
        except (StorageError, DeadlineError) as failure:
            # The same full disk, often. The state is still "submitting", which the next submit looks into.
            error.add_note(f"and run {self.key!r} could not be marked as failed: {failure.message}")
        raise error

    async def write(self, record: RunRecord, **changes: Any) -> RunRecord:
        """Store the changed record, fenced by the lease."""
        changes |= {"updated_at": self.desk.clock.now(), "lease_token": self.lease.token}
        changed = record.model_copy(update=changes)
        return await asyncio.to_thread(self.desk.store.update, changed, lease=self.lease)

    async def release(self) -> None:
        """Give the lease back. While a full disk has no room for that, keep trying behind the scenes: others wait."""
        if not await self._released():
            task = asyncio.create_task(self._keep_releasing())
            _releasing.add(task)  # a loop holds its tasks weakly
            task.add_done_callback(_releasing.discard)

    async def _keep_releasing(self) -> None:
        clock = self.desk.clock
        ends = clock.monotonic() + self.lease.ttl_s  # then it ends by itself
        while clock.monotonic() < ends and not await self._released():
            await clock.sleep(RELEASE_AGAIN_S)

    async def _released(self) -> bool:
        try:
            await asyncio.to_thread(self.desk.store.release, self.lease)
        except TunekitError as error:
            _log.info("could not release the lease of run %s: %s", self.key, error.message)
            return False
        return True


_releasing: set[asyncio.Task[None]] = set()


def is_refusal(error: Exception) -> bool:
    """Whether an error of `submit` says for certain that no job was made."""
    if not isinstance(error, TunekitError) or isinstance(error, TimeoutError):
        return False
    return not getattr(error, "ambiguous", False)


def _stored(error: Exception) -> JobError:
    if isinstance(error, TunekitError):
        return JobError(
            message=error.message,
            hint=error.hint,
            code=error.code,
            retryable=error.retryable,
            details=plain_facts(error.details),
        )
    return JobError(message=f"{type(error).__name__}: {error}")


def _doubt(error: Exception | None, record: RunRecord) -> JobError:
    """Why nobody knows, for the record."""
    if error is None and record.error is not None:
        return record.error
    cause = _stored(error).message if error else "the submitting process stopped before the answer came"
    return JobError(message=cause, code=UnknownOutcomeError.code)
