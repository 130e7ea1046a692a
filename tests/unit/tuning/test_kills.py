"""A curve and a search whose process is killed in the middle, and made again: no job is made twice."""

from __future__ import annotations

import signal
from pathlib import Path
from random import Random

import pytest

import tunekit as tk
from tests.processes import start_python
from tests.unit.tuning.learner import Learner, evaluator, rows
from tunekit.store import SqliteStore
from tunekit.tuning import LearningCurve, LogUniform, Search, learning_curve, search

ROOT = Path(__file__).resolve().parents[3]

# One tuner. It kills itself when it has seen something this often: an accepted job, or items that were asked.
TUNER = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.unit.tuning import test_kills
from tests.unit.tuning.learner import Learner

home, what, when, where = Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5]
seen = 0

def count():
    global seen
    seen += 1
    if seen == when:
        os.kill(os.getpid(), signal.SIGKILL)

class Doomed(Learner):
    async def generate(self, *arguments):
        if where == "scoring":
            count()
        return await super().generate(*arguments)

    async def snapshot(self, job_id):
        if where == "waiting":
            count()
        return await super().snapshot(job_id)

def accepted(job_id):
    if where == "submitting":
        count()

getattr(test_kills, what)(home, Doomed(home, on_accept=accepted, events_per_poll=1))
print("lived")
"""


def curve(home: Path, backend: Learner) -> LearningCurve:
    return learning_curve(
        rows(400), "scripted:base", evaluator=evaluator(), sizes=[50, 100, 200, 400], seeds=2, backend=backend,
        store=SqliteStore(home / "store.sqlite3"),
    )  # fmt: skip


def halving(home: Path, backend: Learner) -> Search:
    return search(
        {"learning_rate": LogUniform(low=1e-5, high=1e-3)}, rows(100), "scripted:base", evaluator=evaluator(),
        spec=tk.TuneSpec(epochs=4), trials=6, eta=2, backend=backend, store=SqliteStore(home / "store.sqlite3"),
    )  # fmt: skip


def killed(home: Path, what: str, when: int, where: str) -> None:
    with start_python(TUNER, ROOT, home, what, when, where) as child:
        out, errors = child.communicate(timeout=60)
    assert (child.returncode, out, errors) == (-signal.SIGKILL, "", "")


@pytest.mark.parametrize(("when", "where"), [(6, "submitting"), (3, "scoring")])
def test_a_killed_curve_goes_on_with_the_jobs_that_it_has(tmp_path: Path, when: int, where: str) -> None:
    killed(tmp_path, "curve", when, where)
    backend = Learner(tmp_path, events_per_poll=1)
    before = backend.counters.jobs
    found = curve(tmp_path, backend)
    assert 1 <= before <= 8 and backend.counters.jobs == 8 == len(set(backend.keys))
    assert {point.outcome for point in found.points} == {"scored"}
    assert values(found) == values(curve(tmp_path / "control", Learner(tmp_path / "control")))


@pytest.mark.parametrize(("when", "where"), [(5, "submitting"), (20, "waiting")])
def test_a_killed_search_goes_on_with_the_jobs_that_it_has(tmp_path: Path, when: int, where: str) -> None:
    killed(tmp_path, "halving", when, where)
    backend = Learner(tmp_path, events_per_poll=1)
    before = backend.counters.jobs
    found = halving(tmp_path, backend)
    assert 1 <= before <= 10 and backend.counters.jobs == 10 == len(set(backend.keys))
    control = halving(tmp_path / "control", Learner(tmp_path / "control"))
    assert (found.best_number, found.best_spec) == (control.best_number, control.best_spec)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_killed_at_many_moments(tmp_path: Path) -> None:
    """Two kills one after the other, at random moments, then a call that lives."""
    random = Random(3)
    for number in range(50):
        home, what = tmp_path / f"{number}", ("curve", "halving")[number % 2]
        home.mkdir()
        for _ in range(2):
            where = random.choice(["submitting", "waiting", "scoring"])
            with start_python(TUNER, ROOT, home, what, random.randint(1, 8), where) as child:
                child.communicate(timeout=120)
        backend = Learner(home, events_per_poll=1)
        found = globals()[what](home, backend)
        expected = 8 if what == "curve" else 10
        assert backend.counters.jobs == expected == len(set(backend.keys)), (number, found)


def values(found: LearningCurve) -> list[float | None]:
    return [point.score.estimate if point.score else None for point in found.points]
