"""Any number of labels for each item: subset accuracy, Hamming loss, Jaccard, F1. Knows sets of labels.

The list of labels is needed: the Hamming loss counts the labels that both sides rightly leave out. What a model names
off the list counts as one more label that is never right: it makes a set wrong, and lowers precision in the "micro" and
"samples" averages; no average over labels ("macro", "weighted") runs over it. Otherwise conventions are scikit-learn's
with `zero_division=0`. "macro" runs over the labels that occur as reference or as prediction, as it does where every
item has one label: a label of the list that nobody ever names would be a 0 that says nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Set
from typing import Literal, TypeAlias

from tunekit.data.wording import listed
from tunekit.errors import EvaluationError
from tunekit.evaluation.metrics import classification
from tunekit.evaluation.metrics.classification import ClassScores, scores_from
from tunekit.evaluation.metrics.counts import ITEMS, Counts, key, labelled, read

Average: TypeAlias = Literal["micro", "macro", "weighted", "samples"]

_EXACT, _MISTAKES, _CELLS = "exact", "mistakes", "cells"
_SAMPLES = ("precision", "recall", "f1", "jaccard")
_KINDS = ("right", "predicted", "support")
"""Of counts by label, in the order of `scores_from`."""


def counts_of(references: Set[str], predictions: Set[str], labels: Collection[str]) -> dict[str, float]:
    """Counts of one item.

    Args:
        references: The right labels; may be none.
        predictions: The predicted ones; may be none.
        labels: All labels there are.

    Raises:
        EvaluationError: A reference is none of the labels.

    Examples:
        >>> found = counts_of({"a"}, {"a", "b"}, ["a", "b", "c"])
        >>> found["mistakes"], found["cells"], found["jaccard"], found[key("predicted", "b")]
        (1.0, 3.0, 0.5, 1.0)
    """
    known = set(labels)
    if not references <= known:
        raise EvaluationError(
            f"these references are none of the labels: {listed(sorted(references - known))}",
            hint="add them to the labels",
        )
    named: set[str | None] = {name if name in known else None for name in predictions}
    mistakes = len(references ^ named)
    found = {
        ITEMS: 1.0,
        _CELLS: float(len(known | named)),
        _EXACT: float(not mistakes),
        _MISTAKES: float(mistakes),
        **_sample(references, named),
        **{key("right", label): 1.0 for label in references & named},
        **{key("predicted", label): 1.0 for label in named},
        **{key("support", label): 1.0 for label in references},
    }
    return {name: number for name, number in found.items() if number}


def _sample(references: Set[str], named: set[str | None]) -> dict[str, float]:
    right = len(references & named)
    scores = scores_from(right, len(named), len(references))
    either = len(references | named)
    jaccard = right / either if either else 0.0
    return dict(zip(_SAMPLES, (scores.precision, scores.recall, scores.f1, jaccard), strict=True))


def subset_accuracy(counts: Counts) -> float:
    """Share of items of which every label is right, and none is missing."""
    return counts.get(_EXACT, 0.0) / read(counts, ITEMS)


def hamming_loss(counts: Counts) -> float:
    """Share of yes-or-no decisions, one for each item and label, that are wrong. Lower is better.

    A wrong label off the list is a decision more.
    """
    return counts.get(_MISTAKES, 0.0) / read(counts, _CELLS)


def jaccard(counts: Counts) -> float:
    """Mean over items of the labels in common as a share of all that either side names; 0 where neither names one."""
    return counts.get("jaccard", 0.0) / read(counts, ITEMS)


def label_scores(counts: Counts) -> dict[str, ClassScores]:
    """How each label that occurs fares, in the order of the alphabet."""
    numbers = {(kind, label): number for (kind, label), number in labelled(counts)}
    names = sorted({label for _, label in numbers if label is not None})
    return {name: scores_from(*(numbers.get((kind, name), 0.0) for kind in _KINDS)) for name in names}


def average_scores(counts: Counts, average: Average) -> ClassScores:
    """Precision, recall and F1 of the whole.

    Args:
        counts: Summed counts of items.
        average: "micro" over all decisions at once, "macro" and "weighted" over labels, "samples" over items.

    Raises:
        EvaluationError: They are the counts of nothing.
    """
    items = read(counts, ITEMS)
    match average:
        case "samples":
            precision, recall, f1 = (counts.get(name, 0.0) / items for name in _SAMPLES[:3])
            return ClassScores(precision=precision, recall=recall, f1=f1, support=items)
        case "micro":
            totals = dict.fromkeys(_KINDS, 0.0)
            for (kind, _), number in labelled(counts):
                totals[str(kind)] += number
            return scores_from(*totals.values())
        case _:
            return classification.averaged(label_scores(counts).values(), average)


def precision(counts: Counts, average: Average) -> float:
    """See `average_scores`."""
    return average_scores(counts, average).precision


def recall(counts: Counts, average: Average) -> float:
    """See `average_scores`."""
    return average_scores(counts, average).recall


def f1(counts: Counts, average: Average) -> float:
    """See `average_scores`."""
    return average_scores(counts, average).f1
