"""Runs whose submitter is somewhere else: alive and busy, or dead. What each look at them does, and does not do."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.unit.jobs.conftest import TARGET, submit
from tunekit import FineTuneJob, JobState, Settings, TuneSpec
from tunekit.backends import SubmitRequest
from tunekit.backends.base import LISTING_DELAYS_S
from tunekit.errors import JobFailedError, StaleLeaseError
from tunekit.jobs import submission
from tunekit.jobs.desk import GRACE_S
from tunekit.records import RunRecord
from tunekit.store import Lease, MemoryStore
from tunekit.testing import FakeClock, Fault, ScriptedBackend

LONG_AGO = GRACE_S + 1


def abandoned(store: MemoryStore, state: JobState, clock: FakeClock) -> RunRecord:
    """What a submitter leaves that died in this state: a record, and no lease."""
    record, _ = store.claim(
        RunRecord(
            run_id="run-abandoned",
            key="k" * 64,
            backend="scripted",
            model="base",
            spec=TuneSpec().model_dump(mode="json"),
            train_fingerprint="f" * 64,
            state=state,
            created_at=clock.now(),
            updated_at=clock.now(),
        )
    )
    return record


def attach(store: MemoryStore, backend: ScriptedBackend) -> FineTuneJob:
    return FineTuneJob.attach("scripted:run-abandoned", backend=backend, store=store)


def test_intent_that_was_never_sent_fails_once_it_is_old() -> None:
    store, clock = MemoryStore(), FakeClock()
    abandoned(store, JobState.CREATED, clock)
    backend = ScriptedBackend(clock=clock)
    job = attach(store, backend)
    assert job.snapshot().state is JobState.CREATED, "its submitter may still be about to send it"
    clock.advance(LONG_AGO)
    with pytest.raises(JobFailedError, match="before anything was sent") as caught:
        job.result()
    assert (caught.value.retryable, caught.value.hint) == (True, "submit the same spec and data again")
    assert backend.counters.submits == backend.counters.finds == 0


def test_waiting_for_an_abandoned_intent_ends() -> None:
    store, clock = MemoryStore(), FakeClock()
    abandoned(store, JobState.CREATED, clock)
    assert attach(store, ScriptedBackend(clock=clock)).wait().state is JobState.FAILED
    assert clock.monotonic() >= GRACE_S


@pytest.mark.parametrize("find", [True, False])
def test_submission_that_stopped_half_way_is_unknown_and_nothing_is_sent(find: bool) -> None:
    store, clock = MemoryStore(), FakeClock()
    abandoned(store, JobState.SUBMITTING, clock)
    backend = ScriptedBackend(clock=clock, find=find)
    job = attach(store, backend)
    assert job.snapshot().state is store.get("run-abandoned").state is JobState.UNKNOWN
    assert job.record is not None and job.record.error is not None
    assert "stopped before the answer came" in job.record.error.message
    assert backend.counters.submits == 0


def test_looks_leave_a_live_submitter_alone() -> None:
    store = MemoryStore()
    answering = threading.Event()

    class Slow(ScriptedBackend):
        async def submit(self, request: SubmitRequest) -> str:
            job_id = await super().submit(request)
            await asyncio.to_thread(answering.wait, 30)
            return job_id

    accepted = threading.Event()
    backend = Slow(on_accept=lambda job_id: accepted.set(), script=[])
    settings = Settings(submit_timeout_s=30)
    submitter = threading.Thread(target=lambda: submit(backend, store, settings=settings))
    submitter.start()
    assert accepted.wait(30)
    (onlooker,) = FineTuneJob.list(backend=backend, store=store)
    assert onlooker.snapshot().state is JobState.SUBMITTING
    assert backend.counters.finds == 0
    canceller = threading.Thread(target=onlooker.cancel)  # waits until there is something to cancel
    canceller.start()
    answering.set()
    submitter.join(30)
    canceller.join(30)
    assert onlooker.ref == "scripted:job-1"
    assert (onlooker.wait().state, backend.counters.jobs) == (JobState.CANCELLED, 1)


def test_refused_run_has_nothing_to_cancel() -> None:
    store, backend = MemoryStore(), ScriptedBackend(faults=[Fault.REFUSE])
    with pytest.raises(Exception, match="refuses"):
        submit(backend, store)
    (job,) = FineTuneJob.list(backend=backend, store=store)
    job.cancel()
    assert list(job.events()) == []
    with pytest.raises(JobFailedError, match="refuses"):
        job.result()
    assert (backend.counters.cancels, job.target) == (0, TARGET)


def test_holder_that_was_overtaken_stops_before_its_call() -> None:
    now = [1000.0]

    class Overtaken(MemoryStore):
        """Between writing "submitting" and the call, the process sleeps, and another one has its turn."""

        slept = False

        def update(self, record: RunRecord, *, lease: Lease | None = None) -> RunRecord:
            stored = super().update(record, lease=lease)
            if lease is not None and not self.slept:
                self.slept = True
                now[0] += 3600
                other = self.acquire(lease.name, ttl_s=30)
                assert other is not None
                self.release(other)
            return stored

    backend = ScriptedBackend()
    assert submit(backend, Overtaken(boottime=lambda: now[0])).ref == "scripted:job-1"
    # Had it gone on, its call would have come first and the first look would have found the job.
    assert (backend.counters.finds, backend.counters.jobs) == (len(LISTING_DELAYS_S), 1)


@pytest.mark.parametrize("lost", [False, True])
def test_lease_is_kept_while_the_service_thinks(monkeypatch: pytest.MonkeyPatch, lost: bool) -> None:
    monkeypatch.setattr(submission, "BEAT_S", 0.001)
    enough = threading.Event()

    class Counting(MemoryStore):
        beats = 0

        def heartbeat(self, lease: Lease) -> None:
            self.beats += 1
            if self.beats > 5:
                enough.set()
            if lost and self.beats > 1:
                raise StaleLeaseError("gone")  # only a write may decide that; the call is on its way
            super().heartbeat(lease)

    class Slow(ScriptedBackend):
        async def submit(self, request: SubmitRequest) -> str:
            await asyncio.to_thread(enough.wait, 30)
            return await super().submit(request)

    backend, store = Slow(), Counting()
    assert submit(backend, store, settings=Settings(submit_timeout_s=30)).ref == "scripted:job-1"
    assert store.beats > 5
