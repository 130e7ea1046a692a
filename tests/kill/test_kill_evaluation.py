"""An evaluation killed at random moments goes on where it was: same result, and no answer that it had is paid twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kill.evaluations import ITEMS, evaluated_under_fire

IN_FLIGHT = 4  # calls at the same time: what a kill can cost


@pytest.mark.parametrize("version", ["1", ""], ids=["fixed weights", "weights that may change"])
def test_three_kills_change_nothing(tmp_path: Path, version: str) -> None:
    whole = evaluated_under_fire(tmp_path / "whole", kills=0, version=version)
    assert whole.billed.total() == ITEMS
    found = evaluated_under_fire(tmp_path / "killed", kills=3, version=version, while_asking=True)
    assert found.kills == 3 and found.told == whole.told
    assert found.kept_and_asked == set()
    assert found.billed.total() <= ITEMS + found.kills * IN_FLIGHT


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_kills_change_nothing(tmp_path: Path) -> None:
    whole = evaluated_under_fire(tmp_path / "whole", kills=0)
    kills = paid_twice = 0
    while kills < 100:
        found = evaluated_under_fire(tmp_path / str(kills), kills=5, seed=kills)
        assert found.told == whole.told
        assert found.kept_and_asked == set()
        kills += found.kills
        paid_twice += found.billed.total() - ITEMS
    # An answer that the host had written down, and the evaluator not yet: some microseconds lie between.
    assert paid_twice <= 2
