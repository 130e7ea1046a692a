"""The majority baseline beside classifications, and the luck of the best of several."""

from __future__ import annotations

import pytest

from tests.unit.evaluation.fakes import TableBackend, right_on, tickets
from tests.unit.evaluation.stored import classified, scored, stored
from tunekit.errors import EvaluationError, NotFoundError
from tunekit.evaluation import stats
from tunekit.evaluation.baseline import with_baselines
from tunekit.evaluation.compare import compare_evaluations
from tunekit.evaluation.evaluator import Evaluator
from tunekit.evaluation.results import Baseline, Evaluation
from tunekit.evaluation.scorers import Accuracy, ExactMatch
from tunekit.evaluation.selection import best_of

MOSTLY = ["no"] * 90 + ["yes"] * 10


def shown(evaluation: Evaluation) -> tuple[Baseline | None, tuple[str, ...]]:
    metric = with_baselines(evaluation)["score"]
    return metric.baseline, metric.warnings


def test_a_model_that_is_worse_than_always_saying_no() -> None:
    baseline, warnings = shown(stored("m", classified(MOSTLY, ["no"] * 80 + ["yes"] * 20)))
    assert baseline == Baseline(label="no", value=0.9)
    assert warnings == ("not shown to be better than always answering 'no', which gets 0.9",)


def test_a_model_that_only_says_no_is_not_better_than_itself() -> None:
    assert shown(stored("m", classified(MOSTLY, ["no"] * 100)))[1]


def test_a_model_that_is_better_is_not_warned_about() -> None:
    baseline, warnings = shown(stored("m", classified(MOSTLY, MOSTLY)))
    assert (baseline and baseline.value, warnings) == (0.9, ())


def test_the_baseline_of_macro_f1_is_a_macro_f1() -> None:
    baseline, warnings = shown(stored("m", classified(MOSTLY, MOSTLY), corpus="f1_macro"))
    assert baseline is not None
    assert baseline.value == pytest.approx((2 * 0.9 / 1.9 + 0) / 2)
    assert not any("not shown" in warning for warning in warnings)


def test_what_is_no_classification_has_none() -> None:
    free = [item.model_copy(update={"choices": {}}) for item in classified(MOSTLY, MOSTLY)]
    assert shown(stored("m", free))[0] is None
    assert shown(stored("m", scored([0.5, 0.2, 0.1])))[0] is None
    assert shown(stored("m", free, config={"type": "ExactMatch"}))[0] == Baseline(label="no", value=0.9)
    many = [item.model_copy(update={"reference": item.id}) for item in free]
    assert shown(stored("m", many, config={"type": "ExactMatch"}))[0] is None


def test_a_comparison_shows_it_over_the_items_that_both_were_scored_on() -> None:
    a = stored("a", classified(MOSTLY, ["no"] * 100))
    b = stored("b", classified(MOSTLY, MOSTLY)[20:])
    found = compare_evaluations(a, b.model_copy(update={"provenance": a.provenance}))["score"]
    assert found.a.baseline == found.b.baseline == Baseline(label="no", value=70 / 80)
    assert found.a.warnings and not found.b.warnings


@pytest.mark.parametrize("scorer", [ExactMatch(), Accuracy()])
def test_an_evaluator_shows_it(scorer: ExactMatch | Accuracy) -> None:
    backend = TableBackend(models={"good": right_on(range(100)), "bad": right_on(range(50))})
    evaluator = Evaluator(tickets(100), scorers=[scorer])
    good, bad = (evaluator.run(f"table:{name}", backend=backend)[scorer.name] for name in ("good", "bad"))
    assert good.baseline == bad.baseline == Baseline(label="billing", value=0.5)
    assert any("always answering 'billing'" in warning for warning in bad.warnings)
    assert not any("always answering" in warning for warning in good.warnings)


def rounds() -> list[Evaluation]:
    return [
        stored(f"m{shift}", scored([float((at + shift) % 4 > 0) for at in range(200)])) for shift in range(5)
    ]


def test_the_best_of_several_says_how_much_of_it_is_luck() -> None:
    models = [*rounds(), stored("best", scored([1.0] * 160 + [0.0] * 40))]
    best = best_of(models)
    assert best.model == "table:best"
    assert best.warnings[-1].startswith("the best of 6 equal configurations reads about 0.0")
    alike = best_of([rounds()[0]] * 6)
    assert "reads about 0.000 too high" in alike.warnings[-1]


def test_one_model_was_not_chosen() -> None:
    only = rounds()[0]
    assert best_of([only]) == only


def test_the_best_of_a_loss_is_the_lowest() -> None:
    models = [
        stored(name, scored([level] * 50), higher_is_better=False) for name, level in (("a", 0.5), ("b", 0.2))
    ]
    assert best_of(models).model == "table:b"


def test_the_best_of_a_metric_of_the_whole_test_is_warned_about_without_a_size() -> None:
    models = [
        stored(name, classified(MOSTLY, said), corpus="mcc")
        for name, said in (("a", MOSTLY), ("b", ["no"] * 100))
    ]
    assert best_of(models).warnings == (
        "the best of 2 configurations reads too high: confirm it on another test",
    )


def test_what_cannot_be_chosen_from() -> None:
    with pytest.raises(EvaluationError, match="no evaluation"):
        best_of([])
    with pytest.raises(NotFoundError, match="f1"):
        best_of(rounds(), "f1")
    with pytest.raises(EvaluationError, match="not evaluated alike"):
        best_of([rounds()[0], stored("x", scored([1.0]), config={"normalise": "text"})])


def test_the_size_of_the_luck_is_that_of_the_formula() -> None:
    columns = [[float(at % 5 > 0) for at in range(100)], [float(at % 5 > 0) for at in range(100)]]
    columns[1][3], columns[1][5] = 0.0, 1.0
    best = best_of([stored(name, scored(column)) for name, column in zip("ab", columns, strict=True)])
    expected = stats.winners_curse(2, 100, 0.16, correlation=1 - 2 / (2 * 100 * 0.16))
    assert f"reads about {expected:.3f} too high" in best.warnings[-1]
