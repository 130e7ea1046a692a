"""One label for each item: confusion matrix, accuracy, F1, MCC, kappa. Knows labels; not how a model picked one.

Counts are those of pairs (reference, prediction). A prediction that is none of the labels counts as off the list: it is
wrong, it has a column of its own in the confusion matrix, and it is no class that an average runs over.

Conventions are scikit-learn's. A ratio whose denominator is 0 is 0 (`zero_division=0`): the precision of a class that
was never predicted, the recall of one that never occurs. Averages run over the classes that occur as reference or
as prediction, as with `labels=None`; "balanced accuracy" over those that occur as reference.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from tunekit.data.wording import brief
from tunekit.errors import EvaluationError, SpecError
from tunekit.evaluation.metrics.counts import Counts, key, labelled

Average: TypeAlias = Literal["micro", "macro", "weighted"]


def counts_of(reference: str, prediction: str | None, labels: Collection[str] = ()) -> dict[str, float]:
    """Counts of one item.

    Args:
        reference: The right label.
        prediction: The predicted one; None where the model named none.
        labels: All labels there are; a prediction outside is off the list. Empty takes every prediction as a label.

    Raises:
        EvaluationError: The reference is none of the labels.

    Examples:
        >>> counts_of("yes", "no", {"yes", "no"}), counts_of("yes", "Perhaps?", {"yes", "no"})
        ({'["yes", "no"]': 1.0}, {'["yes", null]': 1.0})
    """
    if labels and reference not in labels:
        raise EvaluationError(
            f"the reference {brief(reference)} is none of the labels", hint="add it to them"
        )
    known = not labels or prediction in labels
    return {key(reference, prediction if known else None): 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScores:
    """How one class fares, or an average of classes.

    Attributes:
        precision: Of the items predicted as it, the share that are.
        recall: Of the items that are it, the share predicted as it.
        f1: Harmonic mean of the two.
        support: Items that are it.
    """

    precision: float
    recall: float
    f1: float
    support: float


def margins_of(counts: Counts) -> dict[str, float]:
    """The same counts without which label was taken for which: enough for every number here, and far fewer to resample.

    Examples:
        >>> margins_of({'["yes", "no"]': 1.0})
        {'["", "support", "yes"]': 1.0, '["", "predicted", "no"]': 1.0}
    """
    found: defaultdict[str, float] = defaultdict(float)
    for (reference, prediction), number in labelled(counts):
        found[key("", "support", reference)] += number
        found[key("", "predicted", prediction)] += number
        if reference == prediction:
            found[key("", "right", reference)] += number
    return dict(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Margins:
    """Numbers of items by label: what every metric here is computed from.

    Attributes:
        right: That are it, and were predicted as it.
        support: That are it.
        predicted: That were predicted as it; None is "off the list".
        total: In all.
    """

    right: Mapping[str | None, float]
    support: Mapping[str | None, float]
    predicted: Mapping[str | None, float]
    total: float

    @classmethod
    def of(cls, counts: Counts) -> Margins:
        """From the summed counts of items, or the margins of those.

        Raises:
            EvaluationError: They are the counts of nothing.
        """
        pairs = next((len(parts) == 2 for parts, _ in labelled(counts)), False)
        kinds: dict[str | None, dict[str | None, float]] = {"right": {}, "support": {}, "predicted": {}}
        for (_, kind, label), number in labelled(margins_of(counts) if pairs else counts):
            if number > 0.0:
                kinds[kind][label] = number
        if not kinds["support"]:
            raise EvaluationError(
                "there is no prediction to compute the metric from",
                hint="sum the counts of at least one item",
            )
        return cls(
            right=kinds["right"],
            support=kinds["support"],
            predicted=kinds["predicted"],
            total=math.fsum(kinds["support"].values()),
        )

    @property
    def off_list(self) -> float:
        """Items whose prediction is no label."""
        return self.predicted.get(None, 0.0)

    @property
    def agreed(self) -> float:
        """Items that were predicted right."""
        return math.fsum(self.right.values())

    def scores(self) -> dict[str, ClassScores]:
        """How each class fares that occurs as reference or as prediction, in the order of the alphabet."""
        labels = sorted(label for label in self.support.keys() | self.predicted.keys() if label is not None)
        return {
            label: scores_from(
                self.right.get(label, 0.0), self.predicted.get(label, 0.0), self.support.get(label, 0.0)
            )
            for label in labels
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """The confusion matrix, without its zeros.

    Attributes:
        labels: Classes that occur as reference or as prediction, sorted: its rows, and its columns but the last.
        cells: Number of items by reference and prediction; None is "off the list".
        references: Number of items by reference.
        predictions: Number of items by prediction; None is "off the list".
        total: Number of items.

    Examples:
        >>> from tunekit.evaluation.metrics.counts import added
        >>> pairs = [("a", "a"), ("a", "b"), ("b", "b"), ("b", "?")]
        >>> found = Confusion.of(added(counts_of(*pair, labels={"a", "b"}) for pair in pairs))
        >>> found.labels, found.rows(), found.off_list
        (('a', 'b'), ((1.0, 1.0, 0.0), (0.0, 1.0, 1.0)), 1.0)
    """

    labels: tuple[str, ...]
    cells: Mapping[tuple[str, str | None], float]
    references: Mapping[str, float]
    predictions: Mapping[str | None, float]
    total: float

    @classmethod
    def of(cls, counts: Counts) -> Confusion:
        """From the summed counts of items.

        Raises:
            EvaluationError: They are the counts of nothing.
        """
        cells: dict[tuple[str, str | None], float] = {}
        references: defaultdict[str, float] = defaultdict(float)
        predictions: defaultdict[str | None, float] = defaultdict(float)
        for (reference, prediction), number in labelled(counts):
            assert reference is not None, "counts_of takes a text as reference"
            if number > 0.0:
                cells[reference, prediction] = number
                references[reference] += number
                predictions[prediction] += number
        if not cells:
            raise EvaluationError(
                "there is no prediction to compute the metric from",
                hint="sum the counts of at least one item",
            )
        labels = sorted(references.keys() | {label for label in predictions if label is not None})
        return cls(
            labels=tuple(labels),
            cells=cells,
            references=dict(references),
            predictions=dict(predictions),
            total=math.fsum(cells.values()),
        )

    @property
    def off_list(self) -> float:
        """Items whose prediction is no label."""
        return self.predictions.get(None, 0.0)

    @property
    def right(self) -> float:
        """Items that were predicted right."""
        return math.fsum(self.cells.get((label, label), 0.0) for label in self.labels)

    def rows(self) -> tuple[tuple[float, ...], ...]:
        """The matrix with its zeros: a row for each label, a column for each label and one for "off the list"."""
        columns = (*self.labels, None)
        return tuple(tuple(self.cells.get((row, column), 0.0) for column in columns) for row in self.labels)

    def most_confused(self, limit: int = 10) -> tuple[tuple[str, str | None, float], ...]:
        """The mistakes made most often: reference, prediction, number of items."""
        wrong = [(*pair, number) for pair, number in self.cells.items() if pair[0] != pair[1]]
        return tuple(sorted(wrong, key=lambda cell: (-cell[2], cell[0], cell[1] or ""))[:limit])

    def scores(self) -> dict[str, ClassScores]:
        """How each class fares."""
        return {
            label: scores_from(
                self.cells.get((label, label), 0.0),
                self.predictions.get(label, 0.0),
                self.references.get(label, 0.0),
            )
            for label in self.labels
        }


def scores_from(right: float, predicted: float, support: float) -> ClassScores:
    """Precision, recall and F1 from numbers of items; 0 where nothing can be divided by.

    Args:
        right: Items of the class that were predicted as it.
        predicted: Items predicted as it.
        support: Items that are it.
    """
    return ClassScores(
        precision=_ratio(right, predicted),
        recall=_ratio(right, support),
        f1=_ratio(2 * right, predicted + support),
        support=support,
    )


def averaged(scores: Collection[ClassScores], average: Literal["macro", "weighted"]) -> ClassScores:
    """The mean over classes, of all alike or by their support.

    Args:
        scores: One for each class.
        average: "macro" for all alike, so that rare classes count as much as others; "weighted" by support.

    Raises:
        SpecError: `average` is something else.
    """
    if average not in ("macro", "weighted"):
        raise SpecError(f"there is no average {average!r}", hint="one of micro, macro and weighted")
    support = math.fsum(score.support for score in scores)
    weights = [score.support if average == "weighted" else 1.0 for score in scores]
    total = math.fsum(weights)

    def mean(name: Literal["precision", "recall", "f1"]) -> float:
        parts = (getattr(score, name) * weight for score, weight in zip(scores, weights, strict=True))
        return _ratio(math.fsum(parts), total)

    return ClassScores(precision=mean("precision"), recall=mean("recall"), f1=mean("f1"), support=support)


def average_scores(counts: Counts, average: Average) -> ClassScores:
    """Precision, recall and F1 of the whole.

    Args:
        counts: Summed counts of items.
        average: "micro" counts over all classes at once. Every item has one label, so it is the accuracy unless
            predictions are off the list: those lower recall and not precision. Otherwise see `averaged`.

    Raises:
        EvaluationError: They are the counts of nothing.

    Examples:
        >>> average_scores({'["a", "a"]': 8.0, '["b", "a"]': 2.0}, "macro").f1
        0.4444444444444444
    """
    found = Margins.of(counts)
    if average == "micro":
        return scores_from(found.agreed, found.total - found.off_list, found.total)
    return averaged(found.scores().values(), average)


def precision(counts: Counts, average: Average) -> float:
    """See `average_scores`."""
    return average_scores(counts, average).precision


def recall(counts: Counts, average: Average) -> float:
    """See `average_scores`."""
    return average_scores(counts, average).recall


def f1(counts: Counts, average: Average) -> float:
    """See `average_scores`."""
    return average_scores(counts, average).f1


def accuracy(counts: Counts) -> float:
    """Share of items that were predicted right."""
    found = Margins.of(counts)
    return found.agreed / found.total


def balanced_accuracy(counts: Counts) -> float:
    """Mean recall of the classes that occur: guessing one of K classes gets 1/K, however frequent it is."""
    scores = [score.recall for score in Margins.of(counts).scores().values() if score.support]
    return math.fsum(scores) / len(scores)


def matthews(counts: Counts) -> float:
    """Matthews correlation coefficient of reference and prediction, for any number of classes.

    Source: Gorodkin 2004, Comput. Biol. Chem. 28:367. 0 for guessing, and 0 where either is constant. "Off the list"
    counts as a prediction of its own.

    Examples:
        >>> matthews({'["a", "a"]': 3.0, '["a", "b"]': 1.0, '["b", "a"]': 1.0, '["b", "b"]': 3.0})
        0.5
    """
    found = Margins.of(counts)
    spread = _spread(found.support, found.total) * _spread(found.predicted, found.total)
    return _ratio(found.agreed * found.total - _by_chance(found), math.sqrt(spread))


def kappa(counts: Counts) -> float:
    """Cohen's kappa: agreement beyond that of two who guess with these frequencies.

    Source: Cohen 1960, Educ. Psychol. Meas. 20:37. Undefined, and 0 here, where both are
    one and the same constant.
    """
    found = Margins.of(counts)
    expected = _by_chance(found) / found.total
    return _ratio(found.agreed - expected, found.total - expected)


def top_k_right(reference: str, scores: Mapping[str, float], k: int) -> float:
    """1 if the reference is among the `k` choices with the highest scores, else 0; its mean is the top-k accuracy.

    Args:
        reference: The right label.
        scores: A score for each label, such as its log-probability.
        k: How many may be named. A label that scores the same as the reference stands before it, so that a model which
            scores all alike gets nothing.

    Raises:
        EvaluationError: The reference has no score, or a score is not a number.

    Examples:
        >>> top_k_right("b", {"a": -0.1, "b": -0.5, "c": -0.9}, k=2)
        1.0
    """
    if reference not in scores or any(map(math.isnan, scores.values())):
        raise EvaluationError(
            f"the scores do not rank {brief(reference)}", hint="give every label a score that is a number"
        )
    own = scores[reference]
    before = sum(score >= own for label, score in scores.items() if label != reference)
    return float(before < k)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _by_chance(found: Margins) -> float:
    """Sum over classes of references times predictions: what agrees by chance, times the number of items."""
    return math.fsum(number * found.predicted.get(label, 0.0) for label, number in found.support.items())


def _spread(margin: Mapping[str | None, float], total: float) -> float:
    return total * total - math.fsum(number * number for number in margin.values())
