"""Every operation on files in a trainer's life, and what is left when it dies just before it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SHARE, RANDOM_KILLS = 3, 12


def killed(model: Path, directory: Path, *, share: int, random_kills: int) -> dict[str, dict[str, int]]:
    """What `tests.kill.forks` reports, once nothing in it is wrong."""
    command = [sys.executable, "-m", "tests.kill.forks", str(model), str(directory)]
    done = subprocess.run(
        [*command, str(share), str(random_kills), "2026"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["wedged"] == []
    assert report["different"] == []
    return {"operations": report["operations"], "kills": report["kills"]}


@pytest.mark.timeout(600)
def test_a_trainer_killed_before_any_operation_on_files_goes_on_to_the_same_bits(
    model: Path, tmp_path: Path
) -> None:
    """Every third operation and a few random moments; `make soak` takes every one and hundreds."""
    report = killed(model, tmp_path, share=SHARE, random_kills=RANDOM_KILLS)
    for part in ("save", "publish", "end"):
        assert report["operations"][part] >= 15
        assert report["kills"][part] >= report["operations"][part] // SHARE
    assert report["kills"]["random"] == RANDOM_KILLS
