"""A search as a user sees it: trials, rungs, the best, and what goes wrong with some. Scripted models that learn."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

import tunekit as tk
from tests.unit.tuning.learner import Learner, evaluator, rows
from tunekit.backends import Generation
from tunekit.errors import EvaluationError, SpecError
from tunekit.store import MemoryStore
from tunekit.testing import ScriptedBackend
from tunekit.tuning import Choice, IntUniform, LogUniform, Search, search, search_async

SPACE = {"learning_rate": LogUniform(low=1e-5, high=1e-2), "method.adapter.rank": Choice([8, 16, 32])}


def by_rate(n: int, spec: tk.TuneSpec) -> float:
    """Best at 1e-4; more epochs help a little."""
    rate = spec.learning_rate
    assert isinstance(rate, float) and isinstance(spec.epochs, float)
    return 0.8 - 0.1 * abs(math.log10(rate) + 4) + 0.01 * spec.epochs


def searched(backend: ScriptedBackend, space: Any = None, **options: Any) -> Search:
    given = {"evaluator": evaluator(), "trials": 9, "store": MemoryStore(), **options}
    return search(space or SPACE, rows(100), "scripted:base", backend=backend, **given)


def test_the_best_spec_is_the_one_that_scores_best_on_dev(tmp_path: Path) -> None:
    backend = Learner(tmp_path, skill=by_rate)
    found = searched(backend, trials=12)
    assert backend.counters.jobs == 12
    best = max(found.trials, key=lambda trial: trial.rungs[0].value)
    assert found.best == best and found.best_spec == best.spec
    assert isinstance(found.best_spec.learning_rate, float) and 3e-5 < found.best_spec.learning_rate < 3e-4
    assert found.best.values["method.adapter.rank"] == found.best_spec.method.adapter.rank  # type: ignore[union-attr]
    assert found.cost_usd == pytest.approx(12 * 0.3)


def test_halving_trains_many_a_little_and_few_long(tmp_path: Path) -> None:
    backend = Learner(tmp_path, skill=by_rate)
    found = searched(backend, trials=9, spec=tk.TuneSpec(epochs=9), eta=3)
    assert sorted(len(trial.rungs) for trial in found.trials) == [1] * 6 + [2, 2, 3]
    assert backend.counters.jobs == 13
    assert [rung.epochs for rung in found.best.rungs] == [1.0, 3.0, 9.0]
    assert found.best_spec.epochs == 9.0
    first = sorted(found.trials, key=lambda trial: -trial.rungs[0].value)
    assert {trial.number for trial in first[:3]} == {t.number for t in found.trials if len(t.rungs) > 1}
    # 9 * 1 + 3 * 3 + 1 * 9 epochs of 100 rows, where nine times nine would be 8.10.
    assert found.cost_usd == pytest.approx(2.7)


def test_a_stored_search_is_the_search_and_prints_the_best_first(tmp_path: Path) -> None:
    found = searched(Learner(tmp_path, skill=by_rate), trials=4)
    assert Search.from_json(found.to_json()) == found
    lines = str(found).splitlines()
    assert lines[0] == "scripted:base, halton, 4 trials, exact_match on 200 dev items, jobs $1.20"
    assert lines[2].startswith(f"#{found.best_number} ") and lines[2].endswith("best")
    assert lines[-1].startswith("warning: the best of 4 equal trials would read about")


def test_calling_it_again_finds_the_same_jobs_and_more_trials_only_add_theirs(tmp_path: Path) -> None:
    backend, store = Learner(tmp_path, skill=by_rate), MemoryStore()
    first = searched(backend, store=store, trials=5)
    assert searched(backend, store=store, trials=5) == first and backend.counters.jobs == 5
    more = searched(backend, store=store, trials=8)
    assert more.trials[:5] == first.trials and backend.counters.jobs == 8
    turned = dict(reversed(SPACE.items()))
    assert searched(backend, turned, store=store, trials=8) == more and backend.counters.jobs == 8


def test_a_trial_that_fails_is_a_trial_with_its_error(tmp_path: Path) -> None:
    def skill(n: int, spec: tk.TuneSpec) -> float:
        return -1 if spec.epochs == 2 else 0.1 * float(spec.epochs)

    backend = Learner(tmp_path, skill=skill, refuses=400)
    space = {"epochs": Choice([1, 2, 3, 4])}
    found = searched(backend, space, method="grid", trials=4)
    assert [trial.outcome for trial in found.trials] == ["scored", "failed", "scored", "refused"]
    assert found.best.values == {"epochs": 3} and "no such job is taken here" in found.trials[3].why
    assert any(text.startswith("2 trials of 4 without a score; the first: ") for text in found.warnings)
    assert "failed" in str(found) and "refused" in str(found)


def test_where_nothing_has_a_score_there_is_a_record_and_no_best(tmp_path: Path) -> None:
    found = searched(Learner(tmp_path, skill=lambda n, spec: -1), trials=2)
    assert found.best_number is None and found.optimism is None
    for ask in (lambda: found.best, lambda: found.best_spec):
        with pytest.raises(EvaluationError, match="none of 2 trials has a score; the first: "):
            ask()
    assert Search.from_json(str(found.to_json())) == found


def test_a_failed_trial_is_not_promoted_and_a_rung_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    def skill(n: int, spec: tk.TuneSpec) -> float:
        return -1 if spec.epochs == 4 else by_rate(n, spec)

    found = searched(Learner(tmp_path, skill=skill), trials=4, spec=tk.TuneSpec(epochs=4), eta=2)
    assert [rung.epochs for rung in found.best.rungs] == [1.0, 2.0] and found.best_spec.epochs == 2.0
    assert "no trial has a score with all epochs; the best is that of rung 2 of 3" in found.warnings


def test_a_small_space_is_tried_once_and_told(tmp_path: Path) -> None:
    for method in ("halton", "random", "grid"):
        backend = Learner(tmp_path / method, skill=lambda n, spec: 0.5)
        found = searched(backend, {"epochs": Choice([1, 2, 3])}, method=method, trials=10)
        assert sorted(trial.values["epochs"] for trial in found.trials) == [1, 2, 3]  # type: ignore[type-var]
        assert backend.counters.jobs == 3
        assert "there were only 3 different specs to try, and 10 were asked for" in found.warnings


def test_the_winners_curse_has_a_size(tmp_path: Path) -> None:
    """Models of equal skill that are right on items of their own: all that tells them apart is luck."""

    class Lucky(Learner):
        async def generate(self, model: str, requests: Any, sampling: Any) -> Any:
            import random

            numbers = [str(request.prompt).split()[-1] for request in requests]
            texts = [n if random.Random(f"{model} {n}").random() < 0.5 else "?" for n in numbers]
            return [Generation(text=text, finish_reason="stop") for text in texts]

    found = searched(Lucky(tmp_path, skill=lambda n, spec: 0.5), trials=16)
    best = found.best.score
    assert best is not None and found.optimism is not None
    # 16 means of 200 tosses: the largest is expected 1.77 standard errors too high, of 0.0354 each.
    assert found.optimism == pytest.approx(1.766 * math.sqrt(0.25 / 200), rel=0.05)
    assert 0.5 < best.estimate < 0.5 + 2 * found.optimism


class Climbing:
    """Goes on from the best value so far: what Optuna and its kin do, in two lines."""

    def propose(self, space: Any, done: Any, n: int) -> list[dict[str, Any]]:
        best = max(done, key=lambda trial: trial.rungs[0].value, default=None)
        start = best.values["epochs"] if best else 0
        return [{"epochs": start + step} for step in range(1, n + 1)]


def test_an_object_proposes_by_what_it_has_seen(tmp_path: Path) -> None:
    backend, store = Learner(tmp_path, skill=lambda n, spec: 0.05 * float(spec.epochs)), MemoryStore()
    options: dict[str, Any] = {"method": Climbing(), "trials": 6, "concurrency": 2, "store": store}
    found = searched(backend, {"epochs": IntUniform(low=1, high=50)}, **options)
    assert [trial.values["epochs"] for trial in found.trials] == [1, 2, 3, 4, 5, 6]
    assert found.method == "Climbing" and found.best.number == 5
    assert searched(backend, {"epochs": IntUniform(low=1, high=50)}, **options) == found
    assert backend.counters.jobs == 6


def test_a_proposal_for_other_fields_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="a proposal has values for \\['epochs'\\]"):
        searched(Learner(tmp_path), method=Climbing())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eta": 3, "spec": tk.TuneSpec(epochs=2)}, "eta is 3, and spec.epochs 2.0"),
        ({"eta": 3, "spec": tk.TuneSpec(epochs="auto")}, "eta is 3, and spec.epochs 'auto'"),
        ({"eta": 1}, "eta is 1"),
        ({"eta": 3, "space": {"epochs": Choice([1, 2])}}, "both the space and eta choose epochs"),
        ({"trials": 0}, "trials is 0"),
        ({"method": "sobol"}, "method is 'sobol'"),
        ({"method": "grid"}, "'learning_rate'] is no Choice"),
        ({"metric": "f1"}, "metric is 'f1'"),
        (
            {"budget": tk.Budget(max_usd=1), "backend": ScriptedBackend()},
            "the price of 'scripted:base' is not known",
        ),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_sent(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    backend = options.pop("backend", None) or Learner(tmp_path)
    with pytest.raises(SpecError) as caught:
        searched(backend, options.pop("space", None), **options)
    assert message in caught.value.message and caught.value.hint
    assert backend.counters.submits == 0


async def test_async_twin(tmp_path: Path) -> None:
    found = await search_async(
        SPACE, rows(50), "scripted:base", evaluator=evaluator(), trials=2, store=MemoryStore(),
        backend=Learner(tmp_path, skill=by_rate),
    )  # fmt: skip
    assert [trial.outcome for trial in found.trials] == ["scored", "scored"]
