"""Runs whose submitter is somewhere else: alive and busy, or dead. What each look at them does, and does not do."""

from __future__ import annotations

import threading

import pytest

from tests.unit.jobs.conftest import TARGET, submit
from tunekit import FineTuneJob, JobState, Settings, TuneSpec
from tunekit.errors import JobFailedError
from tunekit.jobs.desk import GRACE_S
from tunekit.records import RunRecord
from tunekit.store import MemoryStore
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
        async def submit(self, request):  # type: ignore[no-untyped-def]
            import asyncio

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
