"""Starting training processes and bringing dead ones back. Knows processes; not what they compute.

The child starts in its own session and inherits the run's lock already held, so there is no moment in which it could
be taken for dead, and no process id to be confused with another. Whoever looks at a run whose trainer has died starts
the next one; the lock decides between several.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

from tunekit import _files
from tunekit.errors import JobFailedError
from tunekit.events import JobState
from tunekit.training.events_log import EventLog
from tunekit.training.rundir import CHILD_ENVIRONMENT, RunDirectory, RunResult

_SECRET = re.compile(r"(KEY|SECRET|PASSWORD|PASSWD|CREDENTIAL|TOKEN)", re.IGNORECASE)
_NEEDED = frozenset({"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH"})


def ensure_running(run: RunDirectory, *, max_restarts: int) -> None:
    """Start a trainer for this run unless one is alive or the run has ended.

    Args:
        run: The run.
        max_restarts: How many trainers may die in a row without publishing a checkpoint before the run is failed.

    Raises:
        StorageError: The run directory cannot be written, or no process can be started.
    """
    if run.result() is not None:
        return
    lock = run.try_lock()
    if lock is None:
        return
    try:
        if run.result() is not None:
            return  # it ended between the look and the lock
        if run.cancel_requested():
            close(run, RunResult(state=JobState.CANCELLED, message="cancelled while no trainer was running"))
        elif _deaths_without_progress(run) > max_restarts:
            close(run, _given_up(run, max_restarts))
        else:
            _note_launch(run)
            _start(run, lock)
    finally:
        os.close(lock)  # a started child holds its own copy


def close(run: RunDirectory, result: RunResult) -> None:
    """Write how a run ended, on behalf of a trainer that cannot. The caller holds the lock."""
    with EventLog(run) as log:
        log.state(result.state, result.message)
    _files.write_atomic(run.result_path, result.model_dump_json(indent=1).encode())


def child_environment(threads: int) -> dict[str, str]:
    """The host's environment without its secrets, plus what makes the arithmetic repeatable."""
    kept = {name: value for name, value in os.environ.items() if name in _NEEDED or not _SECRET.search(name)}
    return {**kept, **CHILD_ENVIRONMENT, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}


def reap(child: subprocess.Popen[bytes]) -> None:
    """Collect the child's exit status whenever it comes, so that no zombie is left behind."""
    threading.Thread(target=child.wait, name=f"tunekit-reap-{child.pid}", daemon=True).start()


def log_tail(path: Path, *, lines: int = 3, max_bytes: int = 4096) -> str:
    """The last lines of a log, for an error message."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - max_bytes))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return " | ".join(line.strip() for line in text.splitlines()[-lines:] if line.strip())


def _start(run: RunDirectory, lock: int) -> None:
    plan = run.plan()
    # -P: the current directory must not shadow installed packages.
    command = [sys.executable, "-P", "-m", "tunekit.training.main", str(run.path), str(lock)]
    with (
        _files.storage_errors(f"cannot start a trainer for {str(run.path)!r}"),
        run.log_path.open("ab") as log,
    ):
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(lock,),
            cwd=run.path,
            env=child_environment(plan.threads),
            start_new_session=True,
        )
    reap(child)


def _launches(run: RunDirectory) -> Path:
    return run.path / "launches.jsonl"


def _newest_checkpoint(run: RunDirectory) -> str:
    names = [item.name for item in run.checkpoints_path.iterdir() if item.name.isdigit()]
    return max(names, default="")


def _note_launch(run: RunDirectory) -> None:
    line = json.dumps({"at": time.time(), "checkpoint": _newest_checkpoint(run), "host_pid": os.getpid()})
    with _files.storage_errors(f"cannot write {str(_launches(run))!r}"), _launches(run).open("ab") as file:
        file.write(line.encode() + b"\n")


def _deaths_without_progress(run: RunDirectory) -> int:
    lines, _ = _files.read_lines_from(_launches(run), 0)
    progress = _newest_checkpoint(run)
    return sum(json.loads(line)["checkpoint"] == progress for line in lines if line)


def _given_up(run: RunDirectory, max_restarts: int) -> RunResult:
    return RunResult(
        state=JobState.FAILED,
        code=JobFailedError.code,
        message=f"the training process died {max_restarts + 1} times without getting further",
        hint="often it ran out of memory: try a smaller batch; "
        f"its log {str(run.log_path)!r} ends with: {log_tail(run.log_path) or 'nothing'}",
        retryable=True,
    )
