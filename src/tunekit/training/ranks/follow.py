"""A process that trains along: `RANK=1 WORLD_SIZE=2 python -m tunekit.training.ranks.follow RUN_DIR`.

It runs what the leader runs and writes nothing, but why it failed. It ends when its stdin closes, which the leader's
death does as well; nobody else may tell it to leave.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path

from tunekit import _files
from tunekit.training.main import failure
from tunekit.training.run.bounds import cpu_limit, rendering_limit
from tunekit.training.run.events_log import SilentLog
from tunekit.training.run.rundir import RunDirectory


def main(arguments: Sequence[str]) -> int:
    """Train along with the leader of a run. Returns the exit status."""
    # Whoever ends the whole group means the leader, which saves first. This is the child's own process.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # noqa: TID251
    threading.Thread(target=_leave_with_the_leader, daemon=True).start()
    run, rank = RunDirectory(Path(arguments[0])), int(os.environ["RANK"])
    try:
        _train_along(run, rank)
    except Exception as error:  # whatever it is, the leader must hear of it
        traceback.print_exc()
        said = failure(error).model_dump_json().encode()
        from tunekit.training.ranks.launching import failure_path

        _files.write_atomic(failure_path(run.ranks_path, rank), said)
        return 1
    return 0


def _train_along(run: RunDirectory, rank: int) -> None:
    from tunekit.training.plan.device import configure
    from tunekit.training.ranks.launching import joined, threads_each
    from tunekit.training.texts import template
    from tunekit.training.trainer import run_training

    plan = run.plan()
    configure(threads_each(plan))
    template.limit_rendering(rendering_limit)
    with joined(run.ranks_path / "store", rank, plan.devices, plan.strategy) as ranks:
        run_training(run, SilentLog(), lambda: None, cpu_limit, ranks=ranks)


def _leave_with_the_leader() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
