"""A curve whose caller gives up, or whose store breaks: jobs stay, nothing is left over, and a second call goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.unit.tuning.learner import Learner, evaluator, rows
from tunekit._clock import SystemClock
from tunekit.errors import StorageError
from tunekit.records import RunRecord
from tunekit.store import MemoryStore
from tunekit.tuning import LearningCurve, learning_curve_async


async def curve(backend: Learner, store: MemoryStore, **options: Any) -> LearningCurve:
    return await learning_curve_async(
        rows(400), "scripted:base", evaluator=evaluator(), sizes=[50, 100, 200, 400], seeds=2, backend=backend,
        store=store, **options,
    )  # fmt: skip


async def test_a_caller_that_gives_up_finds_its_jobs_again(tmp_path: Path) -> None:
    reached = asyncio.Event()

    class Slow(Learner):
        async def snapshot(self, job_id: str) -> Any:
            if job_id == "job-3":
                reached.set()
                await asyncio.Event().wait()
            return await super().snapshot(job_id)

    store = MemoryStore()
    task = asyncio.create_task(curve(Slow(tmp_path, clock=SystemClock()), store))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(asyncio.all_tasks()) == 1
    backend = Learner(tmp_path)
    before = backend.counters.jobs
    found = await curve(backend, store)
    assert 3 <= before <= backend.counters.jobs == 8
    assert {point.outcome for point in found.points} == {"scored"}


async def test_a_store_that_breaks_ends_it_and_leaves_no_task(tmp_path: Path) -> None:
    class Full(MemoryStore):
        is_full = True

        def claim(self, draft: RunRecord) -> tuple[RunRecord, bool]:
            if self.is_full and len(self.list()) > 2:
                raise StorageError("the disk is full", hint="make room")
            return super().claim(draft)

    backend, store = Learner(tmp_path), Full()
    with pytest.raises(StorageError, match="the disk is full"):
        await curve(backend, store)
    assert len(asyncio.all_tasks()) == 1
    store.is_full = False
    await curve(backend, store)
    assert backend.counters.jobs == 8
