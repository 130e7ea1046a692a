"""One API from a script, a running loop, several threads and loops, and after a fork."""

from __future__ import annotations

import asyncio
import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.interrupts import interrupt_the_waiting_main_thread
from tests.processes import run_python
from tests.unit.jobs.conftest import submit, submit_async
from tunekit import BlockingCallWarning, FineTuneJob, _portal
from tunekit.store import RunStore, SqliteStore
from tunekit.testing import ScriptedBackend

SCRIPT = """
from tunekit import FineTuneJob
from tunekit.testing import ScriptedBackend, tiny_dataset
job = FineTuneJob.submit(tiny_dataset(), "scripted:base", backend=ScriptedBackend())
print([event.id for event in job.events()], job.result())
"""
IN_A_LOOP = """
import asyncio, warnings
from tunekit import BlockingCallWarning, FineTuneJob, _portal
from tunekit.testing import ScriptedBackend, tiny_dataset

async def main():
    backend = ScriptedBackend()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            job = FineTuneJob.submit(tiny_dataset(), "scripted:base", backend=backend)
            assert (len(list(job.events())), job.result()) == (6, "scripted:base-tuned-1")
    for warning in caught:
        assert warning.category is BlockingCallWarning
        print(warning.message)

asyncio.run(main())
"""
AFTER_A_FORK = """
import os, sys
from pathlib import Path
from tunekit import FineTuneJob
from tunekit.store import SqliteStore
from tunekit.testing import ScriptedBackend, tiny_dataset

home = Path(sys.argv[1])
backend = ScriptedBackend(directory=home / "service")
store = SqliteStore(home / "store.sqlite3")
job = FineTuneJob.submit(tiny_dataset(), "scripted:base", backend=backend, store=store)
child = os.fork()
if child == 0:
    attached = FineTuneJob.attach(job.ref, backend=backend, store=store)
    again = FineTuneJob.submit(tiny_dataset(), "scripted:base", backend=backend, store=store)
    ok = attached.result() == job.result() == again.result() and len(list(job.events())) == 6
    os._exit(0 if ok else 1)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), job.result(), backend.counters.jobs)
"""


def test_plain_script() -> None:
    assert run_python(SCRIPT) == "['1', '2', '3', '4', '5', '6'] scripted:base-tuned-1\n"


def test_inside_a_running_loop_it_works_and_warns_once_for_each_call() -> None:
    assert [line.split("use ")[1] for line in run_python(IN_A_LOOP).splitlines()] == [
        "`FineTuneJob.submit_async` there",
        "`async for` there",
        "`FineTuneJob.result_async` there",
    ]


def test_child_of_a_fork_has_its_own_loop_and_the_same_jobs(tmp_path: Path) -> None:
    assert run_python(AFTER_A_FORK, tmp_path) == "0 scripted:base-tuned-1 1\n"


def test_threads_that_submit_the_same_get_the_same_job(store: RunStore) -> None:
    backend = ScriptedBackend()
    start = threading.Barrier(8)

    def host(_: int) -> str:
        start.wait()
        return submit(backend, store).result()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(host, range(8))) == {"scripted:base-tuned-1"}
    assert backend.counters.jobs == 1


def test_one_job_serves_several_event_loops(store: RunStore) -> None:
    job = submit(ScriptedBackend(events_per_poll=1), store)
    seen = [asyncio.run(_ids(job)) for _ in range(3)]
    assert seen == [["1", "2", "3", "4", "5", "6"]] * 3


async def _ids(job: FineTuneJob) -> list[str]:
    return [event.id async for event in job.events()]


def test_job_submitted_in_a_loop_that_ended_is_usable_everywhere(store: RunStore) -> None:
    job = asyncio.run(submit_async(ScriptedBackend(), store))
    assert job.result() == asyncio.run(job.result_async()) == "scripted:base-tuned-1"


async def test_async_calls_do_not_warn(store: RunStore) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        job = await submit_async(ScriptedBackend(), store)
        assert await job.result_async() == "scripted:base-tuned-1"


def test_context_variables_of_the_caller_reach_the_backend(store: RunStore) -> None:
    import contextvars

    trace: contextvars.ContextVar[str] = contextvars.ContextVar("trace", default="lost")
    seen: list[str] = []

    class Traced(ScriptedBackend):
        async def submit(self, request):  # type: ignore[no-untyped-def]
            seen.append(trace.get())
            return await super().submit(request)

    trace.set("request-17")
    submit(Traced(), store)
    assert seen == ["request-17"]


def test_interrupted_wait_leaves_job_and_stream_usable(store: RunStore) -> None:
    class Interrupts(ScriptedBackend):
        """As if Ctrl-C came while the first page was on its way."""

        asked = False

        async def events(self, job_id, cursor):  # type: ignore[no-untyped-def]
            if not self.asked:
                self.asked = True
                await asyncio.to_thread(interrupt_the_waiting_main_thread)
                await asyncio.Event().wait()
            return await super().events(job_id, cursor)

    job = submit(Interrupts(), store)
    stream = job.events()
    with pytest.raises(KeyboardInterrupt):
        next(stream)
    assert [event.id for event in stream] == ["1", "2", "3", "4", "5", "6"]


def test_nothing_is_left_open(tmp_path: Path) -> None:
    # Unclosed files warn at collection, and warnings are errors here.
    job = submit(ScriptedBackend(directory=tmp_path / "service"), SqliteStore(tmp_path / "store.sqlite3"))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        job.snapshot()
        list(job.events())
    assert len(os.listdir("/proc/self/fd")) <= before


def test_blocking_warning_is_a_runtime_warning() -> None:
    assert issubclass(BlockingCallWarning, RuntimeWarning)


async def test_host_may_make_the_warning_an_error(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_portal, "_warned", set())
    job = await submit_async(ScriptedBackend(), store)
    for blocking in (job.wait, job.result, job.snapshot, job.cancel, lambda: next(job.events())):
        with pytest.raises(BlockingCallWarning):  # and no coroutine is left that was never awaited
            blocking()
        _portal._warned.clear()
