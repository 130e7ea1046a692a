"""Jobs that their backend no longer knows: the next submit starts over, and only once absence is certain."""

from __future__ import annotations

import pytest

from tests.unit.jobs.conftest import submit
from tunekit import JobFailedError, JobState, StateChanged
from tunekit.backends import Snapshot
from tunekit.backends.base import LISTING_DELAYS_S, EventPage
from tunekit.errors import NotFoundError, StorageError
from tunekit.jobs.desk import GRACE_S
from tunekit.records import RunRecord
from tunekit.store import Lease, MemoryStore, RunStore
from tunekit.testing import FakeClock, ScriptedBackend, training_script

RUNNING = [StateChanged(id="1", at=1.0, state=JobState.RUNNING)]


class Forgetful(ScriptedBackend):
    """Knows none of the jobs in `gone`, for as many looks as `misses` says, or for ever."""

    gone: frozenset[str] = frozenset()
    misses = 1_000_000
    looks = 0

    async def snapshot(self, job_id: str) -> Snapshot:
        self.looks += 1
        if job_id in self.gone and self.misses > 0:
            self.misses -= 1
            raise NotFoundError(f"no such job {job_id!r}", hint="check the id")
        return await super().snapshot(job_id)

    async def events(self, job_id: str, cursor: str | None) -> EventPage:
        await self.snapshot(job_id)
        return await super().events(job_id, cursor)

    async def find(self, idempotency_key: str) -> str | None:
        found = await super().find(idempotency_key)
        return None if found in self.gone and self.misses > 0 else found


def age(backend: ScriptedBackend) -> None:
    assert isinstance(backend.clock, FakeClock)
    backend.clock.advance(GRACE_S)


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("script", [RUNNING, training_script()], ids=["running", "succeeded"])
def test_lost_job_is_closed_and_followed_by_a_new_attempt(
    store: RunStore, script: list[StateChanged], old: bool
) -> None:
    backend = Forgetful(script=script)
    first = submit(backend, store)
    state = first.snapshot().state
    backend.gone = frozenset({"job-1"})
    if old:
        age(backend)
    second = submit(backend, store)
    assert (second.run_id, second.ref) == (f"{first.run_id}-2", "scripted:job-2")
    assert backend.keys == (first.run_id, second.run_id)
    closed = store.get(first.run_id)
    assert closed.state is JobState.FAILED and closed.error is not None
    assert (closed.error.code, closed.error.retryable) == ("not-found", True)
    assert closed.error.details == {"job_id": "job-1", "state": str(state)}
    assert "no longer knows job 'job-1'" in closed.error.message
    assert submit(backend, store).ref == second.ref
    assert backend.counters.jobs == 2


def test_a_job_that_is_hidden_from_a_look_and_found_by_its_key_is_not_sent_again(store: RunStore) -> None:
    """A proxy's page of 404 says nothing of the job behind it."""

    class Hidden(Forgetful):
        async def find(self, idempotency_key: str) -> str | None:
            return await ScriptedBackend.find(self, idempotency_key)

    backend = Hidden(script=RUNNING)
    first = submit(backend, store)
    backend.gone = frozenset({"job-1"})
    age(backend)
    assert submit(backend, store).run_id == first.run_id and backend.counters.jobs == 1


def test_one_look_at_an_old_job_is_not_believed(store: RunStore) -> None:
    backend = Forgetful(script=RUNNING, find=False)
    first = submit(backend, store)
    backend.gone, backend.misses = frozenset({"job-1"}), 2
    age(backend)
    assert submit(backend, store).run_id == first.run_id and backend.counters.jobs == 1


def test_new_attempt_of_a_lost_job_has_a_result(store: RunStore) -> None:
    backend = Forgetful()
    submit(backend, store).result()
    backend.gone = frozenset({"job-1"})
    assert submit(backend, store).result() == "scripted:base-tuned-2"


def test_handle_of_the_lost_job_says_what_became_of_it(store: RunStore) -> None:
    backend = Forgetful(script=training_script(end=JobState.SUCCEEDED))
    first = submit(backend, store)
    first.result()
    backend.gone = frozenset({"job-1"})
    submit(backend, store)
    with pytest.raises(JobFailedError, match="no longer knows") as caught:
        type(first).attach(first.run_id and f"scripted:{first.run_id}", backend=backend, store=store).result()
    assert caught.value.details["code"] == "not-found"


@pytest.mark.parametrize("misses", range(1, len(LISTING_DELAYS_S)))
def test_new_job_that_is_not_shown_yet_is_not_lost(store: RunStore, misses: int) -> None:
    backend = Forgetful(script=RUNNING)
    first = submit(backend, store)
    backend.gone, backend.misses = frozenset({"job-1"}), misses
    assert submit(backend, store).ref == first.ref
    assert (backend.looks, backend.counters.jobs) == (misses + 1, 1)


def test_old_job_is_looked_at_three_times_before_it_counts_as_gone(store: RunStore) -> None:
    backend = Forgetful(script=RUNNING)
    submit(backend, store)
    backend.gone = frozenset({"job-1"})
    age(backend)
    submit(backend, store)
    assert backend.looks == 3


def test_standing_job_costs_one_look_and_no_pause(store: RunStore) -> None:
    backend = Forgetful()
    submit(backend, store).result()
    assert isinstance(backend.clock, FakeClock)
    looks, sleeps = backend.looks, len([pause for pause in backend.clock.sleeps if pause])
    submit(backend, store)
    assert backend.looks == looks + 1
    assert len([pause for pause in backend.clock.sleeps if pause]) == sleeps


def test_job_is_not_lost_because_its_backend_cannot_be_asked(store: RunStore) -> None:
    class Broken(Forgetful):
        async def snapshot(self, job_id: str) -> Snapshot:
            if self.gone:
                raise ConnectionRefusedError
            return await super().snapshot(job_id)

    backend = Broken()
    model = submit(backend, store).result()
    backend.gone = frozenset({"job-1"})
    again = submit(backend, store)
    assert again.record is not None
    assert (again.record.state, again.record.tuned_model) == (JobState.SUCCEEDED, model.id)
    assert backend.counters.jobs == 1


def test_nothing_is_sent_when_the_loss_cannot_be_written() -> None:
    class FullLater(MemoryStore):
        full = False

        def update(self, record: RunRecord, *, lease: Lease | None = None) -> RunRecord:
            if self.full:
                raise StorageError("No space left on device", hint="free some space")
            return super().update(record, lease=lease)

    backend, store = Forgetful(script=RUNNING), FullLater()
    submit(backend, store)
    backend.gone, store.full = frozenset({"job-1"}), True
    with pytest.raises(StorageError):
        submit(backend, store)
    assert backend.counters.submits == 1


def test_a_wait_bears_that_a_new_job_is_not_shown_yet(store: RunStore) -> None:
    backend = Forgetful(script=training_script())
    backend.gone, backend.misses = frozenset({"job-1"}), 3
    job = submit(backend, store)
    with pytest.raises(NotFoundError) as caught:
        job.snapshot()
    assert caught.value.retryable
    assert job.wait().state is JobState.SUCCEEDED


def test_the_events_of_a_job_that_is_not_shown_yet_come_all_the_same(store: RunStore) -> None:
    backend = Forgetful(script=training_script())
    backend.gone, backend.misses = frozenset({"job-1"}), 3
    assert [event.id for event in submit(backend, store).events()]


def test_a_wait_ends_where_a_job_stays_away(store: RunStore) -> None:
    backend = Forgetful(script=RUNNING)
    backend.gone = frozenset({"job-1"})
    job = submit(backend, store)
    with pytest.raises(NotFoundError) as caught:
        job.wait()
    assert not caught.value.retryable and 3 < backend.looks < 200
