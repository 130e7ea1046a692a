"""A retraining that is killed goes on elsewhere: one job for each request, the right alias, nothing lost or stuck."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kill.retrains import Retrained, begun, check, retrained_under_fire


def retrained(home: Path, **fire: int) -> Retrained:
    """A product that is retrained under fire, and looked at."""
    before = begun(home)
    found = retrained_under_fire(home, **fire)
    check(home, found, before)
    return found


def killed_around(directory: Path, *, every: int) -> None:
    """Once for each n-th of the moments before and after a write."""
    moments = retrained(directory / "whole").moments
    assert moments >= 20
    for at in range(every, moments + 1, every):
        assert retrained(directory / str(at), at=at).kills == 1


def test_killed_around_the_steps_that_cost_and_the_ones_that_count(tmp_path: Path) -> None:
    killed_around(tmp_path, every=4)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_killed_before_and_after_every_write(tmp_path: Path) -> None:
    killed_around(tmp_path, every=1)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_two_hundred_kills_at_random_moments(tmp_path: Path) -> None:
    kills = at = 0
    while kills < 200:
        kills += retrained(tmp_path / str(at), kills=4, seed=at).kills
        at += 1
