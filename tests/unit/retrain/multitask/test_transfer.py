"""Who is harmed by learning together, and the mean over tasks. Knows stored evaluations only."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tunekit as tk
from tests.unit.evaluation.stored import classified, scored, stored
from tunekit.data.splitting.mixture import MixPart
from tunekit.errors import EvaluationError, NotFoundError, SpecError, TunekitError
from tunekit.evaluation.results import Evaluation
from tunekit.evaluation.stats import holm, mcnemar_mid_p, tango, wilson
from tunekit.retrain.multitask import (
    MacroAverage,
    Transfer,
    macro_average,
    negative_transfer,
    repeat_warnings,
)


def right(count: int, n: int = 200, **options: Any) -> Evaluation:
    return stored("m", scored([float(at < count) for at in range(n)]), **options)


ALONE = {"tone": right(160), "topic": right(180), "spam": right(190)}
TOGETHER = {"tone": right(120), "topic": right(185), "spam": right(190)}


def test_each_task_is_tested_by_itself_and_corrected_for_all() -> None:
    found = negative_transfer(TOGETHER, ALONE)
    p_values = [mcnemar_mid_p(0, 40), mcnemar_mid_p(5, 0), mcnemar_mid_p(0, 0)]
    assert [effect.p_value for effect in found.tasks.values()] == pytest.approx(p_values)
    assert [effect.p_adjusted for effect in found.tasks.values()] == pytest.approx(holm(p_values))
    assert found.tasks["tone"].delta == tango(0, 40, 200)
    assert found.tasks["tone"].before == wilson(160, 200)
    assert (found.harmed, found.helped, found.worst.task) == (("tone",), (), "tone")


def test_a_gain_and_a_loss_that_cancel_are_both_seen() -> None:
    found = negative_transfer({"a": right(120), "b": right(180)}, {"a": right(150), "b": right(150)})
    assert found.change is not None and found.change.estimate == pytest.approx(0)
    assert (found.harmed, found.helped) == (("a",), ("b",))
    assert "1 task of 2 harmed: 'a'" in str(found)
    assert "HARMED" in str(found) and "helped" in str(found)


def test_means_count_every_task_once() -> None:
    found = negative_transfer(
        {"small": right(10, 20), "large": right(900, 1000)},
        {"small": right(15, 20), "large": right(900, 1000)},
    )
    assert found.multi is not None and found.single is not None and found.change is not None
    assert found.multi.estimate == pytest.approx((0.5 + 0.9) / 2)
    assert found.single.estimate == pytest.approx((0.75 + 0.9) / 2)
    assert found.change.estimate == pytest.approx(-0.125)


def test_different_scales_have_no_mean_but_a_test_each() -> None:
    def lengths(by: float) -> Evaluation:
        values = [100.0 + at % 9 + by for at in range(200)]
        return stored("m", scored(values), higher_is_better=False)

    found = negative_transfer({"a": right(150), "b": lengths(20)}, {"a": right(150), "b": lengths(0)})
    assert (found.change, found.single, found.multi) == (None, None, None)
    assert "'b'" in found.refusal and "no mean of tasks" in str(found)
    assert found.harmed == ("b",) and found.tasks["b"].delta.estimate == pytest.approx(-20)


def test_without_harm_the_worst_is_named_all_the_same() -> None:
    found = negative_transfer({"a": right(149), "b": right(150)}, {"a": right(150), "b": right(150)})
    assert found.harmed == ()
    assert "no task of 2 is shown to be harmed; the worst is 'a'" in str(found)


def test_it_is_stored_and_read() -> None:
    found = negative_transfer(TOGETHER, ALONE)
    again = Transfer.from_json(found.to_json())
    assert again == found and str(again) == str(found)


@pytest.mark.parametrize(
    ("multi", "single", "options", "error", "says"),
    [
        ({}, {}, {}, SpecError, "multi is {}"),
        (TOGETHER, {"tone": 3}, {}, SpecError, "single is"),
        (
            TOGETHER,
            {"tone": ALONE["tone"]},
            {},
            SpecError,
            "only one of multi and single has 'spam', 'topic'",
        ),
        (TOGETHER, ALONE, {"scorer": "bleu"}, NotFoundError, "no scorer 'bleu'"),
        (TOGETHER, ALONE, {"scorer": {"tone": "score"}}, SpecError, "none for the task 'topic'"),
        (TOGETHER, ALONE, {"level": 2}, SpecError, "level"),
        (
            {"a": right(1)},
            {"a": right(1, config={"k": 2})},
            {},
            EvaluationError,
            "not evaluated alike on 'a'",
        ),
    ],
)
def test_wrong_arguments_are_named(
    multi: Any, single: Any, options: dict[str, Any], error: type[TunekitError], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        negative_transfer(multi, single, **options)
    assert caught.value.hint


@pytest.mark.parametrize("rounds", [40, pytest.param(2000, marks=pytest.mark.soak)])
def test_models_that_are_alike_are_seldom_called_harmful(rounds: int) -> None:
    """At most 5 % of reports on five equal tasks name one, within the noise of so many."""
    chance = random.Random(1)

    def coin() -> Evaluation:
        return stored("m", scored([float(chance.random() < 0.8) for _ in range(150)]))

    tasks = [f"t{at}" for at in range(5)]
    alarms = 0
    for _ in range(rounds):
        found = negative_transfer({task: coin() for task in tasks}, {task: coin() for task in tasks})
        alarms += bool(found.harmed or found.helped)
    assert alarms <= rounds * 0.05 + 3 * (rounds * 0.05 * 0.95) ** 0.5


# --- the mean over tasks --------------------------------------------------------------------------


def test_one_evaluation_of_several_tasks_is_taken_apart() -> None:
    values = [1.0] * 90 + [0.0] * 5 + [1.0] * 5
    slices = [{"task": "often"}] * 90 + [{"task": "rare"}] * 10
    found = macro_average(stored("m", scored(values, slices=slices)))
    assert found.value is not None and found.value.estimate == pytest.approx(0.75)  # and 0.95 over items
    assert found.tasks["rare"] == wilson(5, 10)
    assert MacroAverage.from_json(found.to_json()) == found


def test_metrics_of_whole_tests_are_computed_for_each_task() -> None:
    items = classified(["a", "b"] * 40, (["a", "b"] * 20) + (["a"] * 40))
    sliced = [
        item.model_copy(update={"slices": {"task": "first" if at < 40 else "second"}})
        for at, item in enumerate(items)
    ]
    found = macro_average(stored("m", sliced, corpus="f1_macro"))
    assert found.tasks["first"].estimate == 1.0
    assert found.tasks["second"].estimate == pytest.approx((2 / 3) / 2)


def test_through_an_evaluator() -> None:
    parts = {
        name: tk.Dataset.from_records([{"prompt": f"{name} {n}", "completion": name} for n in range(size)])
        for name, size in (("a", 60), ("b", 20))
    }
    mix, _ = tk.Dataset.mix(parts)
    found = macro_average(tk.Evaluator(mix, slices=("task",)).run(lambda prompt: "a"))
    assert {task: value.estimate for task, value in found.tasks.items()} == {"a": 1.0, "b": 0.0}
    assert "average  50.0 %" in str(found)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(30, 60)), min_size=1, max_size=6))
def test_the_mean_is_that_of_tasks_and_narrower_than_each(counts: Sequence[tuple[int, int]]) -> None:
    found = macro_average({f"{at}": right(k, n) for at, (k, n) in enumerate(counts)})
    assert found.value is not None
    assert found.value.estimate == pytest.approx(sum(k / n for k, n in counts) / len(counts))
    assert -1e-9 <= found.value.low <= found.value.estimate <= found.value.high <= 1 + 1e-9
    widest = max(each.high - each.low for each in found.tasks.values())
    assert found.value.high - found.value.low <= widest + 1e-12


def test_an_evaluation_that_is_not_sliced_is_refused() -> None:
    with pytest.raises(NotFoundError, match="no 'task'") as caught:
        macro_average(right(5))
    assert "slices=('task',)" in caught.value.hint
    half = stored("m", scored([1.0, 0.0], slices=[{"task": "a"}, {"task": "(none)"}]))
    with pytest.raises(NotFoundError):
        macro_average(half)


# --- repeats --------------------------------------------------------------------------------------


def test_rows_that_are_learned_more_than_four_times_are_warned_of() -> None:
    report = [
        MixPart(task="small", available=10, taken=30, repeats=3),
        MixPart(task="large", available=90, taken=90, repeats=1),
    ]
    assert repeat_warnings(report) == ()
    [warning] = repeat_warnings(report, epochs=2)
    assert warning.startswith("each of the 10 rows of small is learned about 6 times")
    assert len(repeat_warnings(report, epochs=5)) == 2
    with pytest.raises(SpecError, match="epochs is 0"):
        repeat_warnings(report, epochs=0)
