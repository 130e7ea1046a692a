"""The forgetting report against formulas worked out by hand, and what it refuses. Knows stored evaluations only."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.evaluation.stored import scored, stored
from tunekit.errors import EvaluationError, NotFoundError, SpecError, TunekitError
from tunekit.evaluation.compare import compare_evaluations
from tunekit.evaluation.results import Evaluation
from tunekit.evaluation.stats import holm, mcnemar_mid_p, tango, wilson
from tunekit.retrain.continual import Forgetting
from tunekit.retrain.gate import Gate, Guardrail

N = 100


def right(count: int, *, n: int = N, test: str = "f", first: int = 0) -> Evaluation:
    """Right on `count` of `n` items from the item `first` on, and on no other."""
    return of([float(first <= at < first + count) for at in range(n)], test)


def of(values: Sequence[float], test: str = "f", **options: Any) -> Evaluation:
    found = stored("m", scored(values), **options)
    return found.model_copy(
        update={"provenance": found.provenance.model_copy(update={"test_fingerprint": test})}
    )


# Right answers of 100 by stage and task, and of the untrained model.
COUNTS = {"one": (90, 20, 10), "two": (70, 85, 15), "three": (60, 82, 88)}
UNTRAINED = (25, 30, 12)
TASKS = ("a", "b", "c")


def report(**options: Any) -> Forgetting:
    stages = {
        stage: {task: right(count, test=task) for task, count in zip(TASKS, counts, strict=True)}
        for stage, counts in COUNTS.items()
    }
    baseline = {task: right(count, test=task) for task, count in zip(TASKS, UNTRAINED, strict=True)}
    return Forgetting.of(stages, baseline=baseline, **options)


def test_the_four_numbers_are_those_of_the_formulas() -> None:
    found = report()
    for value, expected in (
        (found.average, (60 + 82 + 88) / 3),
        (found.backward_transfer, ((60 - 90) + (82 - 85)) / 2),
        (found.forgetting, ((90 - 60) + (85 - 82)) / 2),
        (found.forward_transfer, ((20 - 30) + (15 - 12)) / 2),
    ):
        assert value is not None
        assert value.estimate == pytest.approx(expected / 100)
        assert value.low < value.estimate < value.high


def test_every_cell_has_its_interval() -> None:
    found = report()
    assert found.full.cells["two"]["b"] == wilson(85, 100)
    assert found.full.untrained["c"] == wilson(12, 100)
    assert [set(row) for row in found.full.cells.values()] == [set(TASKS)] * 3


def test_differences_are_paired_and_corrected_over_tasks() -> None:
    backward = report().full.backward
    assert list(backward) == ["a", "b"]
    assert backward["a"].delta == tango(0, 30, 100)
    p_values = [mcnemar_mid_p(0, 30), mcnemar_mid_p(0, 3)]
    assert [backward[task].p_value for task in "ab"] == pytest.approx(p_values)
    assert [backward[task].p_adjusted for task in "ab"] == pytest.approx(holm(p_values))
    assert [backward[task].outcome for task in "ab"] == ["worse", "unclear"]


def test_pairing_sees_what_equal_totals_hide() -> None:
    kept, swapped = right(50, test="a"), right(50, test="a", first=50)
    b = right(60, test="b")
    same = Forgetting.of({"1": {"a": kept}, "2": {"a": kept, "b": b}}).full.backward["a"].delta
    other = Forgetting.of({"1": {"a": kept}, "2": {"a": swapped, "b": b}}).full.backward["a"].delta
    assert same.estimate == other.estimate == 0.0
    assert other.high - other.low > 5 * (same.high - same.low)


def test_forgetting_is_from_the_best_stage_and_not_from_the_own() -> None:
    stages = {
        "1": {"a": right(70, test="a")},
        "2": {"a": right(95, test="a"), "b": right(50, test="b")},
        "3": {"a": right(80, test="a"), "b": right(55, test="b"), "c": right(50, test="c")},
    }
    found = Forgetting.of(stages)
    assert found.full.forgotten["a"].stage == "2"
    assert found.full.forgotten["a"].lost.estimate == pytest.approx(0.15)
    assert found.full.forgotten["b"].lost.estimate == pytest.approx(-0.05)
    assert found.backward_transfer is not None and found.forgetting is not None
    assert found.backward_transfer.estimate == pytest.approx((0.10 + 0.05) / 2)
    assert found.forgetting.estimate == pytest.approx((0.15 - 0.05) / 2)


def test_worst_and_forgot() -> None:
    found = report()
    assert found.worst is not None and found.worst.task == "a"
    assert found.forgot == ("a",)
    assert "FORGOT" in str(found)


def test_a_probe_set_is_a_column_that_no_mean_has() -> None:
    stages = {
        "1": {"a": right(90, test="a"), "chat": right(80, test="chat")},
        "2": {"a": right(88, test="a"), "b": right(70, test="b"), "chat": right(40, test="chat")},
    }
    found = Forgetting.of(stages, probes=["chat"])
    assert found.average is not None and found.average.estimate == pytest.approx((0.88 + 0.70) / 2)
    assert found.general["chat"].delta == tango(0, 40, 100)
    assert found.full.cells["2"]["chat"] == wilson(40, 100)
    assert found.forgot == ("chat",)
    assert "chat (probe)" in str(found)
    with_baseline = Forgetting.of(stages, probes=["chat"], baseline={"chat": right(95, test="chat")})
    assert with_baseline.general["chat"].before.estimate == 0.95


def test_stages_may_learn_several_tasks_or_none() -> None:
    stages = {
        "1": {"a": right(90, test="a"), "b": right(60, test="b")},
        "2": {"a": right(80, test="a"), "b": right(60, test="b")},
    }
    with pytest.raises(SpecError, match="2 stages and 3 tasks"):
        Forgetting.of({**stages, "2": {**stages["2"], "c": right(5, test="c")}})
    found = Forgetting.of(stages, learned={"a": "1", "b": "1"})
    assert list(found.full.backward) == ["a", "b"]
    with pytest.raises(SpecError, match="learned has 'x' for the task 'b'"):
        Forgetting.of(stages, learned={"a": "1", "b": "x"})


def test_one_stage_has_forgotten_nothing() -> None:
    found = Forgetting.of({"1": {"a": right(90, test="a")}})
    assert (found.worst, found.backward_transfer, found.comparisons(), found.forgot) == (None, None, {}, ())
    assert "no task was learned before" in str(found)


def test_less_may_be_better() -> None:
    def errors(values: Sequence[float], test: str) -> Evaluation:
        return of(values, test, higher_is_better=False)

    low, high = [0.1 + 0.01 * (at % 5) for at in range(N)], [0.5 + 0.01 * (at % 7) for at in range(N)]
    found = Forgetting.of(
        {"1": {"a": errors(low, "a")}, "2": {"a": errors(high, "a"), "b": errors(low, "b")}}
    )
    assert found.worst is not None and found.worst.delta.estimate < -0.3
    assert found.worst.after.estimate > found.worst.before.estimate
    assert found.full.forgotten["a"].lost.estimate > 0.3


def test_scorers_without_a_common_scale_have_no_mean() -> None:
    lengths = of([100.0 + at for at in range(N)], "b")
    other = lengths.model_copy(
        update={
            "metrics": {"length": lengths["score"].model_copy(update={"name": "length"})},
            "items": tuple(
                item.model_copy(update={"scores": {"length": item.scores["score"]}}) for item in lengths.items
            ),
            "provenance": lengths.provenance.model_copy(update={"scorers": {"length": {"type": "t"}}}),
        }
    )
    found = Forgetting.of({"1": {"a": right(90, test="a")}, "2": {"a": right(80, test="a"), "b": other}})
    assert found.average is None and found.backward_transfer is None
    assert "'b'" in found.full.refusal
    assert "no means over tasks" in str(found)


def test_evaluations_of_one_task_must_be_alike() -> None:
    with pytest.raises(EvaluationError, match="not evaluated alike on 'a': test set"):
        Forgetting.of(
            {"1": {"a": right(9, test="a")}, "2": {"a": right(9, test="x"), "b": right(9, test="b")}}
        )
    other = of([1.0] * N, "a", config={"labels": "many"})
    with pytest.raises(EvaluationError, match="not evaluated alike on 'a': scorer 'score'"):
        Forgetting.of({"1": {"a": right(9, test="a")}, "2": {"a": other, "b": right(9, test="b")}})
    with pytest.raises(EvaluationError, match="not evaluated alike on 'a'"):
        Forgetting.of({"1": {"a": right(9, test="a")}}, baseline={"a": right(9, test="x")})
    with pytest.raises(EvaluationError, match="stage '2' has no evaluation of 'a'"):
        Forgetting.of({"1": {"a": right(9, test="a")}, "2": {"b": right(9, test="b")}})


@pytest.mark.parametrize(
    ("stages", "options", "error", "says"),
    [
        ({}, {}, SpecError, "stages is empty"),
        ([right(1)], {}, SpecError, "stages is"),
        ({"1": right(1)}, {}, SpecError, r"stages\['1'\] is"),
        ({"1": {}}, {}, SpecError, r"stages\['1'\] is"),
        ({"1": {"a": right(1)}}, {"probes": ["chat"]}, SpecError, "probes names 'chat'"),
        ({"1": {"a": right(1)}}, {"baseline": {"b": right(1)}}, SpecError, "baseline names 'b'"),
        ({"1": {"a": right(1)}}, {"learned": {"b": "1"}}, SpecError, "learned names 'b'"),
        ({"1": {"a": right(1)}}, {"scorer": "bleu"}, NotFoundError, "no scorer 'bleu'"),
        ({"1": {"a": right(1)}}, {"scorer": {}}, SpecError, "none for the task 'a'"),
        ({"1": {"a": right(1)}}, {"level": 95}, SpecError, "level"),
        ({"1": {"a": right(1)}}, {"probes": ["a"]}, SpecError, "0 tasks"),
    ],
)
def test_wrong_arguments_are_named(
    stages: Any, options: dict[str, Any], error: type[TunekitError], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        Forgetting.of(stages, **options)
    assert caught.value.hint


def test_a_gate_takes_its_comparisons() -> None:
    found = report()
    new = compare_evaluations(right(60, test="new"), right(85, test="new"))
    gate = Gate(primary="score", guardrails=[Guardrail(of="score", margin=0.1, task=task) for task in "ab"])
    decision = gate.decide(new, tasks=found.comparisons())
    assert decision.verdict == "reject"
    assert decision["score of a"].outcome == "failed" and decision["score of b"].outcome == "passed"


def test_it_is_stored_and_read() -> None:
    found = report()
    again = Forgetting.from_json(found.to_json())
    assert again == found
    assert str(again) == str(found)
    with pytest.raises(SpecError, match="stages"):
        Forgetting.from_json('{"stages": 3}')


@given(st.lists(st.lists(st.integers(0, 20), min_size=3, max_size=3), min_size=3, max_size=3))
def test_forgetting_is_never_less_than_what_was_lost_since_learning(counts: list[list[int]]) -> None:
    stages = {
        f"{at}": {task: right(count, n=20, test=task) for task, count in zip(TASKS, row, strict=True)}
        for at, row in enumerate(counts)
    }
    found = Forgetting.of(stages)
    assert found.forgetting is not None and found.backward_transfer is not None
    assert found.forgetting.estimate >= -found.backward_transfer.estimate - 1e-12
    assert found.forward_transfer is None
    for value in (found.forgetting, found.backward_transfer, found.average):
        assert value is not None and value.low - 1e-12 <= value.estimate <= value.high + 1e-12
    for task, effect in found.full.backward.items():
        exact = (counts[2][TASKS.index(task)] - counts[TASKS.index(task)][TASKS.index(task)]) / 20
        assert effect.delta.estimate == pytest.approx(exact)


@pytest.mark.parametrize("reports", [20, pytest.param(600, marks=pytest.mark.soak)])
def test_equal_models_are_seldom_said_to_have_forgotten(reports: int) -> None:
    """Holm over six tasks: at most 5 % of reports have a false alarm, within the noise of so many."""
    chance = random.Random(0)

    def coin(test: str) -> Evaluation:
        return of([float(chance.random() < 0.8) for _ in range(150)], test)

    alarms = 0
    for _ in range(reports):
        tasks = [f"t{at}" for at in range(6)]
        stages = {"1": {task: coin(task) for task in tasks}, "2": {task: coin(task) for task in tasks}}
        found = Forgetting.of(stages, learned=dict.fromkeys(tasks, "1"))
        alarms += any(effect.outcome != "unclear" for effect in found.full.backward.values())
    assert alarms <= reports * 0.05 + 3 * (reports * 0.05 * 0.95) ** 0.5
