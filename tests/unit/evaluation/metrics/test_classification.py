"""Confusion matrix, averages, MCC and kappa against scikit-learn, on any labels, with predictions off the list."""

from __future__ import annotations

import json
import math
import random
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from tunekit.errors import EvaluationError, SpecError
from tunekit.evaluation.metrics import classification
from tunekit.evaluation.metrics.classification import Average, Confusion, counts_of
from tunekit.evaluation.metrics.counts import added
from tunekit.evaluation.metrics.table import CORPUS

LABELS = ("a", "b c", '["', "Ünï", "\ud800", "")
"""With what JSON has to escape, half of a surrogate pair, and nothing."""
OFF_LIST = "a\n"
AVERAGES: tuple[Average, ...] = ("micro", "macro", "weighted")

Pairs = list[tuple[str, str | None]]
pairs = st.lists(
    st.tuples(st.sampled_from(LABELS), st.sampled_from((*LABELS, OFF_LIST, None))), min_size=1, max_size=40
)


def summed(items: Sequence[tuple[str, str | None]]) -> dict[str, float]:
    return added(counts_of(*item, labels=LABELS) for item in items)


@contextmanager
def quiet() -> Iterator[None]:
    """scikit-learn warns of what its conventions are for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@given(items=pairs)
@settings(max_examples=60)
def test_every_number_is_scikit_learns(items: Pairs) -> None:
    counts = summed(items)
    right = [LABELS.index(label) for label, _ in items]
    said = [LABELS.index(label) if label in LABELS else -1 for _, label in items]
    known = sorted({*right, *said} - {-1})
    with quiet():
        for average in AVERAGES:
            expected = reference.precision_recall_fscore_support(
                right, said, labels=known, average=average, zero_division=0
            )
            found = classification.average_scores(counts, average)
            assert (found.precision, found.recall, found.f1) == pytest.approx(expected[:3], abs=1e-9)
        by_class = reference.precision_recall_fscore_support(right, said, labels=known, zero_division=0)
        assert classification.accuracy(counts) == pytest.approx(reference.accuracy_score(right, said))
        assert classification.balanced_accuracy(counts) == pytest.approx(
            reference.balanced_accuracy_score(right, said), abs=1e-9
        )
        assert classification.matthews(counts) == pytest.approx(
            reference.matthews_corrcoef(right, said), abs=1e-9
        )
        assert classification.kappa(counts) == pytest.approx(
            reference.cohen_kappa_score(right, said, replace_undefined_by=0.0), abs=1e-9
        )
    scores = Confusion.of(counts).scores()
    for at, label in enumerate(known):
        found = scores[LABELS[label]]
        row = (found.precision, found.recall, found.f1, found.support)
        assert row == pytest.approx([column[at] for column in by_class], abs=1e-9)


@given(items=pairs)
@settings(max_examples=30)
def test_confusion_matrix_is_scikit_learns(items: Pairs) -> None:
    found = Confusion.of(summed(items))
    columns = [LABELS.index(label) for label in found.labels]
    right = [LABELS.index(label) for label, _ in items]
    said = [LABELS.index(label) if label in LABELS else -1 for _, label in items]
    expected = reference.confusion_matrix(right, said, labels=[*columns, -1])
    assert found.rows() == tuple(map(tuple, expected[:-1].tolist()))
    assert found.off_list == said.count(-1)
    assert sum(number for *_, number in found.most_confused(limit=100)) == len(items) - found.right


@given(items=pairs, cut=st.integers(0, 40))
@settings(max_examples=30)
def test_counts_add_up_in_any_order_and_through_json(items: Pairs, cut: int) -> None:
    shuffled = random.Random(0).sample(items, len(items))
    parts = [summed(part) for part in (shuffled[:cut], shuffled[cut:]) if part]
    whole = summed(items)
    assert added(parts) == whole
    stored = json.loads(json.dumps(whole).encode("ascii"))
    for average in AVERAGES:
        assert classification.f1(stored, average) == classification.f1(whole, average)
    assert classification.matthews(stored) == classification.matthews(whole)


def test_off_the_list_is_wrong_and_no_class() -> None:
    counts = added([counts_of("yes", "yes", {"yes", "no"}), counts_of("no", "maybe", {"yes", "no"})])
    found = Confusion.of(counts)
    assert found.labels == ("no", "yes") and found.off_list == 1.0
    assert found.most_confused() == (("no", None, 1.0),)
    assert classification.accuracy(counts) == 0.5
    assert classification.precision(counts, "micro") == 1.0 and classification.recall(counts, "micro") == 0.5
    # Without a list, whatever a model says is a class of its own.
    free = added([counts_of("yes", "yes"), counts_of("no", "maybe")])
    assert Confusion.of(free).labels == ("maybe", "no", "yes")


def test_an_average_that_is_none_is_refused() -> None:
    with pytest.raises(SpecError, match="median"):
        classification.f1(counts_of("a", "a"), "median")  # type: ignore[arg-type]


def test_a_reference_off_the_list_is_refused() -> None:
    with pytest.raises(EvaluationError, match="'x'") as caught:
        counts_of("x", "yes", {"yes", "no"})
    assert caught.value.hint


def test_margins_are_enough_for_every_metric() -> None:
    pairs = [("b", "a"), ("a", "a"), ("b", "b"), ("c", "a"), ("a", "off"), ("é", "b"), ("b", "b")]
    items = [counts_of(*pair, labels={"a", "b", "c", "é"}) for pair in pairs]
    known = [metric for metric in CORPUS.values() if metric.counts == "classification"]
    assert len(known) == 13
    for metric in known:
        resampled = added(metric.enough(item) for item in items)
        assert metric.compute(resampled) == metric.compute(added(items)), metric.name


@given(data=st.data(), n=st.integers(3, 6), k=st.integers(1, 6))
@settings(max_examples=40)
def test_top_k_is_scikit_learns_where_scores_differ(data: st.DataObject, n: int, k: int) -> None:
    k = min(k, n - 1)
    ranks = data.draw(st.lists(st.permutations(range(n)), min_size=1, max_size=8))
    right = data.draw(st.lists(st.integers(0, n - 1), min_size=len(ranks), max_size=len(ranks)))
    expected = reference.top_k_accuracy_score(right, ranks, k=k, labels=range(n))
    found = [
        classification.top_k_right(str(label), {str(at): float(score) for at, score in enumerate(row)}, k)
        for label, row in zip(right, ranks, strict=True)
    ]
    assert math.fsum(found) / len(found) == pytest.approx(expected, abs=1e-9)


def test_top_k_gives_nothing_for_scoring_all_alike() -> None:
    assert classification.top_k_right("b", {"a": -1.0, "b": -1.0, "c": -1.0}, k=1) == 0.0
    assert classification.top_k_right("b", {"a": -1.0, "b": -1.0, "c": -math.inf}, k=2) == 1.0
    for scores in ({"a": 0.0}, {"a": math.nan, "b": 0.0}):
        with pytest.raises(EvaluationError):
            classification.top_k_right("b", scores, k=1)


@pytest.mark.parametrize("counts", [{}, {'["a", "b"]': 0.0}, {"items": 3.0}])
def test_counts_of_nothing_are_refused(counts: dict[str, float]) -> None:
    with pytest.raises(EvaluationError, match="no prediction"):
        classification.accuracy(counts)
