"""How numbers are written, and what stored results say of classes and confidence. Knows values only."""

from __future__ import annotations

import pytest

from tests.unit.evaluation.report.made import FEW, evaluation
from tunekit.evaluation.report import interval, stored
from tunekit.evaluation.report.numbers import difference, in_percent, number, signed
from tunekit.evaluation.results import Metric
from tunekit.evaluation.stats import Interval


def about(estimate: float, low: float, high: float) -> Interval:
    return Interval(estimate=estimate, low=low, high=high, level=0.95, n=50)


@pytest.mark.parametrize(
    ("value", "options", "shown"),
    [
        (about(0.5, 0.4, 0.6), {}, "50.0 % [40.0, 60.0]"),
        (about(0.5, 0.4, 0.6), {"percent": False}, "0.5 [0.4, 0.6]"),
        (about(0.0001, -0.2, 0.2), {"signed": True}, "0.0 % [-20.0, +20.0]"),
        (about(0.8, 0.4, 1.2), {}, "0.8 [0.4, 1.2]"),
        (about(23456.7, float("-inf"), float("inf")), {}, "23,457 [-inf, inf]"),
    ],
)
def test_intervals(value: Interval, options: dict[str, bool], shown: str) -> None:
    assert interval(value, **options) == shown


def test_a_difference_of_shares_is_in_points() -> None:
    assert difference(0.02, percent=True) == "+2.0 points"
    assert difference(-0.02, percent=True) == "\u22122.0 points"
    assert signed(-0.00001, percent=True) == "0.0"
    assert number(-0.0) == "0"


@pytest.mark.parametrize(
    ("kind", "corpus", "value", "percent"),
    [
        ("binary", "", about(0.5, 0.4, 0.6), True),
        ("corpus", "f1_macro", about(0.5, 0.4, 0.6), True),
        ("corpus", "mcc", about(0.5, 0.4, 0.6), False),  # from -1 to 1, so it is no share
        ("corpus", "bleu", about(0.5, 0.4, 0.6), False),  # half a point of a hundred
        ("corpus", "of a newer version", about(0.5, 0.4, 0.6), False),
        ("mean", "", about(0.5, 0.4, 0.6), True),
        ("mean", "", about(12.0, 11.0, 13.0), False),
    ],
)
def test_what_is_a_share_is_in_percent(kind: str, corpus: str, value: Interval, percent: bool) -> None:
    metric = Metric.model_validate({"name": "m", "value": value, "kind": kind, "corpus": corpus})
    assert in_percent(metric) is percent


def test_classes_are_found_in_counts_choices_and_answers() -> None:
    made = evaluation("local:a", 60, FEW, 0.7, 1)
    by_counts, by_choices = stored.confusion(made, "f1_macro"), stored.confusion(made, "accuracy")
    assert by_counts is not None
    assert by_counts == by_choices
    said = tuple(
        item.model_copy(update={"choices": {}, "answer": f" {item.choices['accuracy']}\n"})
        for item in made.items
    )
    assert stored.confusion(made.model_copy(update={"items": said}), "accuracy") == by_counts
    silent = tuple(item.model_copy(update={"reference": None, "choices": {}}) for item in made.items)
    assert stored.confusion(made.model_copy(update={"items": silent}), "accuracy") is None


def test_an_answer_that_is_no_class_is_off_the_list() -> None:
    made = evaluation("local:a", 60, FEW, 0.7, 1, corpus=False)
    odd = tuple(item.model_copy(update={"choices": {}, "answer": "I cannot say"}) for item in made.items)
    found = stored.confusion(made.model_copy(update={"items": odd}), "accuracy")
    assert found is not None
    assert found.off_list == sum(item.scores["accuracy"] == 0.0 for item in made.items)


def test_reliability_is_of_the_items_asked_for() -> None:
    made = evaluation("local:a", 60, FEW, 0.7, 1, corpus=False)
    some = [item.id for item in made.items[:20]]
    assert sum(of.n for of in stored.reliability(made, "accuracy")) == 60
    assert sum(of.n for of in stored.reliability(made, "accuracy", some)) == 20
    assert stored.reliability(evaluation("local:a", 9, FEW, 0.7, 1, weighed=False), "accuracy") == ()
