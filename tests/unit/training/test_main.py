"""The training process itself: what it leaves behind when it ends, is told to end, or is killed."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.unit.training.conftest import MakeRun, artifact_bytes, events, last_step, rows
from tunekit.errors import BackendError, DataError, JobFailedError, ModelError, StorageError
from tunekit.events import JobState
from tunekit.examples import CompletionExample
from tunekit.spec import SFT, LoRA
from tunekit.training.main import _reraise_if_storage, failure
from tunekit.training.run.leaving import EXIT_INTERRUPTED
from tunekit.training.run.rundir import CHILD_ENVIRONMENT, RunDirectory, RunResult

DROPOUT = SFT(adapter=LoRA(rank=4, dropout=0.2))


@contextmanager
def child(run: RunDirectory) -> Iterator[subprocess.Popen[bytes]]:
    """A trainer that owns the run's lock, as the local backend starts one."""
    with run.locked() as lock, run.log_path.open("ab") as log:
        assert lock is not None
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tunekit.training.main", str(run.path), str(lock)],
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(lock,),
            env={**os.environ, **CHILD_ENVIRONMENT, "OMP_NUM_THREADS": "1"},
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def finish(run: RunDirectory) -> int:
    with child(run) as process:
        return process.wait(timeout=100)


def wait_for_step(run: RunDirectory, process: subprocess.Popen[bytes], step: int) -> None:
    while last_step(run) < step:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.02)
            pytest.fail(f"it ended before step {step}: {run.log_path.read_text()}")


@pytest.fixture
def whole(make_run: MakeRun, finished: dict[str, RunDirectory]) -> RunDirectory:
    """The run that nothing happened to."""
    if "whole" not in finished:
        run = make_run(name="whole", method=DROPOUT, epochs=8)
        assert finish(run) == 0, run.log_path.read_text()
        finished["whole"] = run
    return finished["whole"]


@pytest.fixture(scope="module")
def finished() -> dict[str, RunDirectory]:
    """Runs that tests of this file share."""
    return {}


def test_a_run_succeeds_and_says_so_last(whole: RunDirectory) -> None:
    result = whole.result()
    assert result is not None
    assert (result.state, result.code, result.message) == (JobState.SUCCEEDED, "", "")
    found = whole.events_from(0)[0]
    assert [event.type for event in found[:3]] == ["state", "preflight", "step"]
    assert [event.state for event in events(whole, "state")] == [JobState.RUNNING, JobState.SUCCEEDED]
    assert found[-1].type == "state"
    assert whole.log_path.read_text() == "", "a healthy run has nothing to say in its log"
    assert list(whole.checkpoints_path.iterdir()) == [], "what it takes to go on has had its day"


def test_killed_at_random_and_terminated_it_ends_in_the_same_bits(
    make_run: MakeRun, whole: RunDirectory
) -> None:
    """SIGKILL and SIGTERM at random steps; checkpoints every third. `make soak` does it two hundred times."""
    run = make_run(method=DROPOUT, epochs=8, checkpoint_every_steps=3)
    rng = random.Random(4)
    for kill in (signal.SIGKILL, signal.SIGTERM):
        with child(run) as process:
            wait_for_step(run, process, last_step(run) + rng.randint(1, 9))
            process.send_signal(kill)
            status = process.wait(timeout=100)
            assert status == (EXIT_INTERRUPTED if kill is signal.SIGTERM else -signal.SIGKILL)
        assert run.result() is None
        assert not run.is_alive()
    assert finish(run) == 0, run.log_path.read_text()
    assert artifact_bytes(run) == artifact_bytes(whole)
    assert [event.step for event in events(run, "step")] == list(range(1, 41))
    assert [event.loss for event in events(run, "step")] == [event.loss for event in events(whole, "step")]


def test_terminated_it_saves_where_it_stands(make_run: MakeRun) -> None:
    run = make_run(epochs=200)
    with child(run) as process:
        wait_for_step(run, process, 3)
        process.terminate()
        assert process.wait(timeout=25) == EXIT_INTERRUPTED
    (saved,) = [event.step for event in events(run, "checkpoint")]
    assert saved == last_step(run)
    assert [int(item.name) for item in run.checkpoints_path.iterdir()] == [saved]


def test_cancelled_it_ends_as_cancelled(make_run: MakeRun) -> None:
    run = make_run(epochs=500)
    with child(run) as process:
        wait_for_step(run, process, 2)
        run.request_cancel()
        assert process.wait(timeout=25) == 1
    result = run.result()
    assert result is not None
    assert result.state is JobState.CANCELLED
    assert not run.artifact_path.exists()


def test_whatever_lies_among_the_checkpoints_does_not_spoil_a_success(make_run: MakeRun) -> None:
    run = make_run()
    (run.checkpoints_path / ".unusable-00000003-ab").symlink_to(
        "elsewhere"
    )  # a checkpoint that was replaced by this
    (run.checkpoints_path / "note").write_text("mine")
    assert finish(run) == 0, run.log_path.read_text()
    assert list(run.checkpoints_path.iterdir()) == []


def test_alive_exactly_while_it_lives(make_run: MakeRun) -> None:
    run = make_run(epochs=500)
    with child(run) as process:
        assert run.is_alive(), "the lock is held before the child has done anything"
        wait_for_step(run, process, 1)
        assert run.is_alive()
        process.kill()
        process.wait()
        assert not run.is_alive()


def test_a_model_that_is_none_fails_with_a_word_about_it(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(model=tmp_path / "absent")
    assert finish(run) == 1
    result = run.result()
    assert result is not None
    assert result.state is JobState.FAILED
    assert result.code == ModelError.code
    assert str(tmp_path / "absent") in result.message
    assert result.hint
    assert "Traceback" in run.log_path.read_text()


def test_rows_that_are_too_long_fail_before_the_first_step(make_run: MakeRun) -> None:
    run = make_run([*rows(4), CompletionExample(id="big", prompt="x" * 500, completion="y")])
    assert finish(run) == 1
    result = run.result()
    assert result is not None
    assert result.code == DataError.code
    assert "'big'" in result.message
    assert [event.type for event in run.events_from(0)[0]] == ["state", "state"]


@pytest.mark.parametrize(
    ("error", "code", "message", "retryable"),
    [
        (DataError("bad row", hint="fix it"), DataError.code, "bad row", False),
        (MemoryError("no room"), JobFailedError.code, "out of memory: no room", False),
        (
            ZeroDivisionError("division by zero"),
            JobFailedError.code,
            "ZeroDivisionError: division by zero",
            False,
        ),
        (RuntimeError(""), JobFailedError.code, "RuntimeError: no message", False),
    ],
)
def test_failures_are_typed(error: Exception, code: str, message: str, retryable: bool) -> None:
    result = failure(error)
    assert (result.state, result.code, result.message, result.retryable) == (
        JobState.FAILED,
        code,
        message,
        retryable,
    )
    assert result.hint


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "queued"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_no_failure_of_the_run(error: Exception) -> None:
    with pytest.raises(StorageError, match=r"the disk takes no more: .*(space|quota)"):
        _reraise_if_storage(error)
    _reraise_if_storage(FileNotFoundError(errno.ENOENT, "No such file", "config.json"))


def test_details_of_a_failure_are_kept_as_json_can_hold_them() -> None:
    error = BackendError(
        "no", hint="yes", details={"rows": (1, 2), "cause": ValueError("x"), "at": {3: None}}
    )
    result = failure(error)
    assert result.details == {"rows": [1, 2], "cause": "x", "at": {"3": None}}
    assert RunResult.model_validate_json(result.model_dump_json()) == result
