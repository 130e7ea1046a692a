"""Stores of both kinds on a boot clock that tests set; what the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tunekit.store import MemoryStore, SqliteStore


class BootClock:
    """Seconds since boot, moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> BootClock:
    return BootClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "store.sqlite3"


@pytest.fixture(params=["sqlite", "memory"])
def store(
    request: pytest.FixtureRequest, path: Path, clock: Callable[[], float]
) -> SqliteStore | MemoryStore:
    return SqliteStore(path, boottime=clock) if request.param == "sqlite" else MemoryStore(boottime=clock)
