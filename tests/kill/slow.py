"""Trainers in forks that are told to terminate in the middle of something that takes a minute.

    python -m tests.kill.slow MODEL DIRECTORY

writes, as JSON, for each place how many seconds the trainer took to leave, its exit status, the step it saved, and
whether the run that went on ended as the one that was never interrupted. And the same of a trainer whose host is gone
before it has begun.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.kill.forks import SPEC, launch
from tests.kill.harness import DATA, artifact_of
from tests.processes import eventually
from tunekit.training import loop, main
from tunekit.training.models import load
from tunekit.training.objectives.sft import SupervisedLearner
from tunekit.training.run import leaving
from tunekit.training.run.checkpoint import CheckpointStore
from tunekit.training.run.rundir import RunDirectory, RunPlan
from tunekit.training.saving import artifacts

LONG_S = 60.0


def run_in(runs: Path, name: str, model: Path) -> RunDirectory:
    plan = RunPlan(
        run_id=name,
        key="the same for all",
        model=str(model),
        spec=SPEC.model_copy(update={"epochs": 1.0, "checkpoint_every_steps": 100}),
        python=sys.executable,
        threads=1,
        validation=True,
        created_at=0.0,
    )
    return RunDirectory.create(runs, plan, DATA, DATA.head(3))


def slowly(work: Callable[..., Any], reached: Path, *, call: int) -> Callable[..., Any]:
    """The same work, but its n-th call says that it was reached and then takes a minute."""
    calls = 0

    def worked(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            reached.touch()
            time.sleep(LONG_S)
        return work(*arguments, **options)

    return worked


PLACES: dict[str, tuple[tuple[Any, str, int], ...]] = {
    "loading the model": ((load, "load_base", 1),),
    "a step": ((SupervisedLearner, "loss", 5),),  # the first time is the evaluation before the first step
    "an evaluation": ((loop, "evaluate", 2),),
    "publishing": ((artifacts, "_save_the_rest", 2),),  # the first time is the rehearsal
    "the save on its way out": ((SupervisedLearner, "loss", 5), (CheckpointStore, "save", 1)),
}
PATIENCE_S = {"the save on its way out": 2.0}  # 24 s of doing nothing prove no more


def terminated_in(place: str, run: RunDirectory) -> dict[str, Any]:
    reached = run.path / "reached"
    child = os.fork()
    if child == 0:
        for owner, name, call in PLACES[place]:
            setattr(owner, name, slowly(getattr(owner, name), reached, call=call))
        setattr(leaving, "_DEADLINE_S", PATIENCE_S.get(place, leaving._DEADLINE_S))  # noqa: B010
        with run.locked() as lock:
            os._exit(main.main([str(run.path), str(lock)]))
    eventually(reached.exists, timeout_s=60)
    began = time.monotonic()
    os.kill(child, signal.SIGTERM)
    return left(child, run, began)


def without_host(run: RunDirectory) -> dict[str, Any]:
    gone = os.fork()
    if gone == 0:
        os._exit(0)
    os.waitpid(gone, 0)
    began, child = time.monotonic(), os.fork()
    if child == 0:
        with run.locked() as lock:
            os._exit(main.main([str(run.path), str(lock), str(gone)]))
    return left(child, run, began)


def left(child: int, run: RunDirectory, began: float) -> dict[str, Any]:
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    seconds = time.monotonic() - began
    saved = sorted(int(item.name) for item in run.checkpoints_path.iterdir() if item.name.isdigit())
    assert launch(run)[0] == 0, run.log_path.read_text()
    return {"seconds": seconds, "status": status, "saved": saved, "outcome": outcome(run)}


def outcome(run: RunDirectory) -> Any:
    files, result = artifact_of(run), run.result()
    files.pop("tunekit.json")  # the card names the run
    assert result is not None
    seen = [[event.type, getattr(event, "step", 0)] for event in run.events_from(0)[0]]
    numbered = [item for item in seen if item[0] in ("step", "evaluated")]
    return [files, numbered, result.state, result.metrics]


def _main(model: str, directory: str) -> None:
    from tunekit.training import trainer  # noqa: F401  # torch and all, once for every fork
    from tunekit.training.plan.device import configure

    configure(1)
    runs = Path(directory) / "runs"
    whole = run_in(runs, "whole", Path(model))
    launch(whole)
    report = {
        place: terminated_in(place, run_in(runs, f"run-{number}", Path(model)))
        for number, place in enumerate(PLACES)
    }
    report["the host was gone"] = without_host(run_in(runs, "run-alone", Path(model)))
    sys.stdout.write(json.dumps({"whole": outcome(whole), **report}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
