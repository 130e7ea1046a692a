"""How trainers are started and brought back, with stand-ins for the trainer: real processes, no torch."""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import (
    eventually,
    holders,
    is_running,
    kill,
    leads_session,
    open_files,
    run_python,
    start_python,
)
from tests.unit.backends.local.runs import make_run
from tunekit import JobState, StateChanged, StorageError
from tunekit.backends.local import launch
from tunekit.training.run.rundir import RunDirectory, RunResult

MAX_RESTARTS = 2

# Each is what `python -c` gets; the arguments are the run's path and the lock's descriptor.
LIVES = "import signal; signal.pause()"
DIES = "import sys; sys.exit('the dog ate the gradients')"
PUBLISHES_AND_DIES = """
import pathlib, sys
checkpoints = pathlib.Path(sys.argv[1], "checkpoints")
(checkpoints / f"{len(list(checkpoints.iterdir())) + 1:08d}").mkdir()
"""
SUCCEEDS = """
import pathlib, sys
from tunekit import _files
from tunekit.training.run.rundir import RunResult
result = RunResult(state="succeeded").model_dump_json()
_files.write_atomic(pathlib.Path(sys.argv[1], "result.json"), result.encode())
"""


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunDirectory]:
    run = make_run(tmp_path / "runs", threads=3)
    yield run
    for pid in holders(run.path / "lock"):  # only if the test failed
        kill(pid)


def change_plan(run: RunDirectory, **changes: object) -> None:
    plan = run.plan().model_copy(update=changes)
    (run.path / "plan.json").write_bytes(plan.model_dump_json().encode())


def look(run: RunDirectory, trainer: str) -> None:
    launch.ensure_running(run, max_restarts=MAX_RESTARTS, trainer=("-c", trainer))


def launches(run: RunDirectory) -> int:
    path = run.path / "launches.jsonl"
    return path.read_text().count('"start"') if path.exists() else 0


def wait_for_death(run: RunDirectory) -> None:
    eventually(lambda: not run.is_alive())


def trainer_of(run: RunDirectory) -> int:
    """The trainer's pid: a starter has the lock open for a moment too, but leads no session."""

    def found() -> list[int]:
        return [pid for pid in holders(run.path / "lock") if leads_session(pid)]

    (pid,) = eventually(found)
    return pid


def test_a_living_trainer_is_left_alone(run: RunDirectory) -> None:
    look(run, LIVES)
    pid = trainer_of(run)
    for _ in range(3):
        look(run, LIVES)
    assert launches(run) == 1
    assert trainer_of(run) == pid
    assert kill(pid)


def test_a_dead_trainer_is_brought_back(run: RunDirectory) -> None:
    look(run, LIVES)
    first = trainer_of(run)
    assert kill(first)
    wait_for_death(run)
    look(run, LIVES)
    second = trainer_of(run)
    assert second != first
    assert launches(run) == 2
    assert kill(second)


def test_a_finished_run_is_left_alone(run: RunDirectory) -> None:
    look(run, SUCCEEDS)
    result = eventually(run.result)
    assert result is not None
    assert result.state is JobState.SUCCEEDED
    wait_for_death(run)
    look(run, LIVES)
    assert launches(run) == 1
    assert not run.is_alive()


def test_a_trainer_that_keeps_dying_fails_the_run_with_its_last_words(run: RunDirectory) -> None:
    while run.result() is None:
        look(run, DIES)
        wait_for_death(run)
    assert launches(run) == MAX_RESTARTS + 1
    result = run.result()
    assert result is not None
    assert result.state is JobState.FAILED
    assert "died 3 times" in result.message
    assert "the dog ate the gradients" in result.hint
    assert str(run.log_path) in result.hint
    events, _ = run.events_from(0)
    assert [item.state for item in events if isinstance(item, StateChanged)] == [JobState.FAILED]
    look(run, LIVES)
    assert not run.is_alive()


def test_deaths_count_only_while_nothing_is_published(run: RunDirectory) -> None:
    for _ in range(3 * MAX_RESTARTS):
        look(run, PUBLISHES_AND_DIES)
        wait_for_death(run)
    assert run.result() is None
    for _ in range(MAX_RESTARTS + 1):
        look(run, DIES)
        wait_for_death(run)
    assert run.result() is None
    look(run, DIES)
    assert run.result() is not None


IS_STOPPED_BY_THE_DISK = """
import pathlib, sys
from tunekit.errors import StorageError
from tunekit.training.run import launches
from tunekit.training.run.rundir import RunDirectory
launches.note_blocked(RunDirectory(pathlib.Path(sys.argv[1])), StorageError("no space", hint="make some"))
"""


def test_a_full_disk_is_said_once_and_never_counts_as_a_death(run: RunDirectory) -> None:
    for times in range(1, 2 * MAX_RESTARTS):
        look(run, IS_STOPPED_BY_THE_DISK)
        wait_for_death(run)
        with pytest.raises(StorageError, match="training stopped: no space") as caught:
            look(run, IS_STOPPED_BY_THE_DISK)
        assert "make some" in caught.value.hint
        assert launches(run) == times
        assert not run.is_alive()
    look(run, SUCCEEDS)
    eventually(run.result)


def test_what_a_killed_writer_left_is_removed_before_the_next_start(run: RunDirectory) -> None:
    (run.path / ".partial-artifact-1-ab").mkdir()
    look(run, SUCCEEDS)
    assert not (run.path / ".partial-artifact-1-ab").exists()


def test_a_cancel_that_comes_after_the_artifact_is_too_late(run: RunDirectory) -> None:
    run.artifact_path.mkdir()
    run.request_cancel()
    look(run, SUCCEEDS)
    result = eventually(run.result)
    assert result is not None
    assert result.state is JobState.SUCCEEDED


def test_a_cancelled_run_is_closed_instead_of_started(run: RunDirectory) -> None:
    run.request_cancel()
    look(run, LIVES)
    result = run.result()
    assert result is not None
    assert result.state is JobState.CANCELLED
    assert launches(run) == 0


def test_a_launch_note_torn_by_a_power_cut_is_no_obstacle(run: RunDirectory) -> None:
    (run.path / "launches.jsonl").write_bytes(b'{"at": 1\n\0\0\n')
    look(run, SUCCEEDS)
    eventually(run.result)


HOST = """
import sys
from pathlib import Path
from tunekit.backends.local import launch
from tunekit.training.run.rundir import RunDirectory
run, trainer = RunDirectory(Path(sys.argv[1])), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
for _ in range(50):
    launch.ensure_running(run, max_restarts=1000, trainer=("-c", trainer))
print("done", flush=True)
sys.stdin.read()
"""


def test_many_hosts_looking_at_one_dead_run_start_one_trainer(run: RunDirectory) -> None:
    hosts = [start_python(HOST, run.path, LIVES) for _ in range(4)]
    try:
        for word in ("ready", "done"):
            for host in hosts:
                assert host.stdout is not None
                assert host.stdout.readline().strip() == word
            for host in hosts:
                assert host.stdin is not None
                host.stdin.write("go\n")
                host.stdin.flush()
        assert launches(run) == 1
        assert kill(trainer_of(run))
    finally:
        for host in hosts:
            host.communicate()


def test_a_trainer_outlives_its_host(run: RunDirectory) -> None:
    with start_python(HOST, run.path, LIVES) as host:
        assert host.stdin is not None
        host.stdin.write("go\n")
        host.stdin.flush()
        pid = trainer_of(run)
        host.kill()
        host.wait()
        assert is_running(pid)
        assert run.is_alive()
    assert kill(pid)


REPORT = """
import json, os, pathlib, sys
fds = "/proc/self/fd"
own = {name: os.readlink(f"{fds}/{name}") for name in os.listdir(fds) if os.path.exists(f"{fds}/{name}")}
mask = os.umask(0o077)
report = {"environment": dict(os.environ), "files": own, "umask": mask, "cwd": os.getcwd(), "session": os.getsid(0),
          "pid": os.getpid(), "path": sys.path}
partial = pathlib.Path(sys.argv[1], "partial.json")
partial.write_text(json.dumps(report))
partial.rename(pathlib.Path(sys.argv[1], "report.json"))
"""


def report_of_child(run: RunDirectory) -> dict[str, Any]:
    look(run, REPORT)
    path = run.path / "report.json"
    eventually(path.exists)
    report: dict[str, Any] = json.loads(path.read_text())
    wait_for_death(run)
    return report


def test_a_child_gets_no_secrets(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = (
        "OPENAI_API_KEY",
        "DATABASE_URL",
        "AWS_SECRET_ACCESS_KEY",
        "PGPASSWORD",
        "SENTRY_DSN",
        "MYSQL_PWD",
        "NVIDIA_API_KEY",
        "TUNEKIT_OPENAI_API_KEY",
    )
    for name in secrets:
        monkeypatch.setenv(name, f"canary-of-{name}")
    monkeypatch.setenv("HF_TOKEN", "needed for gated models")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    report = report_of_child(run)
    assert "canary" not in json.dumps(report)
    assert report["environment"]["HF_TOKEN"] == "needed for gated models"
    assert report["environment"]["CUDA_VISIBLE_DEVICES"] == "0"
    assert report["environment"]["PATH"] == os.environ["PATH"]


def test_a_child_computes_as_planned(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "17")
    environment = report_of_child(run)["environment"]
    assert environment["OMP_NUM_THREADS"] == environment["MKL_NUM_THREADS"] == "3"
    assert environment["PYTHONHASHSEED"] == "0"


def test_waiting_threads_soon_sleep(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert report_of_child(run)["environment"]["GOMP_SPINCOUNT"] == "10000"
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    assert "GOMP_SPINCOUNT" not in launch.child_environment(2)
    monkeypatch.setenv("GOMP_SPINCOUNT", "500000")
    assert launch.child_environment(2)["GOMP_SPINCOUNT"] == "500000"


def test_a_child_inherits_nothing_but_the_lock(run: RunDirectory) -> None:
    private = os.memfd_create("the host's own", 0)  # inheritable, as C code likes to open files
    try:
        os.set_inheritable(private, True)
        report = report_of_child(run)
    finally:
        os.close(private)
    files = sorted(set(report["files"].values()))
    assert files == sorted(["/dev/null", str(run.log_path), str(run.path / "lock")])
    assert report["session"] == report["pid"], "a terminal's Ctrl-C must not reach it"
    assert report["umask"] == 0o077
    assert report["cwd"] == str(run.path)
    modes = {item.stat().st_mode & 0o077 for item in run.path.rglob("*")}
    assert modes == {0}


def test_a_relative_python_path_still_leads_to_the_same_place(
    run: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["lib", str(tmp_path / "other")]))
    found = report_of_child(run)["path"]
    assert str(tmp_path / "lib") in found
    assert str(tmp_path / "other") in found


def test_no_zombies_threads_or_open_files_are_left(run: RunDirectory) -> None:
    before, others = set(open_files(os.getpid())), set(threading.enumerate())
    for _ in range(MAX_RESTARTS):
        look(run, LIVES)
        pid = trainer_of(run)
        assert kill(pid)
        eventually(lambda pid=pid: not Path(f"/proc/{pid}").exists())  # type: ignore[misc]  # bound now
    gc.collect()
    eventually(lambda: set(threading.enumerate()) <= others)
    assert run.path / "lock" not in set(open_files(os.getpid())) - before


def test_a_run_goes_on_with_the_interpreter_it_began_with(run: RunDirectory, tmp_path: Path) -> None:
    python, mark = tmp_path / "python", tmp_path / "used"
    python.write_text(f'#!/bin/sh\ntouch {mark}\nexec {sys.executable} "$@"\n')
    python.chmod(0o700)
    change_plan(run, python=str(python))
    look(run, LIVES)
    eventually(mark.exists)
    assert kill(trainer_of(run))


def test_an_interpreter_that_is_gone_is_a_typed_error_and_frees_the_lock(run: RunDirectory) -> None:
    change_plan(run, python="/no/such/python")
    with pytest.raises(
        StorageError, match="begun with the interpreter '/no/such/python', which is not there"
    ):
        look(run, LIVES)
    assert not run.is_alive()
    launch.discard_unstarted(run)
    assert list(run.path.parent.iterdir()) == []


def test_a_run_that_has_started_is_never_discarded(run: RunDirectory) -> None:
    run.events_path.touch()
    launch.discard_unstarted(run)
    assert run.exists()


def test_the_host_keeps_its_environment(run: RunDirectory) -> None:
    before = dict(os.environ)
    report_of_child(run)
    assert dict(os.environ) == before


ENDS_QUIETLY = """
import sys
from pathlib import Path
from tunekit.backends.local import launch
from tunekit.training.run.rundir import RunDirectory
launch.ensure_running(RunDirectory(Path(sys.argv[1])), max_restarts=0, trainer=("-c", sys.argv[2]))
"""


def test_a_host_that_ends_says_nothing_about_its_trainer(run: RunDirectory) -> None:
    # -W error and an empty stderr: no ResourceWarning about the child that goes on.
    assert run_python(ENDS_QUIETLY, run.path, LIVES) == ""
    assert kill(trainer_of(run))


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED])
def test_closing_twice_tells_readers_once(run: RunDirectory, state: JobState) -> None:
    for _ in range(2):  # a host killed between the event and the result closes again
        launch.close(run, RunResult(state=state))
    events, _ = run.events_from(0)
    assert [event.id for event in events] == ["1"]
