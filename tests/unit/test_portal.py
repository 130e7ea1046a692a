"""The portal: blocking code runs coroutines from anywhere, and what must finish finishes."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings

import pytest

from tests.interrupts import interrupt_the_waiting_main_thread
from tests.processes import eventually, run_python
from tunekit import _portal
from tunekit._portal import BlockingCallWarning


async def value(result: int) -> int:
    await asyncio.sleep(0)
    return result


async def failing() -> None:
    raise KeyError("x")


@pytest.fixture(autouse=True)
def _forget_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_portal, "_warned", set())


def test_result_and_error_come_back() -> None:
    assert _portal.run(value(3)) == 3
    with pytest.raises(KeyError):
        _portal.run(failing())


def test_every_call_runs_on_one_private_daemon_thread() -> None:
    async def where() -> threading.Thread:
        return threading.current_thread()

    threads = {_portal.run(where()) for _ in range(3)}
    assert [(thread.name, thread.daemon) for thread in threads] == [("tunekit-portal", True)]


def test_many_threads_may_call_at_once() -> None:
    results: list[int] = []
    threads = [threading.Thread(target=lambda n=n: results.append(_portal.run(value(n)))) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == list(range(20))


async def test_inside_a_loop_it_works_and_warns_once_for_each_name() -> None:
    def blocking_method(name: str) -> int:
        return _portal.run(value(7), instead=name)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert [blocking_method(name) for name in ("a_async", "a_async", "b_async")] == [7, 7, 7]
    assert ["a_async" in str(item.message) for item in caught] == [True, False]
    assert {item.category for item in caught} == {BlockingCallWarning}
    assert caught[0].filename == __file__, "the warning must point at the host's line"


async def test_host_may_make_the_warning_an_error() -> None:
    with pytest.raises(BlockingCallWarning):  # and no "coroutine was never awaited" behind it
        _portal.run(value(1), instead="a_async")


def test_notebooks_are_meant_to_block() -> None:
    run_python(
        "import asyncio, sys, types\n"
        "sys.modules['ipykernel'] = types.ModuleType('ipykernel')\n"
        "from tunekit import _portal\n"
        "async def one(): return 1\n"
        "async def cell(): assert _portal.run(one(), instead='x') == 1\n"
        "asyncio.run(cell())"
    )


def test_call_from_the_portals_own_loop_fails_instead_of_hanging() -> None:
    async def nested() -> int:
        return _portal.run(value(1), instead="x_async")

    with pytest.raises(RuntimeError, match="own event loop; use `x_async` there"):
        _portal.run(nested())


def test_interrupt_stops_the_work_too() -> None:
    stopped = threading.Event()

    async def work() -> None:
        try:
            await asyncio.to_thread(interrupt_the_waiting_main_thread)
            await asyncio.Event().wait()
        finally:
            stopped.set()

    with pytest.raises(KeyboardInterrupt):
        _portal.run(work())
    assert stopped.wait(10)


# --- shielded ---------------------------------------------------------------------------------------


def test_shielded_work_outlives_its_caller_and_its_callers_loop() -> None:
    started, go, finished = threading.Event(), threading.Event(), threading.Event()

    async def work() -> None:
        started.set()
        await asyncio.to_thread(go.wait, 10)
        finished.set()

    async def host() -> None:
        task = asyncio.create_task(_portal.shielded(work()))
        await asyncio.to_thread(started.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(host())
    assert not finished.is_set()
    go.set()
    assert finished.wait(10)
    eventually(lambda: not _portal._background)


def test_shielded_gives_results_and_errors_to_any_loop() -> None:
    assert asyncio.run(_portal.shielded(value(4))) == 4
    assert _portal.run(_portal.shielded(value(5))) == 5
    with pytest.raises(KeyError):
        asyncio.run(_portal.shielded(failing()))


@pytest.mark.parametrize("fails_while_the_loop_runs", [True, False])
def test_failure_that_nobody_waits_for_is_quiet(
    caplog: pytest.LogCaptureFixture, fails_while_the_loop_runs: bool
) -> None:
    started, go = threading.Event(), threading.Event()

    async def work() -> None:
        started.set()
        await asyncio.to_thread(go.wait, 10)
        raise KeyError("x")

    async def host() -> None:
        task = asyncio.create_task(_portal.shielded(work()))
        await asyncio.to_thread(started.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if fails_while_the_loop_runs:
            go.set()
            await asyncio.to_thread(eventually, lambda: not _portal._background)
            await asyncio.sleep(0.01)

    asyncio.run(host())
    go.set()
    eventually(lambda: not _portal._background)
    gc.collect()  # asyncio reports an unretrieved failure when its future goes
    assert caplog.text == ""


# --- fork -------------------------------------------------------------------------------------------


def test_child_of_a_fork_gets_its_own_loop() -> None:
    out = run_python(
        "import os\n"
        "from tunekit import _portal\n"
        "async def one(): return 1\n"
        "assert _portal.run(one()) == 1\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if _portal.run(one()) == 1 else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), _portal.run(one()))"
    )
    assert out == "0 1\n"


def test_fork_while_another_thread_starts_the_loop_does_not_hang_the_child() -> None:
    out = run_python(
        "import os\n"
        "from tunekit import _portal\n"
        "async def one(): return 1\n"
        "_portal._lock.acquire()\n"  # what a thread in the middle of `_loop` holds at the moment of the fork
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if _portal.run(one()) == 1 else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    assert out == "0\n"
