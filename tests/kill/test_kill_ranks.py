"""A run on two devices, whose processes are killed: it goes on, and ends in the bytes of one that was left alone."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest

from tests.kill.harness import DATA, make_model
from tests.processes import command_of, eventually, is_running
from tunekit.backends.local import launch
from tunekit.events import JobState, Step
from tunekit.spec import SFT, FullWeights, LoRA, TuneSpec
from tunekit.training.run.rundir import RunDirectory, RunPlan, RunResult

METHODS = {
    "ddp": SFT(adapter=LoRA(rank=2, dropout=0.1)),  # dropout: each rank draws its own, and must draw it again
    "fsdp": SFT(adapter=FullWeights()),  # in and out of the blocks, which are gathered apart
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model") / "llama")


def submitted(home: Path, model: Path, strategy: Literal["ddp", "fsdp"]) -> RunDirectory:
    plan = RunPlan(
        run_id="run",
        key="run",
        model=str(model),
        spec=TuneSpec(
            method=METHODS[strategy],
            epochs=4,
            batch_size=4,
            learning_rate=1e-2,
            checkpoint_every_steps=2,
        ),
        python=sys.executable,
        threads=1,
        devices=2,
        strategy=strategy,
        created_at=0.0,
    )
    return RunDirectory.create(home / "runs", plan, DATA, None)


def finished(
    run: RunDirectory,
    signals: dict[int, tuple[int, int]],
    *,
    trainer: Sequence[str] = launch.TRAINER,
) -> RunResult:
    """Look at a run as a host does until it has ended; behind some steps, send a rank a signal."""
    waiting = dict(signals)
    until = time.monotonic() + 300.0
    while (result := run.result()) is None:
        assert time.monotonic() < until, run.log_path.read_text()[-2000:]
        launch.ensure_running(run, max_restarts=3, trainer=trainer)
        step = max((event.step for event in run.events_from(0)[0] if isinstance(event, Step)), default=0)
        if waiting and step >= next(iter(waiting)):
            rank, number = waiting.pop(next(iter(waiting)))
            os.kill(processes(run)[rank], number)
        time.sleep(0.02)
    assert not waiting
    assert eventually(lambda: not processes(run))
    return result


def processes(run: RunDirectory) -> list[int]:
    """Those of a run, the leader first."""
    commands = {int(entry.name): command_of(int(entry.name)) for entry in Path("/proc").glob("[0-9]*")}
    own = [pid for pid, command in commands.items() if str(run.path) in command and is_running(pid)]
    return sorted(own, key=lambda pid: "tunekit.training.ranks.follow" in commands[pid])


def artifact(run: RunDirectory) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.artifact_path.iterdir()}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("strategy", "signals"),
    [
        ("ddp", {3: (1, signal.SIGKILL), 11: (0, signal.SIGKILL)}),
        ("fsdp", {3: (1, signal.SIGKILL), 11: (0, signal.SIGTERM)}),  # to save takes both of them
    ],
    ids=["ddp", "fsdp"],
)
def test_whichever_rank_has_to_go_the_run_ends_in_the_same_bytes(
    tmp_path: Path, model: Path, strategy: Literal["ddp", "fsdp"], signals: dict[int, tuple[int, int]]
) -> None:
    alone, killed = (submitted(tmp_path / name, model, strategy) for name in ("alone", "killed"))
    assert finished(alone, {}).state is JobState.SUCCEEDED
    assert finished(killed, signals).state is JobState.SUCCEEDED
    assert artifact(killed) == artifact(alone)
    assert not killed.ranks_path.exists()


_NOT_ENOUGH = """
import sys
from tunekit.training import trainer
from tunekit.training.ranks import follow
def train(*told):
    raise MemoryError("not enough")
trainer.train = train
sys.exit(follow.main(sys.argv[1:]))
"""
_LEADER = f"""
import sys
from tunekit.training import main
from tunekit.training.ranks import launching
launching.FOLLOWER = ("-P", "-c", {_NOT_ENOUGH!r})
sys.exit(main.main(sys.argv[1:]))
"""


def test_what_goes_wrong_on_another_device_is_said(tmp_path: Path, model: Path) -> None:
    run = submitted(tmp_path, model, "ddp")
    result = finished(run, {}, trainer=("-P", "-c", _LEADER))
    assert result.state is JobState.FAILED
    assert result.message == "on device 1: out of memory: not enough"
    assert "micro_batch_size" in result.hint
