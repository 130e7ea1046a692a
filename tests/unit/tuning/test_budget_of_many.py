"""The budget of all jobs together: what would exceed it is not sent, and a restart with more money goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tunekit as tk
from tests.unit.tuning.learner import Learner, evaluator, rows
from tunekit.backends import Snapshot
from tunekit.store import MemoryStore
from tunekit.tuning import Choice, LearningCurve, Search, learning_curve, search

EPOCHS = {"epochs": Choice([1, 2, 3, 4])}


def curve(backend: Learner, store: MemoryStore, **budget: float) -> LearningCurve:
    # Three jobs of each size at three epochs: 0.45, 0.90, 1.80 and 3.60 dollars, and as many thousand seconds.
    return learning_curve(
        rows(400), "scripted:base", evaluator=evaluator(), sizes=[50, 100, 200, 400], backend=backend,
        store=store, budget=tk.Budget(**budget),
    )  # fmt: skip


def searched(backend: Learner, store: MemoryStore, **options: Any) -> Search:
    return search(
        EPOCHS, rows(100), "scripted:base", evaluator=evaluator(), trials=4, method="grid", backend=backend,
        store=store, **options,
    )  # fmt: skip


@pytest.mark.parametrize("budget", [{"max_usd": 3.2}, {"max_seconds": 3200}])
def test_nothing_is_sent_that_would_exceed_it(tmp_path: Path, budget: dict[str, float]) -> None:
    backend = Learner(tmp_path)
    found = curve(backend, MemoryStore(), **budget)
    assert backend.counters.jobs == 9 and found.cost_usd == pytest.approx(3.15)
    late = [point for point in found.points if point.outcome == "not sent"]
    assert [point.size for point in late] == [400] * 3
    assert "budget.max_" in late[0].error and "3 points of 12 without a score" in found.warnings[0]
    assert found.law is None and "there are 3" in found.refusal


def test_a_dear_job_waits_for_the_news_of_a_cheap_one(tmp_path: Path) -> None:
    backend = Learner(tmp_path)
    found = curve(backend, MemoryStore(), max_usd=0.4)
    # Jobs of 0.15 are all that anybody can know of before the first has ended; two of them fit.
    assert backend.counters.jobs == 2 and found.cost_usd == pytest.approx(0.3)


def test_called_again_with_more_money_it_pays_only_for_the_rest(tmp_path: Path) -> None:
    backend, store = Learner(tmp_path), MemoryStore()
    short = curve(backend, store, max_usd=3.2)
    assert curve(backend, store, max_usd=3.2) == short and backend.counters.jobs == 9
    whole = curve(backend, store, max_usd=7)
    assert backend.counters.jobs == 12 and whole.points[:9] == short.points[:9]
    # What is paid is paid: with less money than it has cost, the old jobs are all there.
    assert curve(backend, store, max_usd=0.1).points == whole.points and backend.counters.jobs == 12


def test_a_search_keeps_it_and_names_the_best_of_what_it_could_pay(tmp_path: Path) -> None:
    backend = Learner(tmp_path, skill=lambda n, spec: 0.2 * float(spec.epochs))
    found = searched(backend, MemoryStore(), budget=tk.Budget(max_usd=0.65), concurrency=1)
    assert [trial.outcome for trial in found.trials] == ["scored", "scored", "scored", "not sent"]
    assert found.best.values == {"epochs": 3} and found.cost_usd == pytest.approx(0.6)


def test_a_price_of_the_caller_is_enough(tmp_path: Path) -> None:
    class Unpriced(Learner):
        def price(self, model: str, spec: tk.TuneSpec) -> None:
            return None

    budget = tk.Budget(max_usd=0.65, usd_per_million_tokens=1.0)
    backend = Unpriced(tmp_path, skill=lambda n, spec: 0.5)
    found = searched(backend, MemoryStore(), budget=budget, concurrency=1)
    assert backend.counters.jobs == 3 and found.cost_usd == pytest.approx(0.6)


def test_a_cost_that_nobody_knows_ends_what_has_a_limit_in_money(tmp_path: Path) -> None:
    class Silent(Learner):
        async def snapshot(self, job_id: str) -> Snapshot:
            return await super(Learner, self).snapshot(job_id)

    backend = Silent(tmp_path, skill=lambda n, spec: 0.5)
    found = searched(backend, MemoryStore(), budget=tk.Budget(max_usd=10))
    assert backend.counters.jobs == 1 and found.cost_usd is None
    assert "has cost is not known, so budget.max_usd could not be kept" in found.trials[1].why


def test_a_failed_job_counts_with_what_it_cost(tmp_path: Path) -> None:
    backend = Learner(tmp_path, skill=lambda n, spec: -1)
    found = searched(backend, MemoryStore(), budget=tk.Budget(max_usd=0.4), concurrency=1)
    assert [trial.outcome for trial in found.trials] == ["failed", "failed", "not sent", "not sent"]
