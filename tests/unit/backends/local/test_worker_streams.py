"""Answers in pieces over the pipe: their order, readers that leave early, and workers that die in the middle."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import eventually
from tests.unit.backends.local.test_worker import make_worker
from tunekit import errors
from tunekit.backends.local.worker import InferenceWorker
from tunekit.errors import BackendError


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[InferenceWorker]:
    worker = make_worker(tmp_path / "logs")
    yield worker
    worker.close()


async def counted(worker: InferenceWorker, **request: Any) -> list[Any]:
    return [piece async for piece in worker.stream("count", **request)]


async def test_pieces_come_in_order_and_last_the_answer(worker: InferenceWorker) -> None:
    *pieces, answer = await counted(worker, to=2000)
    assert pieces == [f"{n} \n" for n in range(2000)]
    assert answer == {"counted": 2000}
    assert await counted(worker, to=0) == [{"counted": 0}]


async def test_pieces_come_before_the_answer_is_whole(worker: InferenceWorker, tmp_path: Path) -> None:
    pieces = worker.stream("count", to=10**6, pause_s=0.001)
    assert await anext(pieces) == "0 \n"
    await pieces.aclose()


async def test_a_stream_left_early_ends_and_spares_the_worker(worker: InferenceWorker) -> None:
    pid = (await worker.ask("about"))[0]
    for _ in range(3):
        pieces = worker.stream("count", to=10**9, pause_s=0.001)
        assert await anext(pieces) == "0 \n"
        await pieces.aclose()
    assert await worker.ask("echo", n=1) == {"n": 1}
    assert (await worker.ask("about"))[0] == pid


async def test_a_stream_is_cancelled_with_its_reader(worker: InferenceWorker) -> None:
    pid = (await worker.ask("about"))[0]
    reader = asyncio.create_task(counted(worker, to=10**9, pause_s=0.001))
    await asyncio.sleep(0.2)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert (await worker.ask("about"))[0] == pid


async def test_a_stream_that_gives_no_sign_of_life_is_killed(
    worker: InferenceWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tunekit.backends.local.worker._LAST_PIECE_S", 0.1)
    mark = tmp_path / "mark"
    reader = asyncio.create_task(anext(worker.stream("hang", mark=str(mark))))
    await asyncio.to_thread(eventually, mark.exists)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert await worker.ask("echo", n=1) == {"n": 1}


async def test_a_worker_that_dies_in_the_middle_tells_nothing_twice(worker: InferenceWorker) -> None:
    pieces = worker.stream("count", to=5, die_at=2)
    assert [await anext(pieces), await anext(pieces)] == ["0 \n", "1 \n"]
    with pytest.raises(BackendError, match="died"):
        await anext(pieces)
    assert await counted(worker, to=1) == ["0 \n", {"counted": 1}]


async def test_an_error_in_the_middle_arrives_typed(worker: InferenceWorker) -> None:
    with pytest.raises(errors.InvalidError, match="no more"):
        await counted(worker, to=5, fail_at=2)
    assert await worker.ask("echo", n=1) == {"n": 1}


def test_streams_and_calls_of_several_loops_take_turns(worker: InferenceWorker) -> None:
    found: dict[int, Any] = {}

    def ask(n: int) -> None:
        work = counted(worker, to=n) if n % 2 else worker.ask("echo", n=n)
        found[n] = asyncio.run(work)

    callers = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for n in range(8):
        assert found[n] == ([*(f"{m} \n" for m in range(n)), {"counted": n}] if n % 2 else {"n": n})
