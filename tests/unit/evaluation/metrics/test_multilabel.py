"""Subset accuracy, Hamming, Jaccard and F1 of sets of labels against scikit-learn."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from tunekit.errors import EvaluationError
from tunekit.evaluation.metrics import multilabel
from tunekit.evaluation.metrics.counts import added
from tunekit.evaluation.metrics.multilabel import Average, counts_of

LABELS = ("a", '"b"', "Ü", "\udfff", "e")
AVERAGES: tuple[Average, ...] = ("micro", "macro", "weighted", "samples")

Items = list[tuple[set[str], set[str]]]
sets = st.sets(st.sampled_from(LABELS))
items_of_sets = st.lists(st.tuples(sets, sets), min_size=1, max_size=25)


def summed(items: Items) -> dict[str, float]:
    return added(counts_of(*item, LABELS) for item in items)


def table(items: Items, side: int, columns: tuple[str, ...] = LABELS) -> list[list[int]]:
    return [[int(label in item[side]) for label in columns] for item in items]


@given(items=items_of_sets)
@settings(max_examples=60)
def test_every_number_is_scikit_learns(items: Items) -> None:
    counts = summed(items)
    right, said = table(items, 0), table(items, 1)
    assert multilabel.subset_accuracy(counts) == pytest.approx(reference.accuracy_score(right, said))
    assert multilabel.hamming_loss(counts) == pytest.approx(reference.hamming_loss(right, said), abs=1e-9)
    jaccard = reference.jaccard_score(right, said, average="samples", zero_division=0)
    assert multilabel.jaccard(counts) == pytest.approx(jaccard, abs=1e-9)
    occurring = [at for at, label in enumerate(LABELS) if any(label in a | b for a, b in items)]
    for average in AVERAGES:
        found = multilabel.average_scores(counts, average)
        columns = occurring if average in ("macro", "weighted") else None
        expected: tuple[float, ...] = (0.0, 0.0, 0.0)
        if occurring:
            expected = reference.precision_recall_fscore_support(
                right, said, average=average, labels=columns, zero_division=0
            )[:3]
        assert (found.precision, found.recall, found.f1) == pytest.approx(expected, abs=1e-9)
    by_label = reference.precision_recall_fscore_support(right, said, zero_division=0)
    assert sorted(multilabel.label_scores(counts)) == sorted(LABELS[at] for at in occurring)
    for label, score in multilabel.label_scores(counts).items():
        row = (score.precision, score.recall, score.f1, score.support)
        assert row == pytest.approx([column[LABELS.index(label)] for column in by_label], abs=1e-9)


@given(items=items_of_sets)
@settings(max_examples=30)
def test_counts_add_up_in_any_order(items: Items) -> None:
    shuffled = random.Random(0).sample(items, len(items))
    half = len(items) // 2
    assert added([summed(shuffled[:half]), summed(shuffled[half:])]) == pytest.approx(
        summed(items), abs=1e-12
    )
    assert summed(shuffled) == summed(items)


@given(items=items_of_sets)
@settings(max_examples=30)
def test_a_label_off_the_list_is_one_more_that_is_never_right(items: Items) -> None:
    with_junk = [(right, said | {"junk", "more junk"}) for right, said in items]
    counts = summed(with_junk)
    columns = (*LABELS, "junk")
    right, said = table(with_junk, 0, columns), table(with_junk, 1, columns)
    assert multilabel.subset_accuracy(counts) == 0.0
    assert multilabel.hamming_loss(counts) == pytest.approx(reference.hamming_loss(right, said), abs=1e-9)
    for average in ("micro", "samples"):
        expected = reference.f1_score(right, said, average=average, zero_division=0)
        assert multilabel.f1(counts, average) == pytest.approx(expected, abs=1e-9)
    assert multilabel.f1(counts, "macro") == multilabel.f1(summed(items), "macro")


def test_a_reference_off_the_list_is_refused() -> None:
    with pytest.raises(EvaluationError, match="'z'"):
        counts_of({"z"}, set(), LABELS)


def test_counts_of_nothing_are_refused() -> None:
    for metric in (multilabel.subset_accuracy, multilabel.hamming_loss, multilabel.jaccard):
        with pytest.raises(EvaluationError, match="nothing"):
            metric({})
    with pytest.raises(EvaluationError, match="nothing"):
        multilabel.f1({}, "macro")
