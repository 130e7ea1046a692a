"""A retraining that is killed goes on elsewhere: one job for each request, the right alias, nothing lost or stuck."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kill.retrains import begun, check, retrained_under_fire


def test_killed_around_the_steps_that_cost_and_the_ones_that_count(tmp_path: Path) -> None:
    before = begun(tmp_path / "whole")
    whole = retrained_under_fire(tmp_path / "whole")
    check(tmp_path / "whole", whole, before)
    assert whole.moments >= 20
    for at in range(4, whole.moments + 1, 4):
        home = tmp_path / str(at)
        before = begun(home)
        found = retrained_under_fire(home, at=at)
        assert found.kills == 1
        check(home, found, before)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_killed_before_and_after_every_write(tmp_path: Path) -> None:
    before = begun(tmp_path / "whole")
    whole = retrained_under_fire(tmp_path / "whole")
    check(tmp_path / "whole", whole, before)
    for at in range(1, whole.moments + 1):
        home = tmp_path / str(at)
        before = begun(home)
        found = retrained_under_fire(home, at=at)
        assert found.kills == 1
        check(home, found, before)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_two_hundred_kills_at_random_moments(tmp_path: Path) -> None:
    kills = at = 0
    while kills < 200:
        home = tmp_path / str(at)
        before = begun(home)
        found = retrained_under_fire(home, kills=4, seed=at)
        check(home, found, before)
        kills, at = kills + found.kills, at + 1
