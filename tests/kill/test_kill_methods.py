"""Every method, killed while it gets ready and at random moments: the same bits, the same events, nothing left over."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

METHODS = {"sft", "dpo", "kto", "rft", "classify", "probe"}
SHARE, RANDOM_KILLS = 25, 1


def killed(directory: Path, *, share: int, random_kills: int) -> dict[str, dict[str, dict[str, int]]]:
    """What `tests.kill.methods` reports, once nothing in it is wrong."""
    command = [
        sys.executable,
        "-m",
        "tests.kill.methods",
        str(directory),
        str(share),
        str(random_kills),
        "2026",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    reports = json.loads(done.stdout)
    assert {name: report.pop("wedged") for name, report in reports.items()} == {name: [] for name in METHODS}
    assert {name: report.pop("different") for name, report in reports.items()} == {
        name: [] for name in METHODS
    }
    return dict(reports)


@pytest.mark.timeout(600)
def test_a_run_of_any_method_that_is_killed_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    """A few kills each; `make soak` takes every operation."""
    for name, report in killed(tmp_path, share=SHARE, random_kills=RANDOM_KILLS).items():
        assert report["kills"]["rest"] > report["operations"]["rest"] // SHARE, name
        assert report["kills"]["random"] == RANDOM_KILLS, name
