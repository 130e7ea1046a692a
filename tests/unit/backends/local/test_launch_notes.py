"""What counts as a death without progress, from the notes alone: no process is started here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.backends.local.runs import make_run
from tunekit import StorageError
from tunekit.training.run import launches
from tunekit.training.run.rundir import RunDirectory


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return make_run(tmp_path)


def checkpoint(run: RunDirectory) -> None:
    (run.checkpoints_path / "00000010").mkdir()


def block(run: RunDirectory) -> None:
    """What a probe keeps, and a run that asks the untrained model before its first step."""
    (run.untrained_path / "train").mkdir(parents=True)
    (run.untrained_path / "train" / "key-00000000").touch()


@pytest.mark.parametrize("keep", [checkpoint, block])
def test_deaths_count_until_anything_is_kept(run: RunDirectory, keep: Callable[[RunDirectory], None]) -> None:
    for deaths in range(3):
        assert launches.deaths_without_progress(run) == deaths
        launches.note_start(run)
    keep(run)
    assert launches.deaths_without_progress(run) == 0
    launches.note_start(run)
    assert launches.deaths_without_progress(run) == 1


def test_half_a_block_is_no_progress(run: RunDirectory) -> None:
    launches.note_start(run)
    block(run)
    (run.untrained_path / "train" / "key-00000000").rename(
        run.untrained_path / "train" / ".key-00000000.1.ab"
    )
    assert launches.deaths_without_progress(run) == 1


def test_who_leaves_has_not_died(run: RunDirectory) -> None:
    launches.note_start(run)
    launches.note_start(run)
    launches.note_left(run)
    assert launches.deaths_without_progress(run) == 0
    launches.note_start(run)
    launches.note_blocked(run, StorageError("no space", hint="make some"))
    assert launches.deaths_without_progress(run) == 0


def test_checkpoints_that_somebody_removed_are_no_obstacle(run: RunDirectory) -> None:
    checkpoint(run)
    launches.note_start(run)
    (run.checkpoints_path / "00000010").rmdir()
    run.checkpoints_path.rmdir()
    assert launches.deaths_without_progress(run) == 0
    launches.note_start(run)
