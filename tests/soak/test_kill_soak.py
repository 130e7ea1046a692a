"""A thousand kills: what `tests/kill` holds for a few must hold for many."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kill import test_kill_methods
from tests.kill.harness import Kills, Site, check_stream, follow, make_model, train_under_fire
from tests.kill.test_kill_operations import killed

IN_FORKS = 1000
OF_EACH_METHOD = 20
RUNS, KILLS_EACH, AT_ONCE = 14, 16, 2


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_two_hundred_kills_change_no_bit(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model")
    reference = follow(site := Site(tmp_path / "reference", model), site.submit())
    kills = Kills()
    for first in range(0, RUNS, AT_ONCE):
        sites = [Site(tmp_path / str(first + number), model) for number in range(AT_ONCE)]
        outcomes, more = train_under_fire(sites, KILLS_EACH, seed=first)
        for outcome in outcomes:
            check_stream(outcome.events)
            assert outcome.steps == reference.steps
            assert outcome.artifact == reference.artifact
        kills += more
    assert len(kills.pids) >= 200
    assert kills.inside_save >= 40
    assert kills.inside_artifact >= 1


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_every_operation_and_a_thousand_moments_change_no_bit(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model")
    report = killed(model, tmp_path, share=1, random_kills=IN_FORKS)
    for part in (
        "save",
        "publish",
        "end",
    ):  # what comes before the first step is killed with every method below
        assert report["kills"][part] >= report["operations"][part]
    assert report["kills"]["random"] == IN_FORKS


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_no_kill_changes_a_bit_of_any_method(tmp_path: Path) -> None:
    for name, report in test_kill_methods.killed(tmp_path, share=1, random_kills=OF_EACH_METHOD).items():
        assert report["kills"]["rest"] >= report["operations"]["rest"], name
        assert report["kills"]["random"] == OF_EACH_METHOD, name
