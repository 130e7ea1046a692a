"""Two services of one name: a job is asked about where it lives, and nowhere else."""

from __future__ import annotations

import pytest

from tests.unit.jobs.conftest import submit
from tunekit import FineTuneJob, JobState, SpecError
from tunekit.store import RunStore
from tunekit.testing import ScriptedBackend


def at(place: str) -> ScriptedBackend:
    backend = ScriptedBackend(model=f"tuned-at-{place[-1]}", events_per_poll=1)
    backend.place = place
    return backend


@pytest.fixture
def here() -> ScriptedBackend:
    return at("https://a")


@pytest.fixture
def there() -> ScriptedBackend:
    return at("https://b")


def test_the_same_submission_to_another_place_is_another_run(
    here: ScriptedBackend, there: ScriptedBackend, store: RunStore
) -> None:
    first, second = submit(here, store), submit(there, store)
    assert first.run_id != second.run_id and first.ref == second.ref, "both services call it job-1"
    assert submit(here, store).run_id == first.run_id


def test_jobs_of_the_same_id_are_told_apart_by_the_backend_given(
    here: ScriptedBackend, there: ScriptedBackend, store: RunStore
) -> None:
    first, second = submit(here, store), submit(there, store)
    assert FineTuneJob.attach(first.ref, backend=here, store=store).result().id == "tuned-at-a"
    record = store.get(second.run_id)
    assert record.tuned_model == "" and not record.state.is_terminal, "its record is untouched"
    assert FineTuneJob.attach(second.ref, backend=there, store=store).result().id == "tuned-at-b"
    assert store.get(first.run_id).tuned_model == "tuned-at-a"


def test_a_job_is_not_looked_for_where_it_does_not_live(
    here: ScriptedBackend, there: ScriptedBackend, store: RunStore
) -> None:
    job = submit(here, store)
    for elsewhere in (there, ScriptedBackend()):
        with pytest.raises(
            SpecError, match="the job is at https://a, and backend 'scripted' is set up for"
        ) as caught:
            FineTuneJob.attach(f"scripted:{job.run_id}", backend=elsewhere, store=store).snapshot()
        assert "pass backend=" in caught.value.hint
    assert not store.get(job.run_id).state.is_terminal
    assert job.result().id == "tuned-at-a"


def test_a_listing_of_one_backend_leaves_the_other_place_out(
    here: ScriptedBackend, there: ScriptedBackend, store: RunStore
) -> None:
    first, second = submit(here, store), submit(there, store)
    assert [job.run_id for job in FineTuneJob.list(backend=here, store=store)] == [first.run_id]
    by_name = FineTuneJob.list(backend="scripted", store=store)
    assert {job.run_id for job in by_name} == {first.run_id, second.run_id}
    assert all(job.record and job.record.state is not JobState.UNKNOWN for job in by_name)
