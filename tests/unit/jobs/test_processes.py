"""Exactly once across real processes: racing submitters, and submitters that are killed at the worst moments.

Submitters wait a fiftieth of what they should, or a lost request would take each test twelve seconds.
"""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.processes import start_python
from tunekit import FineTuneJob, JobState, Settings
from tunekit._clock import SystemClock
from tunekit.store import SqliteStore
from tunekit.testing import ScriptedBackend, tiny_dataset

# One submitter. It says "ready", waits for a line, and submits; `die` is where it kills itself.
SUBMITTER = """
import os, signal, sys
from pathlib import Path
from tunekit import FineTuneJob
from tunekit._clock import SystemClock
from tunekit.store import SqliteStore
from tunekit.testing import ScriptedBackend, tiny_dataset

home, die, faults = Path(sys.argv[1]), sys.argv[2], [name for name in sys.argv[3].split(",") if name]

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

class Hasty(SystemClock):
    async def sleep(self, seconds):
        await super().sleep(seconds / 50)

class Store(SqliteStore):
    def update(self, record, *, lease=None):
        if die == "before the intent is marked as submitting":
            kill()
        if die == "before the answer is stored" and record.job_id:
            kill()
        stored = super().update(record, lease=lease)
        if die == "before the call":
            kill()
        return stored

backend = ScriptedBackend(
    directory=home / "service",
    clock=Hasty(),
    faults=faults,
    on_accept=kill if die == "between acceptance and reply" else None,
)
print("ready", flush=True)
sys.stdin.readline()
job = FineTuneJob.submit(tiny_dataset(), "scripted:base", backend=backend, store=Store(home / "store.sqlite3"))
print(job.ref, job.run_id, flush=True)
"""


def submitter(home: Path, *, die: str = "never", faults: str = "") -> subprocess.Popen[str]:
    child = start_python(SUBMITTER, home, die, faults)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def go(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


def answer(child: subprocess.Popen[str]) -> tuple[str, str]:
    """What a submitter that lives to the end was given: the job's reference and the run."""
    out, errors = child.communicate(timeout=60)
    assert (child.returncode, errors) == (0, "")
    ref, run_id = out.split()
    return ref, run_id


def killed(home: Path, die: str) -> None:
    child = submitter(home, die=die)
    child.communicate("\n", timeout=60)
    assert child.returncode == -signal.SIGKILL


def service(home: Path, *, find: bool = True) -> ScriptedBackend:
    return ScriptedBackend(directory=home / "service", find=find)


def resubmit(home: Path, backend: ScriptedBackend) -> FineTuneJob:
    return FineTuneJob.submit(
        tiny_dataset(), "scripted:base", backend=backend, store=SqliteStore(home / "store.sqlite3")
    )


@pytest.mark.parametrize("faults", ["", "lose_reply", "lose_request", "fail_after_accept"])
@pytest.mark.parametrize("processes", [2, 8])
def test_processes_that_submit_the_same_at_once_get_the_same_job(
    tmp_path: Path, processes: int, faults: str
) -> None:
    children = [submitter(tmp_path, faults=faults) for _ in range(processes)]
    for child in children:
        go(child)
    assert len({answer(child) for child in children}) == 1
    assert service(tmp_path).counters.jobs == 1


MOMENTS = [
    "before the intent is marked as submitting",
    "before the call",
    "between acceptance and reply",
    "before the answer is stored",
]


@pytest.mark.parametrize("moment", MOMENTS)
def test_another_process_takes_over_from_a_killed_submitter(tmp_path: Path, moment: str) -> None:
    killed(tmp_path, moment)
    backend = service(tmp_path)
    made_before = backend.counters.jobs
    job = resubmit(tmp_path, backend)
    assert (made_before, backend.counters.jobs) == (0 if MOMENTS.index(moment) < 2 else 1, 1)
    assert (job.ref, job.result()) == ("scripted:job-1", "scripted:base-tuned-1")


@pytest.mark.parametrize("moment", MOMENTS)
def test_without_a_look_up_a_killed_submitter_leaves_unknown_unless_nothing_was_sent(
    tmp_path: Path, moment: str
) -> None:
    killed(tmp_path, moment)
    backend = service(tmp_path, find=False)
    job = resubmit(tmp_path, backend)
    expected = JobState.SUCCEEDED if moment == MOMENTS[0] else JobState.UNKNOWN
    assert job.snapshot().state is expected
    assert backend.counters.jobs <= 1


@pytest.mark.parametrize("moment", MOMENTS[2:])
def test_attach_finds_the_job_of_a_killed_submitter(tmp_path: Path, moment: str) -> None:
    killed(tmp_path, moment)
    store = SqliteStore(tmp_path / "store.sqlite3")
    (record,) = store.list()
    job = FineTuneJob.attach(f"scripted:{record.run_id}", backend=service(tmp_path), store=store)
    assert (job.ref, job.result()) == ("scripted:job-1", "scripted:base-tuned-1")


def test_attach_to_a_run_that_was_never_sent_says_so(tmp_path: Path) -> None:
    killed(tmp_path, MOMENTS[1])
    store = SqliteStore(tmp_path / "store.sqlite3")
    (record,) = store.list()
    job = FineTuneJob.attach(f"scripted:{record.run_id}", backend=service(tmp_path), store=store)
    assert job.snapshot().state is JobState.UNKNOWN
    assert service(tmp_path).counters.submits == 0


def test_killed_submitter_among_live_ones_changes_nothing(tmp_path: Path) -> None:
    doomed = submitter(tmp_path, die="between acceptance and reply")
    others = [submitter(tmp_path) for _ in range(3)]
    for child in [doomed, *others]:
        go(child)
    doomed.communicate(timeout=60)
    # Whoever of them was first: the doomed one dies only if it was the one that sent.
    assert len({answer(child) for child in others}) == 1
    assert service(tmp_path).counters.jobs == 1


def test_two_homes_are_two_jobs(tmp_path: Path) -> None:
    # The control: without a shared store nothing keeps two submissions apart, and the count shows it.
    backend = ScriptedBackend(directory=tmp_path / "service", clock=SystemClock())
    for name in ("one", "two"):
        FineTuneJob.submit(
            tiny_dataset(), "scripted:base", backend=backend, settings=Settings(home=tmp_path / name)
        )
    assert backend.counters.jobs == 2
