"""A process that trains several runs as one of two ranks: `python ranks_worker.py RANK RUN_DIR:STRATEGY ...`.

torch takes seconds to be imported, so all runs of the tests share two processes. The last run's directory is where the
two meet.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunekit.training.plan.device import configure
from tunekit.training.ranks.launching import joined
from tunekit.training.run.events_log import EventLog, SilentLog
from tunekit.training.run.rundir import RunDirectory
from tunekit.training.trainer import run_training


def main(rank: int, told: list[str]) -> int:
    configure(1)
    runs: list[tuple[RunDirectory, Any]] = []
    for each in told:
        path, _, strategy = each.rpartition(":")
        runs.append((RunDirectory(Path(path)), strategy))
    with joined(runs[-1][0].path / "store", rank, 2, "ddp") as ranks:
        for run, strategy in runs:
            with EventLog(run) if rank == 0 else SilentLog() as log:
                try:
                    run_training(run, log, lambda: None, ranks=replace(ranks, strategy=strategy))
                except Exception as error:
                    error.add_note(f"in {run.path.name} of rank {rank}")
                    raise
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
