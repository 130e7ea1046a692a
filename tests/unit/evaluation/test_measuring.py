"""Metrics measured again from stored items: of all, of some, in groups."""

from __future__ import annotations

import random

import pytest

from tunekit.errors import EvaluationError
from tunekit.evaluation import stats
from tunekit.evaluation.measuring import metric_of, value_of
from tunekit.evaluation.metrics import classification
from tunekit.evaluation.metrics.counts import added
from tunekit.evaluation.results import ItemResult


def results(n: int = 200, *, groups: int = 0) -> list[ItemResult]:
    """Right seven times of ten; items of a group are alike."""
    draw = random.Random(7)
    luck = {group: draw.random() < 0.7 for group in range(groups)}
    found = []
    for at in range(n):
        right = luck[at % groups] if groups else draw.random() < 0.7
        reference = "ab"[at % 3 == 0]
        picked = reference if right else "ab"[reference == "a"]
        found.append(
            ItemResult(
                id=f"{at}",
                scores={"f1": float(right), "length": at / 7},
                counts={"f1": classification.counts_of(reference, picked)},
                cluster=f"{at % groups}" if groups else None,
            )
        )
    return found


def test_a_corpus_metric_comes_from_the_summed_counts_of_exactly_these_items() -> None:
    items = results()
    for part in (items, items[::3], items[:120]):
        expected = classification.f1(added(item.counts["f1"] for item in part), "macro")
        found = metric_of(part, "f1", corpus="f1_macro")
        assert (found.value.estimate, found.value.n, found.kind) == (expected, len(part), "corpus")
        assert value_of(part, "f1", corpus="f1_macro") == expected
        assert found.value.low < expected < found.value.high
        assert found.method == "BCa bootstrap"


def test_the_order_of_the_items_changes_nothing() -> None:
    items = results()
    again = metric_of(items[::-1], "f1", corpus="f1_macro")
    assert again == metric_of(items, "f1", corpus="f1_macro")


@pytest.mark.parametrize(("name", "corpus"), [("f1", "f1_macro"), ("f1", ""), ("length", "")])
def test_groups_of_items_that_are_alike_widen_the_interval(name: str, corpus: str) -> None:
    grouped = results(groups=20)
    alone = [item.model_copy(update={"cluster": None}) for item in grouped]
    wide, narrow = (metric_of(items, name, corpus=corpus) for items in (grouped, alone))
    assert wide.value.estimate == narrow.value.estimate
    if name == "f1":
        assert wide.value.high - wide.value.low > 1.5 * (narrow.value.high - narrow.value.low)
    assert wide.method != narrow.method or corpus


def test_groups_of_one_are_no_groups() -> None:
    items = [item.model_copy(update={"cluster": item.id}) for item in results()]
    assert metric_of(items, "f1") == metric_of(results(), "f1")
    assert metric_of(items, "f1").value == stats.wilson(round(value_of(items, "f1") * 200), 200)


def test_few_groups_and_few_items_are_warned_of() -> None:
    assert "4 groups are few" in metric_of(results(groups=4), "f1").warnings[0]
    assert "12 items are few" in metric_of(results(12), "length").warnings[0]
    assert "12 items are few" in metric_of(results(12), "f1", corpus="f1_macro").warnings[0]
    assert metric_of(results(), "f1", corpus="f1_macro").warnings == ()


def test_items_without_a_score_are_counted_and_in_no_value() -> None:
    items = results(100)
    items[0] = ItemResult(id="0", errors={"f1": "BackendError: down"})
    found = metric_of(items, "f1", corpus="f1_macro")
    assert (found.n_errors, found.value.n) == (1, 99)


def test_no_score_at_all_says_why() -> None:
    items = [ItemResult(id="0", errors={"f1": "BackendError: down"})]
    with pytest.raises(EvaluationError, match="BackendError: down"):
        metric_of(items, "f1")


def test_a_score_without_counts_is_an_error() -> None:
    items = [ItemResult(id="7", scores={"f1": 1.0})]
    with pytest.raises(EvaluationError, match="'7' has a score by 'f1' but no counts"):
        metric_of(items, "f1", corpus="f1_macro")


def test_a_metric_of_a_newer_version_is_named() -> None:
    with pytest.raises(EvaluationError, match="'f7_macro'"):
        metric_of(results(), "f1", corpus="f7_macro")


def test_direction_is_that_of_the_metric() -> None:
    assert not metric_of(results(), "length", higher_is_better=False).higher_is_better
    assert metric_of(results(), "f1", corpus="f1_macro", higher_is_better=False).higher_is_better
