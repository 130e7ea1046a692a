"""The training process: `python -m tunekit.training.main RUN_DIR LOCK_FD`. Knows signals, the lock and how to fail.

It does not know how to train. It writes `result.json` last, so a run without one is a run that goes on: a process that
was told to terminate saves a checkpoint and exits with 75 (EX_TEMPFAIL in sysexits.h: try again), and so does one that
a full disk has stopped.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from tunekit import _files
from tunekit._canonical import plain_facts
from tunekit.errors import JobFailedError, StorageError, TunekitError
from tunekit.events import JobState
from tunekit.training import launches
from tunekit.training.events_log import EventLog
from tunekit.training.rundir import RunDirectory, RunResult

if TYPE_CHECKING:
    from tunekit.training.loop import Stop

EXIT_INTERRUPTED = 75
_TEMPLATE_LIMIT_S = 60.0
_DISK_FULL = re.compile(rf"\(os error ({errno.ENOSPC}|{errno.EDQUOT})\)")


def main(arguments: Sequence[str]) -> int:
    """Train the run in a directory whose lock this process inherited. Returns the exit status."""
    run, lock = RunDirectory(Path(arguments[0])), int(arguments[1])
    # Ours for as long as we live, and not for a moment longer: no grandchild may keep the run looking alive.
    os.set_inheritable(lock, False)
    terminated = _watch_for_termination()
    try:
        result = _carry_out(run, terminated)
    except StorageError as error:
        launches.note_blocked(run, error)
        _log_traceback()
        return EXIT_INTERRUPTED
    if result is None:
        return EXIT_INTERRUPTED
    return 0 if result.state is JobState.SUCCEEDED else 1


def _carry_out(run: RunDirectory, terminated: Callable[[], bool]) -> RunResult | None:
    """Train and write down how it ended. None: it goes on later.

    Raises:
        StorageError: The disk is full or gone. That is not how a run ends: it goes on once there is room.
    """
    with EventLog(run) as log:
        try:
            result = _train(run, log, terminated)
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


def _discard_checkpoints(run: RunDirectory) -> None:
    """Free three times the weights, now that nobody will go on from there. Only after the result is down."""
    try:
        for item in run.checkpoints_path.iterdir():
            _files.remove_directory(item)
    except OSError:  # the run has succeeded all the same
        _log_traceback()


def _reraise_if_storage(error: Exception) -> None:
    if isinstance(error, StorageError):
        raise error
    # safetensors and tokenizers write from Rust, and say so only in words.
    if _DISK_FULL.search(str(error)):
        raise StorageError(
            f"the disk is full: {_first_line(error)}", hint="free some space, or raise the quota"
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


def _train(run: RunDirectory, log: EventLog, terminated: Callable[[], bool]) -> RunResult | None:
    # Imported here: seconds of torch must not lie between the signal handler and the first word in the log.
    from tunekit.training.device import configure
    from tunekit.training.loop import Stop
    from tunekit.training.trainer import run_training

    configure(run.plan().threads)

    def stop() -> Stop | None:
        if run.cancel_requested():
            return Stop.CANCELLED
        return Stop.INTERRUPTED if terminated() else None

    return run_training(run, log, stop, partial(cpu_limit, seconds=_TEMPLATE_LIMIT_S))


@contextmanager
def cpu_limit(what: str, *, seconds: float) -> Iterator[None]:
    """Bound the CPU time of a block in the main thread of a child process.

    CPU time and not the clock's: a machine that sleeps, or has no time for us, is no reason to fail.

    Raises:
        JobFailedError: It took longer.
    """

    def expire(number: int, frame: FrameType | None) -> None:
        raise JobFailedError(
            f"{what} takes more than {seconds:g} s of CPU time",
            hint="the model's chat template is broken, or made to do harm; use another model",
        )

    # Our own process, as below. JobFailedError is no ValueError, so nobody on the way takes it for a template's.
    before = signal.signal(signal.SIGVTALRM, expire)  # noqa: TID251
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)  # noqa: TID251


def _watch_for_termination() -> Callable[[], bool]:
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)

    # This is the child's own process, so the handler takes nothing from anybody.
    signal.signal(signal.SIGTERM, note)  # noqa: TID251
    return lambda: bool(received)


def _log_traceback() -> None:
    with suppress(OSError):  # the log may be on the disk that is full
        traceback.print_exc()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0][:500]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
