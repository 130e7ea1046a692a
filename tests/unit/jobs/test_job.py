"""`FineTuneJob` as a host uses it: results, attaching, listing, cancelling, waiting."""

from __future__ import annotations

import asyncio
import inspect
import logging
from dataclasses import replace

import pytest

from tests.unit.jobs.conftest import TARGET, submit
from tunekit import SFT, FineTuneJob, JobState, ModelRef, Settings, StateChanged, TuneSpec
from tunekit.backends import Failure, Snapshot
from tunekit.errors import (
    BackendError,
    DeadlineError,
    JobCancelledError,
    JobFailedError,
    NotFoundError,
    RefError,
    SpecError,
    StorageError,
    UnsupportedError,
)
from tunekit.jobs import outcome
from tunekit.records import RunRecord
from tunekit.store import Lease, MemoryStore, RunStore
from tunekit.testing import ScriptedBackend, tiny_dataset, training_script

ENDLESS = [StateChanged(id="1", at=1.0, state=JobState.RUNNING)]


# --- what it is -------------------------------------------------------------------------------------


def test_job_says_what_it_is(store: RunStore) -> None:
    spec = TuneSpec(method=SFT(), epochs=2)
    job = submit(ScriptedBackend(), store, spec=spec)
    assert (job.ref, job.target, job.spec) == ("scripted:job-1", TARGET, spec)
    assert (job.ref.backend, job.run_id.startswith("run-")) == ("scripted", True)
    assert repr(job) == "<FineTuneJob scripted:job-1 queued of scripted:base>"


@pytest.mark.parametrize(
    "verb",
    ["submit", "attach", "list", "snapshot", "wait", "result", "cancel", "pause", "resume", "artifact"],
)
def test_blocking_and_async_siblings_take_the_same(verb: str) -> None:
    blocking, sibling = getattr(FineTuneJob, verb), getattr(FineTuneJob, f"{verb}_async")
    assert inspect.signature(blocking) == inspect.signature(sibling)
    assert inspect.iscoroutinefunction(sibling)
    assert not inspect.iscoroutinefunction(blocking)


async def test_async_siblings_do_the_same(store: RunStore) -> None:
    backend = ScriptedBackend(events_per_poll=1)
    job = await FineTuneJob.submit_async(tiny_dataset(), TARGET, backend=backend, store=store)
    seen: list[str] = []
    assert (await job.wait_async(on_event=lambda event: seen.append(event.id))).state is JobState.SUCCEEDED
    assert seen == ["1", "2", "3", "4", "5", "6"]
    assert await job.result_async() == ModelRef("scripted:base-tuned-1")
    attached = await FineTuneJob.attach_async(job.ref, backend=backend, store=store)
    assert (await attached.snapshot_async()).model == "base-tuned-1"
    await attached.cancel_async()
    with pytest.raises(UnsupportedError, match="artifact"):
        await attached.artifact_async()
    assert [item.ref for item in await FineTuneJob.list_async(backend=backend, store=store)] == [job.ref]


# --- how it ends ------------------------------------------------------------------------------------


def test_result_is_a_model_reference(store: RunStore) -> None:
    result = submit(ScriptedBackend(events_per_poll=1), store).result()
    assert (type(result), result) == (ModelRef, "scripted:base-tuned-1")


def test_failure_says_why_and_what_to_do(store: RunStore) -> None:
    failure = Failure(
        message="loss is not finite at step 3",
        hint="lower the learning rate",
        retryable=True,
        code="not-finite",
        details={"step": 3, "cause": ValueError("nan")},
    )
    job = submit(ScriptedBackend(script=training_script(end=JobState.FAILED), failure=failure), store)
    with pytest.raises(JobFailedError) as caught:
        job.result()
    error = caught.value
    assert "loss is not finite at step 3" in error.message
    assert (error.hint, error.backend, error.retryable) == ("lower the learning rate", "scripted", True)
    assert (error.details["code"], error.details["step"]) == ("not-finite", 3)
    stored = store.get(job.run_id).error
    assert stored is not None
    assert (stored.message, stored.hint, stored.retryable) == (failure.message, failure.hint, True)
    assert (stored.code, stored.details) == ("not-finite", {"step": 3, "cause": "nan"})
    # What only the store knows says the same.
    assert outcome.snapshot_of(store.get(job.run_id)).failure == replace(failure, details=stored.details)


def test_artifact_is_where_the_backend_says(store: RunStore) -> None:
    backend = ScriptedBackend(events_per_poll=1, artifact="/models/{model}-{number}")
    job = submit(backend, store)
    with pytest.raises(NotFoundError, match="nothing"):
        job.artifact()
    job.result()
    assert job.artifact() == "/models/base-1"
    assert FineTuneJob.attach(job.ref, backend=backend, store=store).artifact() == "/models/base-1"


def test_refused_job_has_no_artifact(store: RunStore) -> None:
    backend = ScriptedBackend(faults=["refuse"], artifact="/models/{number}")
    with pytest.raises(BackendError):
        submit(backend, store)
    (job,) = FineTuneJob.list(backend=backend, store=store)
    with pytest.raises(NotFoundError, match="never accepted") as caught:
        job.artifact()
    assert "failure" in caught.value.hint


def test_wait_returns_whatever_the_end_was(store: RunStore) -> None:
    job = submit(ScriptedBackend(script=training_script(end=JobState.FAILED)), store)
    assert job.wait().state is JobState.FAILED


def test_success_without_a_model_is_the_backends_fault(store: RunStore) -> None:
    with pytest.raises(BackendError, match="names no model"):
        submit(ScriptedBackend(model=""), store).result()


def test_end_is_written_to_the_store_and_outlives_the_backend(store: RunStore) -> None:
    class Forgetful(ScriptedBackend):
        gone = False

        async def snapshot(self, job_id: str) -> Snapshot:
            if self.gone:
                raise NotFoundError("no such job")
            return await super().snapshot(job_id)

    backend = Forgetful()
    job = submit(backend, store)
    job.result()
    record = store.get(job.run_id)
    assert (record.state, record.tuned_model) == (JobState.SUCCEEDED, "base-tuned-1")
    backend.gone = True
    assert job.result() == "scripted:base-tuned-1"
    assert FineTuneJob.attach(job.ref, backend=backend, store=store).result() == "scripted:base-tuned-1"


def test_job_that_the_backend_lost_before_its_end_is_an_error(store: RunStore) -> None:
    class Lost(ScriptedBackend):
        async def snapshot(self, job_id: str) -> Snapshot:
            raise NotFoundError("no such job")

    with pytest.raises(NotFoundError):
        submit(Lost(), store).result()


def test_stored_end_is_never_taken_back(store: RunStore) -> None:
    class Wavering(ScriptedBackend):
        async def snapshot(self, job_id: str) -> Snapshot:
            seen = await super().snapshot(job_id)
            return seen if self.counters.polls == 1 else Snapshot(job_id=job_id, state=JobState.RUNNING)

    job = submit(Wavering(), store)
    job.snapshot()
    job.snapshot()
    assert store.get(job.run_id).state is JobState.SUCCEEDED


def test_full_disk_does_not_hide_the_result(caplog: pytest.LogCaptureFixture) -> None:
    class FillsUp(MemoryStore):
        def update(self, record: RunRecord, *, lease: Lease | None = None) -> RunRecord:
            if lease is None:
                raise StorageError("No space left on device")
            return super().update(record, lease=lease)

    assert submit(ScriptedBackend(), FillsUp()).result() == "scripted:base-tuned-1"
    assert "No space left on device" in caplog.text


def test_losing_the_race_to_write_the_end_is_fine(store: RunStore) -> None:
    backend = ScriptedBackend()
    first = submit(backend, store)
    second = FineTuneJob.attach(first.ref, backend=backend, store=store)
    assert first.wait().state is second.wait().state is JobState.SUCCEEDED
    assert second.record == store.get(first.run_id)


# --- attach and list --------------------------------------------------------------------------------


def test_attach_takes_the_backends_id_and_the_run_id(store: RunStore) -> None:
    backend = ScriptedBackend()
    job = submit(backend, store)
    for ref in (job.ref, str(job.ref), f"scripted:{job.run_id}"):
        attached = FineTuneJob.attach(ref, backend=backend, store=store)
        assert (attached.ref, attached.run_id, attached.record) == (job.ref, job.run_id, job.record)


def test_attach_works_without_a_record_and_writes_none(store: RunStore) -> None:
    backend = ScriptedBackend(events_per_poll=1)
    ref = submit(backend, MemoryStore()).ref
    job = FineTuneJob.attach(ref, backend=backend, store=store)
    assert (job.record, job.run_id, job.target, job.spec) == (None, "", None, None)
    assert repr(job) == "<FineTuneJob scripted:job-1>"
    assert [event.id for event in job.events()] == ["1", "2", "3", "4", "5", "6"]
    assert job.result() == "scripted:base-tuned-1"
    job.cancel()
    assert store.list() == []


def test_attach_to_nothing_is_not_found(store: RunStore) -> None:
    with pytest.raises(NotFoundError, match="job-7"):
        FineTuneJob.attach("scripted:job-7", backend=ScriptedBackend(), store=store)


def test_attach_needs_a_reference_and_the_right_backend(store: RunStore) -> None:
    with pytest.raises(RefError):
        FineTuneJob.attach("job-1", backend=ScriptedBackend(), store=store)
    with pytest.raises(SpecError, match="'scripted', but 'acme' was asked for"):
        FineTuneJob.attach("acme:job-1", backend=ScriptedBackend(), store=store)


def test_run_of_another_backend_is_not_attached_by_its_run_id(store: RunStore) -> None:
    run_id = submit(ScriptedBackend(), store).run_id
    with pytest.raises(NotFoundError):
        FineTuneJob.attach(f"acme:{run_id}", backend=ScriptedBackend(name="acme"), store=store)


def test_list_is_newest_first_filtered_and_asks_no_backend(store: RunStore) -> None:
    backend = ScriptedBackend(events_per_poll=1)
    jobs = [submit(backend, store, spec=TuneSpec(seed=seed)) for seed in range(3)]
    other = FineTuneJob.submit(tiny_dataset(), "acme:base", backend=ScriptedBackend(name="acme"), store=store)
    jobs[0].wait()
    polls = backend.counters.polls
    assert [job.run_id for job in FineTuneJob.list(store=store)] == [
        job.run_id for job in [other, *reversed(jobs)]
    ]
    assert [job.run_id for job in FineTuneJob.list(store=store, limit=1)] == [other.run_id]
    assert [job.run_id for job in FineTuneJob.list(store=store, backend="acme")] == [other.run_id]
    done = FineTuneJob.list(store=store, backend=backend, states=[JobState.SUCCEEDED])
    assert [job.run_id for job in done] == [jobs[0].run_id]
    assert backend.counters.polls == polls
    assert done[0].result() == jobs[0].result()


def test_listing_needs_no_installed_backend_until_a_job_is_asked(store: RunStore) -> None:
    submit(ScriptedBackend(), store)
    (job,) = FineTuneJob.list(store=store)
    assert job.ref == "scripted:job-1"
    with pytest.raises(NotFoundError, match="no backend 'scripted' is installed"):
        job.snapshot()


# --- cancel -----------------------------------------------------------------------------------------


def test_cancelled_job_ends_as_cancelled(store: RunStore) -> None:
    backend = ScriptedBackend(script=ENDLESS)
    job = submit(backend, store)
    job.cancel()
    with pytest.raises(JobCancelledError, match="job-1"):
        job.result()
    assert store.get(job.run_id).state is JobState.CANCELLED
    assert submit(backend, store).run_id == f"{job.run_id}-2"


def test_cancel_leaves_a_finished_job_as_it_is(store: RunStore) -> None:
    job = submit(ScriptedBackend(), store)
    job.wait()
    job.cancel()
    assert job.result() == "scripted:base-tuned-1"


def test_backend_that_cannot_cancel_says_so(store: RunStore) -> None:
    job = submit(ScriptedBackend(cancellable=False), store)
    with pytest.raises(UnsupportedError, match="cannot cancel"):
        job.cancel()


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_backend_that_cannot_pause_refuses(store: RunStore, verb: str) -> None:
    job = submit(ScriptedBackend(), store)
    with pytest.raises(UnsupportedError, match=f"cannot {verb}"):
        getattr(job, verb)()
    assert job.snapshot().state is not JobState.PAUSED


# --- waiting ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("listen", [True, False])
@pytest.mark.parametrize("in_async", [True, False])
def test_deadline_is_the_callers_and_not_the_jobs(store: RunStore, listen: bool, in_async: bool) -> None:
    backend = ScriptedBackend(script=ENDLESS)
    job = submit(backend, store)
    on_event = (lambda event: None) if listen else None
    wait = (lambda *options: asyncio.run(job.wait_async(*options))) if in_async else job.wait
    with pytest.raises(DeadlineError, match=r"has not ended after 0\.05 s"):
        wait(0.05, on_event)
    with pytest.raises(DeadlineError):
        job.result(timeout_s=0)
    assert (job.snapshot().state, backend.counters.cancels) == (JobState.RUNNING, 0)


def test_hung_backend_cannot_hold_a_deadline(store: RunStore) -> None:
    class Hung(ScriptedBackend):
        async def snapshot(self, job_id: str) -> Snapshot:
            return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    job = submit(Hung(), store)
    with pytest.raises(DeadlineError):
        job.wait(timeout_s=0.05)


def test_timeout_of_the_backend_is_not_mistaken_for_the_deadline(store: RunStore) -> None:
    class Late(ScriptedBackend):
        async def snapshot(self, job_id: str) -> Snapshot:
            raise TimeoutError("the service is slow")

    with pytest.raises(TimeoutError, match="the service is slow"):
        submit(Late(), store).wait(timeout_s=60)  # virtual time: its patience of minutes passes at once


@pytest.mark.parametrize("in_async", [True, False])
def test_raising_listener_is_logged_and_never_stops_the_wait(
    store: RunStore, caplog: pytest.LogCaptureFixture, in_async: bool
) -> None:
    job = submit(ScriptedBackend(), store)
    seen: list[str] = []

    def listener(event: object) -> None:
        seen.append(event.id)  # type: ignore[attr-defined]
        raise ZeroDivisionError("a bug in the host")

    with caplog.at_level(logging.ERROR, logger="tunekit"):
        ended = asyncio.run(job.wait_async(None, listener)) if in_async else job.wait(on_event=listener)
    assert (ended.state, len(seen)) == (JobState.SUCCEEDED, 6)
    assert caplog.text.count("ZeroDivisionError: a bug in the host") == 6


def test_listener_may_make_blocking_calls(store: RunStore) -> None:
    job = submit(ScriptedBackend(script=training_script(steps=50), events_per_poll=1), store)
    # Early stopping: what a host most wants to do while it watches.
    ended = job.wait(on_event=lambda event: job.cancel() if event.type == "step" else None)
    assert ended.state is JobState.CANCELLED


def test_polling_is_bounded_by_the_backends_interval(store: RunStore) -> None:
    backend = ScriptedBackend(script=training_script(steps=60), events_per_poll=1)
    submit(backend, store).wait()
    assert max(backend.clock.sleeps) == backend.poll_interval_s  # type: ignore[attr-defined]


# --- defaults ---------------------------------------------------------------------------------------


def test_default_store_is_the_one_of_the_settings(home: object) -> None:
    backend = ScriptedBackend()
    job = FineTuneJob.submit(tiny_dataset(), TARGET, backend=backend)
    assert Settings().store.is_file()
    assert FineTuneJob.attach(job.ref, backend=backend).run_id == job.run_id
    assert [item.run_id for item in FineTuneJob.list()] == [job.run_id]


def test_unknown_backend_names_what_is_installed(store: RunStore) -> None:
    with pytest.raises(NotFoundError, match="no backend 'nowhere' is installed"):
        FineTuneJob.submit(tiny_dataset(), "nowhere:model", store=store)
    assert store.list() == []
