"""A webhook leads to one look at its job, written where polling writes; copies of it lead to nothing more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.jobs.conftest import submit, submit_async
from tunekit import BackendError, FineTuneJob, JobState, NotFoundError, Settings
from tunekit.backends.openai.webhooks import WebhookEvent
from tunekit.jobs.webhooks import refresh, refresh_async
from tunekit.store import MemoryStore, RunStore
from tunekit.store.deliveries import SqliteDeliveries
from tunekit.testing import ScriptedBackend


class Remembered:
    """What a host with a Redis would write."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def is_handled(self, delivery_id: str) -> bool:
        return delivery_id in self.names

    def remember(self, delivery_id: str) -> None:
        self.names.add(delivery_id)


def news(job: FineTuneJob, delivery_id: str = "wh_1", *, says: str = "succeeded") -> WebhookEvent:
    return WebhookEvent(
        delivery_id=delivery_id, sent_at=0.0, type=f"fine_tuning.job.{says}", data={"id": job.ref.id}
    )


def state_of(job: FineTuneJob) -> JobState:
    assert job.record is not None
    return job.record.state


def test_the_record_follows_and_the_host_is_told(store: RunStore) -> None:
    backend, told = ScriptedBackend(), list[FineTuneJob]()
    event = news(submit(backend, store))
    job = refresh(event, told.append, backend=backend, store=store)
    assert job is not None and told == [job]
    assert state_of(job) is JobState.SUCCEEDED
    assert store.get(job.run_id).tuned_model == "base-tuned-1"


async def test_async_hosts_are_awaited(store: RunStore) -> None:
    backend, told = ScriptedBackend(), list[JobState]()
    event = news(await submit_async(backend, store))

    async def on_job(job: FineTuneJob) -> None:
        told.append(state_of(job))

    for copy in (event, event, replace(event, delivery_id="wh_2")):
        await refresh_async(copy, on_job, backend=backend, store=store)
    await refresh_async(
        replace(event, delivery_id="wh_3"),
        lambda job: told.append(state_of(job)),
        backend=backend,
        store=store,
    )
    assert told == [JobState.SUCCEEDED] * 3


def test_a_message_that_is_ahead_of_the_backend_is_neither_believed_nor_lost(store: RunStore) -> None:
    backend, told, handled = ScriptedBackend(events_per_poll=1), list[JobState](), Remembered()
    event = news(job := submit(backend, store))

    def hear() -> FineTuneJob | None:
        return refresh(
            event, lambda job: told.append(state_of(job)), backend=backend, store=store, deliveries=handled
        )

    with pytest.raises(
        BackendError, match=r"says that job .* is succeeded, and its backend .* as running"
    ) as caught:
        hear()
    assert caught.value.retryable and not told and not handled.names
    assert store.get(job.run_id).state is JobState.RUNNING
    list(job.events())
    assert hear() is not None and told == [JobState.SUCCEEDED]


def test_what_is_shown_a_moment_later_is_waited_for(store: RunStore) -> None:
    script = list(submit(ScriptedBackend(), MemoryStore()).events())
    backend, told = ScriptedBackend(events_per_poll=len(script) - 1), list[JobState]()
    event = news(submit(backend, store))
    refresh(event, lambda job: told.append(state_of(job)), backend=backend, store=store)
    assert told == [JobState.SUCCEEDED]


def test_the_stream_is_the_one_that_polling_reads(store: RunStore) -> None:
    backend, quiet = ScriptedBackend(events_per_poll=1), ScriptedBackend(events_per_poll=1)
    job = submit(backend, store)
    stream, seen = job.events(), []
    for number, event in enumerate(stream):
        seen.append(event.id)
        refresh(news(job, f"wh_{number}", says="running"), backend=backend, store=store)
    assert seen == [event.id for event in submit(quiet, MemoryStore()).events()]


def test_a_copy_in_another_process_changes_nothing(store: RunStore, home: Path) -> None:
    backend, told = ScriptedBackend(), list[FineTuneJob]()
    event = news(submit(backend, store))
    assert refresh(event, told.append, backend=backend, store=store) is not None
    settings = Settings(home=home)
    assert refresh(event, told.append, backend=backend, store=store, settings=settings) is None
    assert len(told) == 1 and SqliteDeliveries(settings).is_handled("wh_1")


def test_what_failed_is_handled_again(store: RunStore) -> None:
    backend, handled = ScriptedBackend(read_failures=1), Remembered()
    event = news(submit(backend, store))

    def breaks(job: FineTuneJob) -> None:
        raise RuntimeError("the host's own mail server is down")

    with pytest.raises(Exception, match="restarting"):
        refresh(event, backend=backend, store=store, deliveries=handled)
    with pytest.raises(RuntimeError, match="mail server"):
        refresh(event, breaks, backend=backend, store=store, deliveries=handled)
    assert not handled.names
    assert refresh(event, backend=backend, store=store, deliveries=handled) is not None


def test_news_of_other_things_are_nothing(store: RunStore) -> None:
    event = WebhookEvent(delivery_id="wh_1", sent_at=0.0, type="batch.completed", data={"id": "batch_1"})
    assert refresh(event, backend=ScriptedBackend(), store=store) is None


def test_a_job_that_this_store_never_saw_is_looked_at(store: RunStore) -> None:
    backend = ScriptedBackend()
    event = news(submit(backend, MemoryStore()))
    job = refresh(event, backend=backend, store=store)
    assert job is not None and job.record is None
    strange = replace(event, data={"id": "nobody"}, delivery_id="wh_2")
    with pytest.raises(NotFoundError):
        refresh(strange, backend=backend, store=store)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=12))
def test_each_message_is_handled_until_it_worked_and_never_after(arrivals: list[tuple[int, bool]]) -> None:
    backend, store, handled = ScriptedBackend(), MemoryStore(), Remembered()
    job, done = submit(backend, store), list[int]()

    for number, works in arrivals:

        def on_job(job: FineTuneJob, number: int = number, works: bool = works) -> None:
            if not works:
                raise RuntimeError
            done.append(number)

        try:
            refresh(news(job, str(number)), on_job, backend=backend, store=store, deliveries=handled)
        except RuntimeError:
            assert not works
    assert sorted(done) == sorted({number for number, works in arrivals if works})
