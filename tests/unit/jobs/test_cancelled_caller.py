"""A caller that is cancelled, or whose event loop ends, leaves no submission half done."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from tests.processes import eventually
from tests.unit.jobs.conftest import submit, submit_async
from tunekit import FineTuneJob, JobState, Settings, _portal
from tunekit.backends import SubmitRequest
from tunekit.store import MemoryStore, RunStore
from tunekit.testing import Fault, ScriptedBackend

PATIENT = Settings(submit_timeout_s=30.0)


class Gated(ScriptedBackend):
    """Takes the job in, says so, and answers when it is let."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.accepted, self.may_answer = threading.Event(), threading.Event()

    async def submit(self, request: SubmitRequest) -> str:
        job_id = await super().submit(request)
        self.accepted.set()
        await asyncio.to_thread(self.may_answer.wait, 30)
        return job_id


async def cancelled_while_the_service_thinks(backend: Gated, store: RunStore) -> None:
    task = asyncio.create_task(submit_async(backend, store, settings=PATIENT))
    await asyncio.to_thread(backend.accepted.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def stored_state(store: RunStore) -> JobState:
    (record,) = store.list()
    return record.state


def test_submission_goes_on_in_the_background(store: RunStore) -> None:
    backend = Gated()

    async def host() -> None:
        await cancelled_while_the_service_thinks(backend, store)
        assert stored_state(store) is JobState.SUBMITTING
        backend.may_answer.set()

    asyncio.run(host())  # and its loop is gone before the answer is written
    eventually(lambda: stored_state(store) is JobState.QUEUED)
    assert submit(backend, store).ref == "scripted:job-1"
    assert (backend.counters.submits, backend.counters.jobs) == (1, 1)


def test_submitting_again_at_once_waits_for_the_one_that_is_on_its_way(store: RunStore) -> None:
    backend = Gated()

    async def host() -> FineTuneJob:
        await cancelled_while_the_service_thinks(backend, store)
        again = asyncio.create_task(submit_async(backend, store, settings=PATIENT))
        await asyncio.sleep(0)
        backend.may_answer.set()
        return await again

    assert asyncio.run(host()).ref == "scripted:job-1"
    assert (backend.counters.submits, backend.counters.jobs) == (1, 1)


@pytest.mark.parametrize("fault", [Fault.LOSE_REPLY, Fault.LOSE_REQUEST, Fault.REFUSE])
def test_cancel_storm_leaves_one_settled_run_and_at_most_one_job(store: RunStore, fault: Fault) -> None:
    backend = ScriptedBackend(faults=[fault])

    async def host() -> None:
        tasks = [asyncio.create_task(submit_async(backend, store, settings=PATIENT)) for _ in range(20)]
        for number, task in enumerate(tasks):
            for _ in range(number):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(host())
    eventually(lambda: not _portal._background)
    assert all(record.job_id or record.is_closed for record in store.list())
    assert submit(backend, store, settings=PATIENT).ref == "scripted:job-1"
    assert backend.counters.jobs == 1


def test_cancelled_read_loses_no_event(store: RunStore) -> None:
    class Slow(ScriptedBackend):
        """Every second page is still on its way when the reader gives up."""

        reads = 0

        async def events(self, job_id, cursor):  # type: ignore[no-untyped-def]
            self.reads += 1
            if self.reads % 2:
                await asyncio.Event().wait()
            return await super().events(job_id, cursor)

    backend = Slow(page_size=2)
    job = submit(backend, store)

    async def host() -> list[str]:
        stream, seen = job.events(), []
        while True:
            try:
                async with asyncio.timeout(0.02):
                    seen.append((await anext(stream)).id)
            except TimeoutError:
                continue
            except StopAsyncIteration:
                return seen

    assert asyncio.run(host()) == ["1", "2", "3", "4", "5", "6"]


def test_overtaken_submitter_returns_what_the_new_owner_made(tmp_path: Path) -> None:
    now = [1000.0]
    store, backend = MemoryStore(boottime=lambda: now[0]), Gated(directory=tmp_path)
    results: list[FineTuneJob] = []
    stuck = threading.Thread(target=lambda: results.append(submit(backend, store, settings=PATIENT)))
    stuck.start()
    assert backend.accepted.wait(30)
    now[0] += 3600  # the submitter was stopped for an hour; its lease is long over
    results.append(submit(ScriptedBackend(directory=tmp_path), store))
    assert results[0].ref == "scripted:job-1"
    backend.may_answer.set()
    stuck.join(30)
    assert [job.ref for job in results] == ["scripted:job-1"] * 2
    assert (backend.counters.submits, backend.counters.jobs) == (1, 1)
