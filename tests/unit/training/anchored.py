"""What tests of runs that stay near their start look at: pulls, distances, bytes; and a run that kills itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from safetensors.torch import load_file

from tests.unit.training.conftest import events
from tunekit.training.run.rundir import RunDirectory
from tunekit.training.saving.artifacts import FISHER_NAME

if TYPE_CHECKING:
    import torch

KILLED = """
import os, signal, sys
from pathlib import Path
from tests.unit.training.conftest import events, last_step
from tunekit.training.plan.device import configure
from tunekit.training.run.events_log import EventLog
from tunekit.training.run.rundir import RunDirectory
from tunekit.training.trainer import run_training

run, asked = RunDirectory(Path(sys.argv[1])), 0

def stop():
    global asked
    measuring = any("measuring" in event.message for event in events(run, "notice"))
    asked += measuring
    if asked > 7 or (sys.argv[2] == "after a checkpoint" and last_step(run) == 5):
        os.kill(os.getpid(), signal.SIGKILL)

configure(threads=1)
with EventLog(run) as log:
    run_training(run, log, stop)
"""


def pulls(run: RunDirectory) -> list[float]:
    return [event.metrics["pull"] for event in events(run, "step")]


def distance(run: RunDirectory, other: RunDirectory) -> float:
    """Between the weights of two artifacts."""
    name = next(path.name for path in run.artifact_path.glob("*model.safetensors"))
    mine, theirs = (load_file(each.artifact_path / name) for each in (run, other))
    return math.sqrt(sum(float((mine[key] - theirs[key]).square().sum()) for key in mine))


def gradients(parameters: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    found = {name: value.grad for name, value in parameters.items()}
    return {name: gradient.clone() for name, gradient in found.items() if gradient is not None}


def files(run: RunDirectory) -> dict[str, bytes]:
    """Every file right in the artifact but those that name the run or its recipe."""
    return {
        item.name: item.read_bytes()
        for item in run.artifact_path.iterdir()
        if item.is_file() and item.name not in ("tunekit.json", "README.md")
    }


def same_bytes(run: RunDirectory, other: RunDirectory) -> bool:
    mine, theirs = ((each.artifact_path / FISHER_NAME).read_bytes() for each in (run, other))
    return files(run) == files(other) and mine == theirs
