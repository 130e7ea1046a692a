"""Leaving tasks out, killed in the middle and made again: no job is made twice. Knows a scripted service on disk."""

from __future__ import annotations

import signal
from pathlib import Path
from random import Random
from typing import Any

import pytest

import tunekit as tk
from tests.processes import start_python
from tunekit.retrain.multitask import LeftOut, leave_one_task_out
from tunekit.store import SqliteStore
from tunekit.testing import ScriptedBackend

ROOT = Path(__file__).resolve().parents[4]

# It kills itself when it has seen something this often: an accepted job, a look at one, or questions to a model.
RUN = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.unit.retrain.multitask import test_kills
from tunekit.testing import ScriptedBackend

home, when, where = Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
seen = 0

def count(place):
    global seen
    seen += place == where
    if seen == when:
        os.kill(os.getpid(), signal.SIGKILL)

class Doomed(ScriptedBackend):
    async def generate(self, *arguments):
        count("scoring")
        return await super().generate(*arguments)

    async def snapshot(self, job_id):
        count("waiting")
        return await super().snapshot(job_id)

test_kills.run(home, test_kills.service(home, Doomed, on_accept=lambda job_id: count("submitting")))
print("lived")
"""

PARTS = {
    task: tk.Dataset.from_records([{"prompt": f"{task} {n}", "completion": task} for n in range(40)])
    for task in ("tone", "topic", "spam")
}


def service(home: Path, kind: type[ScriptedBackend] = ScriptedBackend, **options: Any) -> ScriptedBackend:
    return kind(
        directory=home / "service",
        generate=lambda prompt: str(prompt).split()[0],
        events_per_poll=1,
        **options,
    )


def run(home: Path, backend: ScriptedBackend) -> LeftOut:
    store = SqliteStore(home / "store.sqlite3")
    mix, _ = tk.Dataset.mix(PARTS)
    return leave_one_task_out(
        mix,
        lambda data: tk.FineTuneJob.submit(data, "scripted:base", backend=backend, store=store).result(),
        {task: tk.Evaluator(rows.head(6), cache=False) for task, rows in PARTS.items()},
        backend=backend,
    )


def killed(home: Path, when: int, where: str) -> int:
    with start_python(RUN, ROOT, home, when, where) as child:
        child.communicate(timeout=120)
    assert child.returncode is not None
    return child.returncode


@pytest.mark.parametrize(("when", "where"), [(3, "submitting"), (9, "waiting"), (5, "scoring")])
def test_a_killed_run_goes_on_with_the_jobs_that_it_has(tmp_path: Path, when: int, where: str) -> None:
    assert killed(tmp_path, when, where) == -signal.SIGKILL
    backend = service(tmp_path)
    before = backend.counters.jobs
    found = run(tmp_path, backend)
    assert 1 <= before < 4 == backend.counters.jobs == len(set(backend.keys))
    assert len(set(found.models.values())) == 4


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_killed_at_many_moments(tmp_path: Path) -> None:
    random = Random(5)
    for number in range(50):
        home = tmp_path / f"{number}"
        home.mkdir()
        for _ in range(2):
            killed(home, random.randint(1, 12), random.choice(["submitting", "waiting", "scoring"]))
        backend = service(home)
        run(home, backend)
        assert backend.counters.jobs == 4 == len(set(backend.keys)), number
