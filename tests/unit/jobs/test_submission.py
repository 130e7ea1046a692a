"""Exactly once: whatever the service does to a submission, there is at most one job, and its state is honest."""

from __future__ import annotations

import pytest

from tests.unit.jobs.conftest import TARGET, submit
from tunekit import FineTuneJob, JobState, Settings, TuneSpec
from tunekit.backends import SubmitRequest
from tunekit.backends.base import LISTING_DELAYS_S
from tunekit.errors import BackendError, DeadlineError, PreflightError, StorageError, UnknownOutcomeError
from tunekit.jobs.submission import is_refusal
from tunekit.records import RunRecord
from tunekit.store import Lease, MemoryStore, RunStore
from tunekit.testing import FakeClock, Fault, ScriptedBackend, tiny_dataset, training_script

LEAVES_A_JOB = (Fault.LOSE_REPLY, Fault.FAIL_AFTER_ACCEPT, Fault.NEVER_ANSWERS, Fault.LATE_REPLY)
NO_ANSWER_IN_TIME_S = 60.0


# --- every fault, with and without a way to look the job up -----------------------------------------


@pytest.mark.parametrize("fault", LEAVES_A_JOB)
def test_accepted_job_is_found_again_by_its_key(store: RunStore, fault: Fault) -> None:
    backend = ScriptedBackend(faults=[fault], reply_delay_s=NO_ANSWER_IN_TIME_S)
    job = submit(backend, store)
    assert (backend.counters.submits, backend.counters.jobs) == (1, 1)
    assert job.ref == "scripted:job-1"
    assert job.record == store.get(job.run_id)
    assert job.record.state is JobState.QUEUED
    assert job.result() == "scripted:base-tuned-1"


@pytest.mark.parametrize("fault", [*LEAVES_A_JOB, Fault.LOSE_REQUEST])
def test_without_a_look_up_the_outcome_is_unknown_and_nothing_is_sent_again(
    store: RunStore, fault: Fault
) -> None:
    backend = ScriptedBackend(faults=[fault], find=False, reply_delay_s=NO_ANSWER_IN_TIME_S)
    job = submit(backend, store)
    assert backend.counters.submits == 1
    assert store.get(job.run_id).state is JobState.UNKNOWN
    assert job.snapshot().state is JobState.UNKNOWN
    assert job.ref == f"scripted:{job.run_id}"
    for blocked in (job.result, job.wait, job.cancel, lambda: list(job.events())):
        with pytest.raises(UnknownOutcomeError, match=rf"(?s){job.run_id}.*hint: .*attach"):
            blocked()
    again = submit(backend, store)
    assert (again.run_id, again.snapshot().state) == (job.run_id, JobState.UNKNOWN)
    assert backend.counters.submits == 1


def test_reply_that_is_late_but_in_time_is_an_ordinary_reply(store: RunStore) -> None:
    backend = ScriptedBackend(faults=[Fault.LATE_REPLY], reply_delay_s=0.01, find=False)
    assert submit(backend, store).ref == "scripted:job-1"
    assert (backend.counters.submits, backend.counters.jobs) == (1, 1)


@pytest.mark.parametrize("find", [True, False])
def test_refusal_is_final_stored_and_raised(store: RunStore, find: bool) -> None:
    backend = ScriptedBackend(faults=[Fault.REFUSE], find=find)
    with pytest.raises(BackendError, match="refuses this job"):
        submit(backend, store)
    (job,) = FineTuneJob.list(backend=backend, store=store)
    assert (backend.counters.submits, backend.counters.jobs, backend.counters.finds) == (1, 0, 0)
    assert job.record is not None and job.record.error is not None
    assert (job.record.state, job.record.error.code) == (JobState.FAILED, "backend")
    snapshot = job.snapshot()
    assert snapshot.failure is not None and "refuses this job" in snapshot.failure.message


def test_after_a_refusal_the_next_submit_is_a_new_attempt_with_its_own_key(store: RunStore) -> None:
    backend = ScriptedBackend(faults=[Fault.REFUSE])
    with pytest.raises(BackendError):
        submit(backend, store)
    job = submit(backend, store)
    assert job.record is not None
    assert (job.record.attempt, job.run_id.endswith("-2")) == (2, True)
    assert backend.keys == (job.run_id,)


# --- sending again ----------------------------------------------------------------------------------


def test_request_that_never_arrived_is_sent_again_only_after_every_look_said_so(store: RunStore) -> None:
    backend = ScriptedBackend(faults=[Fault.LOSE_REQUEST])
    job = submit(backend, store)
    counters = backend.counters
    assert (counters.submits, counters.jobs, counters.finds) == (2, 1, len(LISTING_DELAYS_S))
    assert job.result() == "scripted:base-tuned-1"


def test_looks_are_spread_over_time_because_listings_lag(store: RunStore) -> None:
    clock = FakeClock()
    backend = ScriptedBackend(faults=[Fault.LOSE_REPLY], find_lag=len(LISTING_DELAYS_S) - 1, clock=clock)
    job = submit(backend, store)
    assert (backend.counters.submits, backend.counters.jobs, job.ref) == (1, 1, "scripted:job-1")
    assert [pause for pause in clock.sleeps if pause] == [pause for pause in LISTING_DELAYS_S if pause]


def test_one_failed_look_forbids_sending_again(store: RunStore) -> None:
    backend = ScriptedBackend(faults=[Fault.LOSE_REQUEST], find_failures=1)
    job = submit(backend, store)
    assert (backend.counters.submits, backend.counters.finds) == (1, len(LISTING_DELAYS_S))
    assert store.get(job.run_id).state is JobState.UNKNOWN


def test_job_is_adopted_although_a_look_failed(store: RunStore) -> None:
    backend = ScriptedBackend(faults=[Fault.LOSE_REPLY], find_failures=2)
    assert submit(backend, store).ref == "scripted:job-1"
    assert (backend.counters.submits, backend.counters.jobs) == (1, 1)


def test_sending_again_ends(store: RunStore) -> None:
    backend = ScriptedBackend(faults=[Fault.LOSE_REQUEST] * 10)
    job = submit(backend, store)
    assert backend.counters.submits == 3
    assert job.snapshot().state is JobState.UNKNOWN


def test_each_sending_is_followed_by_the_same_care(store: RunStore) -> None:
    backend = ScriptedBackend(faults=[Fault.LOSE_REQUEST, Fault.LOSE_REPLY])
    assert submit(backend, store).ref == "scripted:job-1"
    assert (backend.counters.submits, backend.counters.jobs) == (2, 1)


def test_refusal_of_the_second_call_is_looked_into_before_it_is_believed(store: RunStore) -> None:
    class RefusesDuplicates(ScriptedBackend):
        """Takes the first call in, and knows it only after the second was refused as a duplicate."""

        async def find(self, idempotency_key: str) -> str | None:
            return await super().find(idempotency_key) if self.counters.submits > 1 else None

    backend = RefusesDuplicates(faults=[Fault.LOSE_REPLY, Fault.REFUSE])
    job = submit(backend, store)
    assert (job.ref, backend.counters.jobs) == ("scripted:job-1", 1)


def test_refusal_of_the_second_call_stands_when_nothing_is_found(store: RunStore) -> None:
    backend = ScriptedBackend(faults=[Fault.LOSE_REQUEST, Fault.REFUSE])
    with pytest.raises(BackendError, match="refuses"):
        submit(backend, store)
    (job,) = FineTuneJob.list(store=store)
    assert (job.record and job.record.state, backend.counters.jobs) == (JobState.FAILED, 0)


# --- unknown, later ---------------------------------------------------------------------------------


def unknown_that_can_be_found(store: RunStore) -> tuple[ScriptedBackend, FineTuneJob]:
    """A run whose job the service has, and shows from the next look on."""
    backend = ScriptedBackend(faults=[Fault.LOSE_REPLY], find_failures=len(LISTING_DELAYS_S))
    job = submit(backend, store)
    assert job.record is not None and job.record.state is JobState.UNKNOWN
    return backend, job


def test_next_snapshot_adopts_the_job(store: RunStore) -> None:
    backend, job = unknown_that_can_be_found(store)
    assert job.snapshot().state is JobState.SUCCEEDED
    assert (job.ref, store.get(job.run_id).job_id) == ("scripted:job-1", "job-1")
    assert store.get(job.run_id).error is None
    assert backend.counters.jobs == 1


def test_attach_by_run_id_adopts_the_job(store: RunStore) -> None:
    backend, job = unknown_that_can_be_found(store)
    attached = FineTuneJob.attach(job.ref, backend=backend, store=store)
    record = store.get(job.run_id)
    assert (record.state, record.job_id, record.error) == (JobState.QUEUED, "job-1", None)
    assert (attached.ref, attached.result()) == ("scripted:job-1", "scripted:base-tuned-1")


def test_waiting_adopts_the_job(store: RunStore) -> None:
    _, job = unknown_that_can_be_found(store)
    assert job.result() == "scripted:base-tuned-1"


def test_events_adopt_the_job(store: RunStore) -> None:
    _, job = unknown_that_can_be_found(store)
    assert [event.id for event in job.events()] == ["1", "2", "3", "4", "5", "6"]


def test_submitting_again_adopts_the_job(store: RunStore) -> None:
    backend, job = unknown_that_can_be_found(store)
    again = submit(backend, store)
    assert (again.ref, again.run_id) == ("scripted:job-1", job.run_id)
    assert (backend.counters.submits, backend.counters.jobs) == (1, 1)


def test_submitting_again_sends_what_certainly_never_arrived(store: RunStore) -> None:
    backend = ScriptedBackend(faults=[Fault.LOSE_REQUEST], find_failures=len(LISTING_DELAYS_S))
    job = submit(backend, store)
    assert store.get(job.run_id).state is JobState.UNKNOWN
    again = submit(backend, store)
    assert (again.run_id, again.ref) == (job.run_id, "scripted:job-1")
    assert (backend.counters.submits, backend.counters.jobs) == (2, 1)


# --- the same job again -----------------------------------------------------------------------------


def test_same_spec_and_data_are_the_same_job(store: RunStore) -> None:
    backend = ScriptedBackend()
    first, second = submit(backend, store), submit(backend, store)
    assert (first.ref, first.run_id) == (second.ref, second.run_id)
    assert backend.counters.jobs == 1


def test_succeeded_job_is_not_trained_again(store: RunStore) -> None:
    backend = ScriptedBackend()
    model = submit(backend, store).result()
    assert submit(backend, store).result() == model
    assert backend.counters.jobs == 1


def test_a_label_changes_nothing_and_everything_else_does(store: RunStore) -> None:
    backend = ScriptedBackend()
    first = submit(backend, store)
    assert submit(backend, store, spec=TuneSpec(name="for people")).run_id == first.run_id
    others = [
        submit(backend, store, spec=TuneSpec(seed=1)),
        submit(backend, store, validation=tiny_dataset(name="held out")),
        FineTuneJob.submit(tiny_dataset(name="other"), TARGET, backend=backend, store=store),
        FineTuneJob.submit(tiny_dataset(), "scripted:other", backend=backend, store=store),
    ]
    assert len({job.run_id for job in [first, *others]}) == 5
    assert backend.counters.jobs == 5


def test_changed_content_of_the_base_model_is_another_run(store: RunStore) -> None:
    class Changing(ScriptedBackend):
        content = "v1"

        async def identify(self, model: str) -> str:
            return f"{model}@{self.content}"

    backend = Changing()
    first = submit(backend, store)
    backend.content = "v2"
    assert submit(backend, store).run_id != first.run_id


@pytest.mark.parametrize("end", [JobState.FAILED, JobState.CANCELLED])
def test_job_that_ended_badly_while_nobody_looked_is_tried_again(store: RunStore, end: JobState) -> None:
    backend = ScriptedBackend(script=training_script(end=end))
    first = submit(backend, store)
    second = submit(backend, store)
    assert store.get(first.run_id).state is end
    assert second.run_id == f"{first.run_id}-2"
    assert backend.keys == (first.run_id, second.run_id)


def test_standing_job_is_returned_although_its_service_cannot_be_asked(store: RunStore) -> None:
    class Unreachable(ScriptedBackend):
        async def snapshot(self, job_id: str) -> None:  # type: ignore[override]
            raise ConnectionRefusedError

    backend = Unreachable()
    assert submit(backend, store).ref == submit(backend, store).ref
    assert backend.counters.jobs == 1


# --- before anything is sent ------------------------------------------------------------------------


def test_preflight_comes_before_the_store_and_the_service(store: RunStore) -> None:
    backend = ScriptedBackend()
    with pytest.raises(PreflightError, match="option 'flavour' is not known"):
        submit(backend, store, spec=TuneSpec(options={"flavour": "sweet"}))
    assert (backend.counters.submits, store.list()) == (0, [])


def test_nothing_is_sent_when_the_intent_cannot_be_written() -> None:
    class FullDisk(MemoryStore):
        def update(self, record: RunRecord, *, lease: Lease | None = None) -> RunRecord:
            raise StorageError("cannot write: No space left on device", hint="free some space")

    backend = ScriptedBackend()
    with pytest.raises(StorageError, match="No space left"):
        submit(backend, FullDisk())
    assert backend.counters.submits == 0


def test_refusal_that_could_not_be_written_is_raised_all_the_same() -> None:
    class FullAfterIntent(MemoryStore):
        full = True

        def update(self, record: RunRecord, *, lease: Lease | None = None) -> RunRecord:
            if record.state is JobState.FAILED and self.full:
                raise StorageError("cannot write: No space left on device", hint="free some space")
            return super().update(record, lease=lease)

    backend, store = ScriptedBackend(faults=[Fault.REFUSE]), FullAfterIntent()
    with pytest.raises(BackendError, match="refuses this job") as caught:
        submit(backend, store)
    assert "No space left" in caught.value.__notes__[0]
    assert submit(backend, store).ref == "scripted:job-1"
    assert backend.counters.jobs == 1


def test_job_whose_id_could_not_be_written_is_named_and_found_by_the_next_submit() -> None:
    class FullAfterReply(MemoryStore):
        full = True

        def update(self, record: RunRecord, *, lease: Lease | None = None) -> RunRecord:
            if record.job_id and self.full:
                raise StorageError("cannot write: No space left on device", hint="free some space")
            return super().update(record, lease=lease)

    backend, store = ScriptedBackend(), FullAfterReply()
    with pytest.raises(StorageError) as caught:
        submit(backend, store)
    assert "job-1" in caught.value.__notes__[0]
    store.full = False
    assert submit(backend, store).ref == "scripted:job-1"
    assert (backend.counters.submits, backend.counters.jobs) == (1, 1)


def test_request_carries_the_run_id_as_its_key(store: RunStore) -> None:
    seen: list[SubmitRequest] = []

    class Recording(ScriptedBackend):
        async def submit(self, request: SubmitRequest) -> str:
            seen.append(request)
            return await super().submit(request)

    spec = TuneSpec(seed=3)
    job = submit(Recording(), store, spec=spec, validation=tiny_dataset(name="v"))
    (request,) = seen
    assert (request.idempotency_key, request.model, request.spec) == (job.run_id, "base", spec)
    assert (request.train, request.validation) == (tiny_dataset(), tiny_dataset(name="v"))


def test_empty_job_id_is_no_answer(store: RunStore) -> None:
    class Nameless(ScriptedBackend):
        async def submit(self, request: SubmitRequest) -> str:
            await super().submit(request)
            return ""

    backend = Nameless()
    assert submit(backend, store).ref == "scripted:job-1"
    assert backend.counters.submits == 1


@pytest.mark.parametrize(
    ("error", "refusal"),
    [
        (BackendError("no"), True),
        (BackendError("who knows", ambiguous=True), False),
        (PreflightError(("no",), backend="x"), True),
        (StorageError("disk full"), True),
        (DeadlineError("late"), False),
        (TimeoutError(), False),
        (OSError(), False),
        (RuntimeError("a bug in a plugin"), False),
    ],
)
def test_only_tunekit_errors_without_doubt_are_refusals(error: Exception, refusal: bool) -> None:
    assert is_refusal(error) is refusal


def test_the_cause_of_the_doubt_is_kept(store: RunStore) -> None:
    backend = ScriptedBackend(faults=[Fault.NEVER_ANSWERS], find=False)
    job = submit(backend, store, settings=Settings(submit_timeout_s=0.05))
    with pytest.raises(UnknownOutcomeError, match=r"did not answer in 0\.05 s"):
        job.result()
