"""States that a backend may report of an accepted job: whatever it says, the job is never sent a second time."""

from __future__ import annotations

import pytest

from tunekit import FineTuneJob, JobState, StateChanged
from tunekit.backends import Snapshot
from tunekit.records import JobError, RunRecord
from tunekit.store import MemoryStore
from tunekit.testing import ScriptedBackend, tiny_dataset

SEEN_AS = {
    JobState.CREATED: JobState.QUEUED,
    JobState.SUBMITTING: JobState.QUEUED,
    JobState.UNKNOWN: JobState.RUNNING,
}


def submit(backend: ScriptedBackend, store: MemoryStore) -> FineTuneJob:
    return FineTuneJob.submit(tiny_dataset(), "scripted:base", backend=backend, store=store)


@pytest.mark.parametrize("find", [True, False])
@pytest.mark.parametrize("state", JobState)
def test_accepted_job_is_billed_once_whatever_its_state_is_called(state: JobState, find: bool) -> None:
    store = MemoryStore()
    backend = ScriptedBackend(script=[StateChanged(id="1", at=1.0, state=state)], find=find)
    first = submit(backend, store)
    assert first.snapshot().state is SEEN_AS.get(state, state)
    second = submit(backend, store)
    expected = 2 if state in (JobState.FAILED, JobState.CANCELLED) else 1
    assert (backend.counters.jobs, backend.counters.submits) == (expected, expected)
    assert store.get(first.run_id).state is SEEN_AS.get(state, state)
    assert (second.run_id == first.run_id) is (expected == 1)


@pytest.mark.parametrize("state", SEEN_AS)
def test_job_that_the_store_never_saw_is_read_alike(state: JobState) -> None:
    backend = ScriptedBackend(script=[StateChanged(id="1", at=1.0, state=state)])
    submit(backend, MemoryStore())
    job = FineTuneJob.attach("scripted:job-1", backend=backend, store=MemoryStore())
    assert job.snapshot().state is SEEN_AS[state]


@pytest.mark.parametrize("state", SEEN_AS)
def test_record_with_a_job_is_never_sent_again_whatever_state_it_was_left_in(state: JobState) -> None:
    class Unreachable(ScriptedBackend):
        async def snapshot(self, job_id: str) -> Snapshot:
            raise ConnectionRefusedError

    store, backend = MemoryStore(), Unreachable()
    job = submit(backend, store)
    stored: RunRecord = store.get(job.run_id)
    store.update(
        stored.model_copy(update={"state": state, "error": JobError(message="from an older version")})
    )
    assert submit(backend, store).ref == job.ref
    assert (backend.counters.jobs, backend.counters.finds) == (1, 0)
