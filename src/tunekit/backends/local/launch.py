"""Starting training processes and bringing dead ones back. Knows processes; not what they compute.

The child starts in its own session and inherits the run's lock already held, so there is no moment in which it could
be taken for dead, and no process id to be confused with another. Whoever looks at a run whose trainer has died starts
the next one; the lock decides between several.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

from tunekit import _files
from tunekit.errors import JobFailedError, StorageError
from tunekit.events import JobState
from tunekit.training.run import launches
from tunekit.training.run.events_log import EventLog
from tunekit.training.run.rundir import CHILD_ENVIRONMENT, RunDirectory, RunResult

TRAINER = ("-P", "-m", "tunekit.training.main")
"""How the interpreter is asked to train. -P: the current directory must not shadow installed packages."""

# What a child may need of its host's environment. Not all of it: a service's environment is full of secrets
# (DATABASE_URL is one too), and no list of bad names is ever complete. `_SECRET` is for the likes of NVIDIA_API_KEY.
_WANTED = re.compile(
    r"""(PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|TZ|TMPDIR|TEMP|TMP|VIRTUAL_ENV|ALL_PROXY|HTTPS?_PROXY|NO_PROXY
    |CURL_CA_BUNDLE|REQUESTS_CA_BUNDLE|HUGGING_FACE_HUB_TOKEN)\Z
    |(LC|LD|DYLD|XDG|SSL_CERT|CONDA|HF|HUGGINGFACE|TRANSFORMERS|TORCH|PYTORCH|TORCHINDUCTOR|TRITON|ATEN|OMP|GOMP|KMP
    |MKL|DNNL|ONEDNN|OPENBLAS|MALLOC|CUDA|CUDNN|CUBLAS|NVIDIA|NCCL|GLOO|ROCR|ROCM|HIP|HSA|COVERAGE)_
    |PYTHON""",
    re.IGNORECASE | re.VERBOSE,
)
_SECRET = re.compile(r"KEY|SECRET|PASSWORD|PASSWD|CREDENTIAL|TOKEN", re.IGNORECASE)
# Threads that wait for each other spin for a while (libgomp: 300,000 rounds), which on a machine with other work keeps
# from its core the one that they wait for: docs/performance.md, "Beside other work". What the host sets counts.
_PATIENCE = {"GOMP_SPINCOUNT": "10000"}
_HUB_TOKENS = frozenset({"HF_TOKEN", "HF_TOKEN_PATH", "HUGGING_FACE_HUB_TOKEN"})


def ensure_running(
    run: RunDirectory, *, max_restarts: int, stop_with_host: bool = False, trainer: Sequence[str] = TRAINER
) -> None:
    """Start a trainer for this run unless one is alive, or the run has ended or is paused.

    Args:
        run: The run.
        max_restarts: How many trainers may die in a row without getting further before the run is failed.
        stop_with_host: Whether the trainer leaves when this process is gone.
        trainer: Arguments of the interpreter; the run's path, the lock's descriptor and, to stop with it, this
            process's id are appended.

    Raises:
        StorageError: The run directory cannot be written, its interpreter is gone, no process can be started, or the
            disk stopped the last trainer. The last is said once; the next call starts another trainer.
    """
    if run.result() is not None:
        return
    with run.locked() as lock:
        if lock is None or run.result() is not None:
            return  # a trainer is alive, or the run ended between the look and the lock
        if run.cancel_requested():
            close(run, RunResult(state=JobState.CANCELLED, message="cancelled while no trainer was running"))
        elif run.pause_requested():
            return
        elif launches.deaths_without_progress(run) > max_restarts:
            close(run, _given_up(run, max_restarts))
        else:
            launches.raise_if_blocked(run)
            _start(run, lock, trainer, stop_with_host=stop_with_host)


def close(run: RunDirectory, result: RunResult) -> None:
    """Write how a run ended, on behalf of a trainer that cannot. The caller holds the lock."""
    with EventLog(run) as log:
        log.state(result.state, result.message)
    _files.write_atomic(run.result_path, result.model_dump_json(indent=1).encode())


def discard_unstarted(run: RunDirectory) -> None:
    """Remove a run whose very first start failed, so that no half-made job is left behind."""
    with run.locked() as lock:
        if lock is not None and not run.events_path.exists():
            _files.remove_directory(run.path)


def child_environment(threads: int) -> dict[str, str]:
    """What a child needs of the host's environment, no more, plus what makes the arithmetic repeatable."""
    kept = {name: value for name, value in os.environ.items() if _is_wanted(name)}
    if "PYTHONPATH" in kept:  # the child has another working directory
        kept["PYTHONPATH"] = os.pathsep.join(
            os.path.abspath(part) for part in kept["PYTHONPATH"].split(os.pathsep) if part
        )
    arithmetic = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    patience = {} if "OMP_WAIT_POLICY" in kept else _PATIENCE
    return {**patience, **kept, **CHILD_ENVIRONMENT, **arithmetic}


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


def _start(run: RunDirectory, lock: int, trainer: Sequence[str], *, stop_with_host: bool) -> None:
    plan = run.plan()
    host = [str(os.getpid())] if stop_with_host else []
    if not os.access(plan.python, os.X_OK):
        raise StorageError(
            f"run {run.path.name!r} was begun with the interpreter {plan.python!r}, which is not there",
            hint="restore that environment, or cancel the run and submit it again from this one",
        )
    _files.remove_leftovers(run.path, older_than_s=-math.inf)  # the lock says that nobody is at work on them
    launches.note_start(run)
    with (
        _files.storage_errors(f"cannot start a trainer for {str(run.path)!r}"),
        _files.open_private(run.log_path) as log,
    ):
        child = subprocess.Popen(
            [plan.python, *trainer, str(run.path), str(lock), *host],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(lock,),
            cwd=run.path,
            env=child_environment(plan.threads),
            start_new_session=True,
            umask=0o077,
        )
    reap(child)


def _is_wanted(variable: str) -> bool:
    return bool(_WANTED.match(variable)) and (variable in _HUB_TOKENS or not _SECRET.search(variable))


def _given_up(run: RunDirectory, max_restarts: int) -> RunResult:
    tail = log_tail(run.log_path) or "nothing"
    return RunResult(
        state=JobState.FAILED,
        code=JobFailedError.code,
        message=f"the training process died {max_restarts + 1} times without getting further",
        hint=f"often it ran out of memory: try a smaller batch; its log ends with: {tail} (see {str(run.log_path)!r})",
        retryable=True,
    )
