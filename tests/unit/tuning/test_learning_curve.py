"""Learning curves as a user sees them: points, means, the fit and what a target needs. Scripted models that learn."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import tunekit as tk
from tests.unit.tuning.learner import DEV, Learner, evaluator, rows
from tunekit.errors import EvaluationError, ModelError, PreflightError, SpecError
from tunekit.store import MemoryStore
from tunekit.testing import ScriptedBackend, tiny_dataset
from tunekit.tuning import LearningCurve, learning_curve, learning_curve_async

SIZES = (50, 100, 200, 400)


def measured(backend: ScriptedBackend, **options: Any) -> LearningCurve:
    given = {"evaluator": evaluator(), "sizes": SIZES, "store": MemoryStore(), **options}
    return learning_curve(rows(800), "scripted:base", backend=backend, **given)


def test_one_job_for_each_size_and_seed_and_a_fit_through_them(tmp_path: Path) -> None:
    backend = Learner(tmp_path)
    curve = measured(backend)
    assert backend.counters.jobs == 12
    assert [(point.size, point.seed) for point in curve.points] == [
        (n, seed) for n in SIZES for seed in range(3)
    ]
    assert [mean.score.n for mean in curve.means] == [3] * 4
    assert curve.means[-1].score.estimate == pytest.approx(0.8, abs=0.02)
    assert curve.law is not None and curve.law.at(1600).estimate == pytest.approx(0.85, abs=0.03)
    assert curve.warnings == ()
    # 12 jobs of three epochs: 3 seeds * 3 epochs * 750 rows, at a dollar for a thousand.
    assert curve.cost_usd == pytest.approx(6.75)


def test_a_seed_is_that_of_the_rows_and_of_the_spec_and_parts_are_nested(tmp_path: Path) -> None:
    seen: dict[tuple[int, int], set[str]] = {}

    class Watching(Learner):
        async def submit(self, request: Any) -> str:
            seen[len(request.train), request.spec.seed] = {row.prompt for row in request.train}
            return await super().submit(request)

    measured(Watching(tmp_path), seeds=2, spec=tk.TuneSpec(seed=7))
    assert sorted(seen) == [(n, seed) for n in SIZES for seed in (7, 8)]
    assert all(seen[n, 7] < seen[2 * n, 7] for n in SIZES[:-1])
    assert seen[100, 7] != seen[100, 8]


def test_what_a_target_needs(tmp_path: Path) -> None:
    curve = measured(Learner(tmp_path))
    reached = curve.needed_for(0.75)
    assert (reached.reach, reached.n, bool(reached)) == ("measured", 200, True)
    further = curve.needed_for(0.83)
    assert further.reach == "extrapolated" and further.n is not None and further.low is not None
    assert 400 < further.low <= further.n < 3200 and 500 < further.n < 1400
    assert further.high is None or further.high >= further.n
    never = curve.needed_for(0.99)
    assert (never.reach, never.n, bool(never)) == ("unreachable", None, False)
    assert "at 3,200 rows, 8 times the largest size" in str(never)


def test_with_fewer_than_four_sizes_there_is_no_fit_and_no_guess(tmp_path: Path) -> None:
    curve = measured(Learner(tmp_path), sizes=(50, 100, 200))
    assert curve.law is None and "needs 4 sizes with a score, and there are 3" in curve.refusal
    assert curve.needed_for(0.7).n == 100
    with pytest.raises(EvaluationError, match="no size that was measured reaches 0\\.9") as caught:
        curve.needed_for(0.9)
    assert "at least 4 sizes" in caught.value.hint
    assert "no fit" in str(curve)


def test_a_stored_curve_is_the_curve(tmp_path: Path) -> None:
    curve = measured(Learner(tmp_path))
    again = LearningCurve.from_json(curve.to_json(indent=1))
    assert again == curve and again.needed_for(0.83) == curve.needed_for(0.83) and str(again) == str(curve)
    lines = str(curve).splitlines()
    assert lines[0] == "scripted:base, exact_match on 200 dev items, jobs $6.75"
    assert lines[1].split() == ["rows", "exact_match", "seeds"] and lines[2].startswith("50 ")
    assert lines[6].startswith("fit: ") and lines[-1].startswith("[95 % intervals")


def test_a_single_seed_has_no_interval_and_says_so(tmp_path: Path) -> None:
    curve = measured(Learner(tmp_path), seeds=[3])
    assert any("with one seed" in warning for warning in curve.warnings)
    assert curve.means[0].score.high == float("inf") and "inf" not in str(curve)


def test_calling_it_again_makes_no_job_and_more_sizes_only_theirs(tmp_path: Path) -> None:
    backend, store = Learner(tmp_path), MemoryStore()
    first = measured(backend, store=store)
    assert measured(backend, store=store) == first and backend.counters.jobs == 12
    measured(backend, store=store, sizes=(*SIZES, 800), seeds=4)
    assert backend.counters.jobs == 20


def test_a_job_that_fails_is_a_point_with_its_error_and_is_not_paid_again(tmp_path: Path) -> None:
    def skill(n: int, spec: tk.TuneSpec) -> float:
        return -1 if (n, spec.seed) == (200, 1) else 0.5

    backend, store = Learner(tmp_path, skill=skill), MemoryStore()
    curve = measured(backend, store=store)
    (failed,) = [point for point in curve.points if point.score is None]
    assert (failed.size, failed.seed, failed.outcome) == (200, 1, "failed") and "failed" in failed.error
    assert any(warning.startswith("1 point of 12 without a score") for warning in curve.warnings)
    assert curve.means[2].score.n == 2
    assert measured(backend, store=store).points == curve.points and backend.counters.jobs == 12
    measured(backend, store=store, retry_failed=True)
    assert backend.counters.jobs == 13


def test_a_model_that_cannot_be_scored_is_a_point_with_its_error(tmp_path: Path) -> None:
    class Mute(Learner):
        async def generate(self, model: str, requests: Any, sampling: Any) -> Any:
            raise tk.BackendError("the model is asleep", hint="wake it")

    curve = measured(Mute(tmp_path), seeds=1)
    assert {point.outcome for point in curve.points} == {"unscored"} and curve.means == ()
    assert "the model is asleep" in curve.points[0].error and curve.points[0].model


def test_what_does_not_fit_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    backend = Learner(tmp_path)
    with pytest.raises(PreflightError, match="'dpo' needs"):
        measured(backend, spec=tk.TuneSpec(method=tk.DPO()))
    with pytest.raises(SpecError, match="metric is 'accuracy'"):
        measured(backend, metric="accuracy")
    with pytest.raises(SpecError, match="sizes are"):
        measured(backend, sizes=[900])
    wrong: dict[str, Any]
    for wrong in ({"seeds": 0}, {"seeds": []}, {"seeds": [-1]}, {"concurrency": 0}):
        with pytest.raises(SpecError):
            measured(backend, **wrong)

    class Empty(Learner):
        async def identify(self, model: str) -> str:
            raise ModelError("no such model", hint="make one")

    with pytest.raises(ModelError):
        measured(Empty(tmp_path))
    assert backend.counters.submits == 0


def test_dev_items_that_were_trained_on_are_told(tmp_path: Path) -> None:
    curve = learning_curve(
        DEV, "scripted:base", evaluator=evaluator(), sizes=[50, 100], seeds=1, backend=Learner(tmp_path),
        store=MemoryStore(),
    )  # fmt: skip
    assert "200 dev items of 200 are in the training data, so scores are too high" in curve.warnings


async def test_async_and_models_are_scored_one_at_a_time(tmp_path: Path) -> None:
    asked: Counter[str] = Counter()
    most = 0

    class Watching(Learner):
        async def generate(self, model: str, requests: Any, sampling: Any) -> Any:
            nonlocal most
            asked[model] += 1
            most = max(most, sum(calls > 0 for calls in asked.values()))
            await self.clock.sleep(1)
            asked[model] -= 1
            return await super().generate(model, requests, sampling)

    curve = await learning_curve_async(
        rows(800), "scripted:base", evaluator=evaluator(), sizes=SIZES, backend=Watching(tmp_path),
        store=MemoryStore(), concurrency=12,
    )  # fmt: skip
    assert most == 1 and len(curve.points) == 12


def test_classes_that_find_no_room_are_told(tmp_path: Path) -> None:
    train = tk.Dataset(tk.LabelledExample(text=f"t{n}", label=f"{n % 30}") for n in range(120))
    curve = learning_curve(
        train, "scripted:base", evaluator=tk.Evaluator(tiny_dataset(name="dev")), sizes=[10, 60], seeds=2,
        spec=tk.TuneSpec(method=tk.Probe()), backend=Learner(tmp_path), store=MemoryStore(),
    )  # fmt: skip
    assert "10 rows have no room for all of the 30 classes" in curve.warnings
