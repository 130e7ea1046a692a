"""SIGTERM in the middle of long work: the trainer saves, leaves in time, and the run goes on to the same bits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tunekit.training.run.leaving import EXIT_INTERRUPTED

SAVED = {
    "loading the model": [],
    "a step": [3],
    "an evaluation": [10],
    "publishing": [10],
    "the save on its way out": [],  # it would have taken longer than there was time
    "the host was gone": [],
}


@pytest.mark.timeout(400)
def test_a_trainer_leaves_in_time_wherever_it_is(model: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.kill.slow", str(model), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    whole = report.pop("whole")
    assert {place: found["saved"] for place, found in report.items()} == SAVED
    for place, found in report.items():
        assert found["seconds"] < 25, place
        assert found["status"] == EXIT_INTERRUPTED, place
        assert found["outcome"] == whole, place
