"""Stores of both kinds, and the shortest way to a job; what the tests of this folder share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tunekit import FineTuneJob, Settings
from tunekit.store import MemoryStore, RunStore, SqliteStore
from tunekit.testing import ScriptedBackend, tiny_dataset

TARGET = "scripted:base"


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> RunStore:
    return SqliteStore(tmp_path / "store.sqlite3") if request.param == "sqlite" else MemoryStore()


def submit(backend: ScriptedBackend, store: RunStore, **options: Any) -> FineTuneJob:
    """Submit the one job of these tests. A reply may take a quarter of a second of real time."""
    options.setdefault("settings", Settings(submit_timeout_s=0.25))
    return FineTuneJob.submit(tiny_dataset(), TARGET, backend=backend, store=store, **options)


async def submit_async(backend: ScriptedBackend, store: RunStore, **options: Any) -> FineTuneJob:
    options.setdefault("settings", Settings(submit_timeout_s=0.25))
    return await FineTuneJob.submit_async(tiny_dataset(), TARGET, backend=backend, store=store, **options)
