"""Searches with Optuna: they learn, they find their jobs again, and the host's logging stays as it was."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tunekit as tk
from tests.processes import start_python
from tests.unit.tuning.learner import DEV, Learner, evaluator, rows
from tunekit.errors import MissingExtraError, SpecError
from tunekit.evaluation.stats import mean_t
from tunekit.store import MemoryStore, SqliteStore
from tunekit.tuning import (
    Choice,
    IntUniform,
    LogUniform,
    OptunaProposer,
    Search,
    Trial,
    Uniform,
    optuna,
    search,
)
from tunekit.tuning.results import Rung

ROOT = Path(__file__).resolve().parents[3]
SPACE: dict[str, Any] = {
    "learning_rate": LogUniform(low=1e-6, high=1e-1),
    "weight_decay": Uniform(low=0.0, high=0.2),
    "batch_size": IntUniform(low=1, high=64),
    "method.adapter": Choice([tk.LoRA(rank=8), tk.LoRA(rank=32), tk.FullWeights()]),
}


def by_rate(n: int, spec: tk.TuneSpec) -> float:
    """Best at 1e-4 without decay."""
    rate = spec.learning_rate
    assert isinstance(rate, float)
    return 0.9 - 0.12 * abs(math.log10(rate) + 4) - spec.weight_decay


def searched(home: Path, backend: Learner, **options: Any) -> Search:
    given = {"method": "optuna", "trials": 16, "store": SqliteStore(home / "store.sqlite3"), **options}
    return search(SPACE, rows(50), "scripted:base", evaluator=evaluator(), backend=backend, **given)


def trial(number: int, values: dict[str, Any], score: float | None) -> Trial:
    found = mean_t([score, score]) if score is not None else None
    rung = Rung(epochs=3.0, outcome="scored" if score is not None else "failed", score=found)
    return Trial(number=number, values=values, spec=tk.TuneSpec(), rungs=(rung,))


def played(proposer: OptunaProposer, count: int, batch: int) -> list[dict[str, Any]]:
    """A search without jobs: every third fails, the others score by their learning rate."""
    done: list[Trial] = []
    while len(done) < count:
        for values in proposer.propose(SPACE, done, min(batch, count - len(done))):
            score = None if len(done) % 3 == 2 else -abs(math.log10(float(values["learning_rate"])) + 4)  # type: ignore[arg-type]
            done.append(trial(len(done), dict(values), score))
    return [dict(each.values) for each in done]


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**40), batch=st.integers(1, 5), count=st.integers(1, 14))
def test_same_seed_same_proposals_and_each_fits_its_field(seed: int, batch: int, count: int) -> None:
    proposer = OptunaProposer(seed=seed, startup_trials=3)
    found = played(proposer, count, batch)
    assert found == played(proposer, count, batch)
    # A search that asks for more finds what it has, whatever the length of its last batch was.
    assert played(proposer, count + 3, batch)[:count] == found
    for values in found:
        assert values.keys() == SPACE.keys()
        assert 1e-6 <= values["learning_rate"] <= 1e-1 and 0 <= values["weight_decay"] <= 0.2
        assert values["batch_size"] in range(1, 65) and values["method.adapter"]["type"] in ("lora", "full")


def test_another_seed_proposes_others() -> None:
    assert played(OptunaProposer(seed=1), 9, 3) != played(OptunaProposer(seed=2), 9, 3)


def test_it_learns_from_what_it_has_seen(tmp_path: Path) -> None:
    def rate(trial: Trial) -> float:
        found = trial.values["learning_rate"]
        assert isinstance(found, float)
        return abs(math.log10(found) + 4)

    found = searched(tmp_path, Learner(tmp_path, skill=by_rate), trials=40, concurrency=2)
    assert found.method == "optuna" and len(found.trials) == 40
    first, last = found.trials[:8], found.trials[-16:]
    assert sum(map(rate, last)) / 16 < 0.7 * sum(map(rate, first)) / 8


def test_where_less_is_better_it_goes_down() -> None:
    def mean_rate(proposer: OptunaProposer) -> float:
        return sum(math.log10(values["learning_rate"]) for values in played(proposer, 40, 4)[-16:]) / 16

    down = mean_rate(OptunaProposer(seed=5, higher_is_better=False))
    up = mean_rate(OptunaProposer(seed=5, higher_is_better=True))
    assert abs(up + 4) < abs(down + 4)


def test_a_search_says_which_way_is_up(tmp_path: Path) -> None:
    told: list[bool] = []

    class Watching(OptunaProposer):
        def propose(self, space: Any, done: Any, n: int) -> Any:
            told.append(self.higher_is_better)
            return super().propose(space, done, n)

    judge = tk.Evaluator(DEV, scorers=[tk.scorers.Length()], batch_size=200)
    found = search(
        SPACE, rows(50), "scripted:base", evaluator=judge, trials=8, concurrency=4, method=Watching(),
        backend=Learner(tmp_path, skill=by_rate), store=MemoryStore(),
    )  # fmt: skip
    assert told == [True, False] and not found.higher_is_better


def test_failed_trials_are_told_as_such(tmp_path: Path) -> None:
    def skill(n: int, spec: tk.TuneSpec) -> float:
        return -1 if isinstance(spec.learning_rate, float) and spec.learning_rate > 1e-3 else 0.5

    found = searched(tmp_path, Learner(tmp_path, skill=skill), trials=14)
    assert {each.outcome for each in found.trials} == {"scored", "failed"} and len(found.trials) == 14
    told = OptunaProposer().propose(SPACE, [trial(0, dict(found.trials[0].values), None)] * 1, 12)
    assert len(told) == 12


def test_a_small_space_is_tried_whole_and_once(tmp_path: Path) -> None:
    backend = Learner(tmp_path, skill=lambda n, spec: 0.5)
    found = search(
        {"epochs": Choice([1, 2, 3]), "batch_size": Choice([4, 8])}, rows(50), "scripted:base", trials=20,
        method="optuna", evaluator=evaluator(), backend=backend, store=MemoryStore(), concurrency=3,
    )  # fmt: skip
    assert len(found.trials) == 6 == backend.counters.jobs
    assert "there were only 6 different specs to try, and 20 were asked for" in found.warnings


def test_a_sampler_of_ones_own(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    from optuna.samplers import RandomSampler

    method = OptunaProposer(seed=3, startup_trials=0, sampler=lambda seed: RandomSampler(seed=seed))
    found = searched(tmp_path, Learner(tmp_path, skill=by_rate), trials=5, method=method)
    assert found.method == "OptunaProposer" and len({str(each.values) for each in found.trials}) == 5
    assert Search.from_json(found.to_json()) == found


# --- killed, and made again ----------------------------------------------------------------------------

SEARCHER = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.unit.tuning import test_optuna
from tests.unit.tuning.learner import Learner

home, when = Path(sys.argv[2]), int(sys.argv[3])
seen = 0

def accepted(job_id):
    global seen
    seen += 1
    if seen == when:
        os.kill(os.getpid(), signal.SIGKILL)

backend = Learner(home, skill=test_optuna.by_rate, on_accept=accepted, events_per_poll=1)
test_optuna.searched(home, backend)
"""


@pytest.mark.parametrize("when", [3, 13])
def test_after_a_kill_the_rest_is_that_of_an_uninterrupted_search(tmp_path: Path, when: int) -> None:
    with start_python(SEARCHER, ROOT, tmp_path, when) as child:
        out, errors = child.communicate(timeout=60)
    assert (child.returncode, out, errors) == (-signal.SIGKILL, "", "")
    backend = Learner(tmp_path, skill=by_rate, events_per_poll=1)
    assert backend.counters.jobs == when
    found = searched(tmp_path, backend)
    assert backend.counters.jobs == 16 == len(set(backend.keys))
    control = searched(tmp_path / "control", Learner(tmp_path / "control", skill=by_rate))
    assert [each.values for each in found.trials] == [each.values for each in control.trials]
    assert found.best_number == control.best_number


# --- a guest --------------------------------------------------------------------------------------------

GUEST = """
import logging
logging.getLogger("optuna").setLevel(logging.ERROR)
def state():
    log = logging.getLogger("optuna")
    return log.level, log.propagate, list(log.handlers), [
        each.filters for name in logging.root.manager.loggerDict
        if name.startswith("optuna") and (each := logging.getLogger(name)).filters], logging.root.handlers
before = state()
from tunekit.tuning import LogUniform, OptunaProposer
import sys
assert "optuna" not in sys.modules
found = OptunaProposer(startup_trials=1).propose({"learning_rate": LogUniform(low=1e-5, high=1)}, [], 3)
assert "optuna" in sys.modules and len(found) == 3
assert state() == before, (state(), before)
"""


def test_it_says_nothing_and_leaves_logging_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", GUEST], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_host_that_uses_optuna_hears_its_own_studies(caplog: pytest.LogCaptureFixture) -> None:
    host = pytest.importorskip("optuna")
    host.logging.enable_propagation()
    with caplog.at_level("INFO", logger="optuna"):
        OptunaProposer(startup_trials=0).propose(SPACE, [], 2)
        assert caplog.records == []
        host.create_study()
    assert [record.name for record in caplog.records] != []
    host.logging.disable_propagation()


def test_without_optuna_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(optuna, "import_module", missing)
    backend = Learner(tmp_path)
    with pytest.raises(MissingExtraError, match="'optuna' is not installed") as caught:
        searched(tmp_path, backend)
    assert "pip install 'tunekit[optuna]'" in caught.value.hint and backend.counters.submits == 0


@pytest.mark.parametrize("options", [{"seed": -1}, {"startup_trials": 1.5}])
def test_wrong_numbers_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        OptunaProposer(**options)
