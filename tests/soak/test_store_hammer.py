"""The long runs of the store's hammer: the same harm and the same history check as in tests/unit/store, for minutes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.unit.store.hammer import Hammer, kill_writers

pytestmark = pytest.mark.soak


@pytest.mark.parametrize("seed", [1, 2])
def test_sixteen_processes_for_long(tmp_path: Path, seed: int) -> None:
    enough = Counter(counted=5_000, fenced=15_000, acquired=2_000, stops=500, kills=150, stale=200)
    hammer = Hammer(home=tmp_path, processes=16, records=20, seed=seed)
    hammer.run(until=lambda: enough <= hammer.summary(), at_most_s=1800)
    assert hammer.violations() == []
    assert hammer.complaints() == ""
    assert enough <= hammer.summary()


def test_two_hundred_kills_of_a_writer(tmp_path: Path) -> None:
    kill_writers(tmp_path, kills=200)
