"""The run directory: what is written whole, what is read back, who holds it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from tests.processes import run_python, start_python
from tunekit import CompletionExample, Dataset, JobState, NotFoundError, StorageError, TuneSpec
from tunekit.events import Notice, StateChanged
from tunekit.examples import Example, from_dict
from tunekit.training.run.rundir import RunDirectory, RunPlan, RunResult

RUN_ID = "run-" + "0" * 20
DATA = Dataset(CompletionExample(prompt=f"question {n} ✓", completion=str(n)) for n in range(5))


def plan(**changes: Any) -> RunPlan:
    facts: dict[str, Any] = {
        "run_id": RUN_ID,
        "key": RUN_ID,
        "model": "/model",
        "spec": TuneSpec(),
        "python": sys.executable,
        "threads": 1,
        "created_at": 0.0,
    }
    return RunPlan(**facts | changes)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory.create(tmp_path / "runs", plan(), DATA, None)


def test_what_was_submitted_can_be_read_back(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, plan(validation=True), DATA, DATA[:2])
    assert run.exists()
    assert run.plan() == plan(validation=True)
    assert Dataset(from_dict(row) for row in run.examples("train")) == DATA
    assert Dataset(from_dict(row) for row in run.examples("validation")) == DATA[:2]
    assert run.result() is None
    assert not run.is_alive()


def test_only_the_owner_can_read_a_run(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        run = RunDirectory.create(tmp_path / "home" / "runs", plan(), DATA, DATA)
        run.request_cancel()
    finally:
        os.umask(old)
    modes = {
        item: item.stat().st_mode & 0o777 for item in (tmp_path / "home", *(tmp_path / "home").rglob("*"))
    }
    assert {mode for item, mode in modes.items() if item.is_dir()} == {0o700}
    assert {mode for item, mode in modes.items() if item.is_file()} == {0o600}


def test_a_second_create_changes_nothing(run: RunDirectory) -> None:
    again = RunDirectory.create(run.path.parent, plan(threads=9), DATA[:1], None)
    assert again.plan() == plan()
    assert len(list(again.examples("train"))) == len(DATA)
    assert [item.name for item in run.path.parent.iterdir()] == [RUN_ID]


def test_a_create_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def rows() -> Iterator[Example]:
        yield from DATA
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="No space left"):
        RunDirectory.create(tmp_path, plan(), cast("Dataset", rows()), None)
    assert list(tmp_path.iterdir()) == []


KILLED_CREATE = """
import sys
from pathlib import Path
from tests.unit.training.test_rundir import DATA, RunDirectory, plan
def rows():
    yield from DATA
    print("writing", flush=True)
    sys.stdin.read()
RunDirectory.create(Path(sys.argv[1]), plan(), rows(), None)
"""


def test_a_create_that_is_killed_leaves_no_run_and_its_remains_go_after_a_day(tmp_path: Path) -> None:
    with start_python(KILLED_CREATE, tmp_path) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "writing\n"
        child.kill()
    (remains,) = tmp_path.iterdir()
    assert remains.name.startswith(".partial-")

    assert RunDirectory.create(tmp_path, plan(), DATA, None).plan() == plan()
    assert remains.exists(), "its process might still be alive somewhere"

    os.utime(remains, (0, 0))
    RunDirectory.create(tmp_path, plan(run_id="run-" + "1" * 20), DATA, None)
    assert sorted(item.name for item in tmp_path.iterdir()) == [RUN_ID, "run-" + "1" * 20]


def event(number: int) -> bytes:
    return json.dumps({"type": "state", "id": str(number), "at": 0.0, "state": "running"}).encode()


def test_events_are_read_up_to_the_last_newline(run: RunDirectory) -> None:
    assert run.events_from(0) == ([], 0)
    run.events_path.write_bytes(event(1) + b"\n" + event(2)[:20])
    first, offset = run.events_from(0)
    assert [item.id for item in first] == ["1"]
    assert run.events_from(offset) == ([], offset)
    run.events_path.write_bytes(event(1) + b"\n" + event(2) + b"\n")
    second, end = run.events_from(offset)
    assert [item.id for item in second] == ["2"]
    assert end == run.events_path.stat().st_size


@pytest.mark.parametrize("damage", [b"\0\0\0", b"5", b'"text"', b"\xff\xfe", b"{"])
def test_a_damaged_event_is_reported_and_holds_nothing_up(run: RunDirectory, damage: bytes) -> None:
    run.events_path.write_bytes(b"\n".join((event(1), damage, event(2), b"")))
    found, _ = run.events_from(0)
    assert [type(item) for item in found] == [StateChanged, Notice, StateChanged]
    assert isinstance(found[1], Notice)
    assert found[1].level == "error"
    assert "cannot be read" in found[1].message


@pytest.mark.parametrize("name", ["plan.json", "result.json"])
@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": 2}'])
def test_a_damaged_file_is_named(run: RunDirectory, name: str, text: str) -> None:
    (run.path / name).write_text(text)
    with pytest.raises(StorageError, match=f"{run.path / name}' is damaged") as caught:
        run.plan() if name == "plan.json" else run.result()
    assert caught.value.hint


def test_a_result_is_read_back(run: RunDirectory) -> None:
    result = RunResult(state=JobState.SUCCEEDED, trained_tokens=7)
    run.result_path.write_text(result.model_dump_json())
    assert run.result() == result


@pytest.mark.parametrize("place", ["missing", "file/run"])
def test_a_run_that_is_not_there_is_not_found(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    run = RunDirectory(tmp_path / place)
    assert not run.exists()
    with pytest.raises(NotFoundError):
        run.plan()
    with pytest.raises(NotFoundError):
        run.is_alive()


def test_the_lock_lives_as_long_as_the_child_that_inherited_it(run: RunDirectory) -> None:
    with run.locked() as lock:
        assert lock is not None
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, pass_fds=(lock,)
        )
    with child:
        assert run.is_alive(), "no moment without a holder between starter and child"
        with run.locked() as second:
            assert second is None
        child.kill()
        child.wait()
        assert not run.is_alive()


def test_the_lock_is_free_again_after_an_error(run: RunDirectory) -> None:
    with pytest.raises(KeyError), run.locked():
        raise KeyError
    assert not run.is_alive()


# A web server that forks its workers while another thread is just starting a trainer.
FORK_WHILE_LOCKED = """
import os, sys, threading, warnings
from pathlib import Path
from tunekit.training.run.rundir import RunDirectory
warnings.filterwarnings("ignore", message=".*fork")
run = RunDirectory(Path(sys.argv[1]))
locked, forked = threading.Event(), threading.Event()
def start():
    with run.locked() as lock:
        assert lock is not None
        locked.set()
        forked.wait()
starter = threading.Thread(target=start)
starter.start()
locked.wait()
read, write = os.pipe()
up, ready = os.pipe()
child = os.fork()
if child == 0:
    os.close(write)
    os.write(ready, b"!")
    os.read(read, 1)
    with run.locked() as mine:
        os._exit(0 if mine is not None else 1)
os.read(up, 1)
forked.set()
starter.join()
print("alive" if run.is_alive() else "free")
os.close(write)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_fork_of_the_host_does_not_keep_the_lock(run: RunDirectory) -> None:
    assert run_python(FORK_WHILE_LOCKED, run.path).split() == ["free", "0"]
