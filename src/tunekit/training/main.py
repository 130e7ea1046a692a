"""The training process: `python -m tunekit.training.main RUN_DIR LOCK_FD [HOST_PID]`. Knows the lock and how to fail.

It does not know how to train. It writes `result.json` last, so a run without one is a run that goes on: a process that
was told to terminate or to pause saves a checkpoint and exits with 75, and so does one that a full disk has stopped.
With HOST_PID it leaves as well when that parent is gone.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from tunekit import _files
from tunekit._canonical import plain_facts
from tunekit.errors import JobFailedError, StorageError, TunekitError
from tunekit.events import JobState
from tunekit.training.run import launches
from tunekit.training.run.bounds import cpu_limit, rendering_limit
from tunekit.training.run.events_log import EventLog
from tunekit.training.run.leaving import EXIT_INTERRUPTED, Leaving, before_the_first_step
from tunekit.training.run.rundir import RunDirectory, RunResult
from tunekit.training.run.turns import Queue, devices_for

_LOOK_FOR_TURN_S = 0.2
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_DISK_FULL_IN_RUST = re.compile(rf"\(os error ({'|'.join(map(str, _DISK_FULL))})\)")


def main(arguments: Sequence[str]) -> int:
    """Train the run in a directory whose lock this process inherited. Returns the exit status."""
    run, lock = RunDirectory(Path(arguments[0])), int(arguments[1])
    # Ours for as long as we live, and not for a moment longer: no grandchild may keep the run looking alive.
    os.set_inheritable(lock, False)
    leaving = Leaving(run, host_pid=int(arguments[2]) if len(arguments) > 2 else 0)
    try:
        result = _carry_out(run, leaving)
    except StorageError as error:
        launches.note_blocked(run, error)
        _log_traceback()
        return EXIT_INTERRUPTED
    if result is None:
        launches.note_left(run)
        return EXIT_INTERRUPTED
    return 0 if result.state is JobState.SUCCEEDED else 1


def _carry_out(run: RunDirectory, leaving: Leaving) -> RunResult | None:
    """Train and write down how it ended. None: it goes on later.

    Raises:
        StorageError: The disk is full or gone. That is not how a run ends: it goes on once there is room.
    """
    with EventLog(run, undisturbed=leaving.undisturbed) as log:
        try:
            result = _in_turn(run, log, leaving)
        except Exception as error:  # whatever it is, the run must end with a word about it
            _reraise_if_storage(error)
            _log_traceback()
            result = failure(error)
        if result is None:
            return None
        log.state(result.state, result.message)
    _files.write_atomic(run.result_path, result.model_dump_json(indent=1).encode())
    if result.state is JobState.SUCCEEDED:
        _discard_checkpoints(run)
    return result


def _in_turn(run: RunDirectory, log: EventLog, leaving: Leaving) -> RunResult | None:
    """Wait for the devices, then train. Before torch is imported: what waits must not cost memory."""
    plan = run.plan()
    devices = devices_for(plan.threads, os.environ, count=plan.devices)
    with ExitStack() as stack:
        home = run.path.parent.parent / "devices"
        queues = [stack.enter_context(Queue(home, device)) for device in devices]
        while not all(queue.is_our_turn() for queue in queues):
            run.queued_path.touch(mode=0o600)
            log.state(JobState.QUEUED, f"waits for its turn on {', '.join(each.name for each in devices)}")
            reason = leaving()
            if reason is not None:
                return before_the_first_step(reason, log)
            time.sleep(_LOOK_FOR_TURN_S)
        run.queued_path.unlink(missing_ok=True)
        return _train(run, log, leaving)


def _discard_checkpoints(run: RunDirectory) -> None:
    """Free three times the weights, now that nobody will go on from there. Only after the result is down."""
    try:
        for item in run.checkpoints_path.iterdir():
            if item.is_dir() and not item.is_symlink():
                shutil.rmtree(item)
            else:
                item.unlink()
    except OSError:  # the run has succeeded all the same
        _log_traceback()


def _reraise_if_storage(error: Exception) -> None:
    if isinstance(error, StorageError):
        raise error
    # safetensors and tokenizers write from Rust, and say so only in words.
    full = isinstance(error, OSError) and error.errno in _DISK_FULL
    if full or _DISK_FULL_IN_RUST.search(str(error)):
        raise StorageError(
            f"the disk takes no more: {_first_line(error)}", hint="free some space, or raise the quota"
        ) from error


def failure(error: Exception) -> RunResult:
    """How a run ended that ended with `error`."""
    if isinstance(error, TunekitError):
        return RunResult(
            state=JobState.FAILED,
            code=error.code,
            message=error.message,
            hint=error.hint,
            retryable=error.retryable,
            details=plain_facts(error.details),
        )
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return RunResult(
            state=JobState.FAILED,
            code=JobFailedError.code,
            message=f"out of memory: {_first_line(error)}",
            hint="use a smaller micro_batch_size, shorter rows, or a smaller model",
        )
    return RunResult(
        state=JobState.FAILED,
        code=JobFailedError.code,
        message=f"{type(error).__name__}: {_first_line(error)}",
        hint="log.txt in the run directory has the traceback",
    )


def _train(run: RunDirectory, log: EventLog, leaving: Leaving) -> RunResult | None:
    # Imported here: seconds of torch must not lie between the signal handler and the first word in the log.
    from tunekit.training.plan.device import configure
    from tunekit.training.ranks.launching import threads_each, together
    from tunekit.training.texts import template
    from tunekit.training.trainer import run_training

    configure(threads_each(run.plan()))
    template.limit_rendering(rendering_limit)
    with together(run) as ranks:
        return run_training(run, log, leaving, cpu_limit, leaving.at_once, ranks)


def _log_traceback() -> None:
    with suppress(OSError):  # the log may be on the disk that is full
        traceback.print_exc()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0][:500]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
