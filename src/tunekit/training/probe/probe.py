"""A linear classifier on vectors: scaled, regularised, chosen by cross-validation. Knows numbers; no text, no model.

Multinomial logistic regression on standardised vectors, one-vs-rest for texts with several classes; scikit-learn fits
it. What is right most often on rows held out is chosen, all of the classes of a row counted as one answer; of layers
that are about as good, the last. Everything follows from the seed.
"""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tunekit.errors import MissingExtraError

Floats: TypeAlias = npt.NDArray[Any]
Truth: TypeAlias = npt.NDArray[np.bool_]
Right: TypeAlias = Mapping[tuple[int, float], Truth]
"""By layer and strength: for each row that was held out whether it was told right."""

_MAX_ITERATIONS = 1000
# Rows times width times classes times fits: above that the choice is made on a part. banking77 with three layers is
# 2.2e10, a minute on one core.
_CHOICE_WORK = 4e10
_FEWEST_ROWS = 1000
_FEWEST_OF_A_CLASS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """z = weight @ (x - mean) / scale + bias.

    Attributes:
        weight: Shape (classes, width).
        bias: Shape (classes,).
        mean: Of the training vectors, shape (width,).
        scale: Their standard deviations; 1 where a number never changes.
    """

    weight: Floats
    bias: Floats
    mean: Floats
    scale: Floats

    def logits(self, vectors: Floats) -> Floats:
        """Shape (rows, classes)."""
        found: Floats = (vectors - self.mean) / self.scale @ self.weight.T + self.bias
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What is to be learned of some rows.

    Attributes:
        truth: Which classes each row has, shape (rows, classes).
        multi_label: Whether a row may have several, or none.
        weights: What each class counts in the loss.
    """

    truth: Truth
    multi_label: bool
    weights: tuple[float, ...]

    def of(self, rows: npt.NDArray[np.int64]) -> Labels:
        """Those of some of the rows."""
        return Labels(truth=self.truth[rows], multi_label=self.multi_label, weights=self.weights)

    def right(self, logits: Floats) -> npt.NDArray[np.bool_]:
        """For each row whether all of its classes are told right."""
        if self.multi_label:
            every: npt.NDArray[np.bool_] = ((logits > 0) == self.truth).all(axis=1)
            return every
        same: npt.NDArray[np.bool_] = logits.argmax(axis=1) == self.truth.argmax(axis=1)
        return same


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What cross-validation has chosen.

    Attributes:
        layer: Whose vectors serve best.
        strength: The best C.
        accuracy: Share of held-out rows that are told right with these.
        rows: How many rows the choice was made on.
        folds: How often they were split.
        table: Accuracy by layer and strength.
    """

    layer: int
    strength: float
    accuracy: float
    rows: int
    folds: int
    table: Mapping[tuple[int, float], float]


def choose(
    vectors: Mapping[int, Floats],
    labels: Labels,
    *,
    strengths: Sequence[float],
    folds: int,
    seed: int,
    after_fold: Callable[[], object] = lambda: None,
    warn: Callable[[str], object],
) -> Choice:
    """Choose layer and strength by stratified cross-validation.

    The fits are in single precision, and each begins at zero, as the last one on all rows will: one that began where
    another has ended would be within the tolerance and stop there, and not be what it stands for. Where they would be
    more than a few minutes of work, they are done on a part of the rows: on some of each class, or if that were too few
    to tell anything, on some of the classes. Of the strengths of a layer the best is taken, and of equals the smallest;
    of the layers the last that is within one standard error of the best.

    Args:
        vectors: By layer, shape (rows, width).
        labels: Of the rows.
        strengths: Values of C.
        folds: At most one per row is made.
        seed: Of the split.
        after_fold: Called after each fold of each layer.
        warn: Told what is doubtful.
    """
    width = next(iter(vectors.values())).shape[1]
    rows = _part(labels, seed, work=width * len(vectors) * len(strengths) * folds)
    count = len(rows)
    folds = min(folds, count)
    values = sorted(set(strengths))
    right = {(layer, strength): np.zeros(count, dtype=bool) for layer in vectors for strength in values}
    for layer in sorted(vectors, reverse=True):
        for fold in range(folds):
            out = np.arange(count) % folds == fold
            held_out = labels.of(rows[out])
            fits = fitted(vectors[layer][rows[~out]], labels.of(rows[~out]), values, warn=warn)
            for strength, linear in zip(values, fits, strict=True):
                right[layer, strength][out] = held_out.right(linear.logits(vectors[layer][rows[out]]))
            after_fold()
    layer, strength = chosen(right)
    table = {key: float(found.mean()) for key, found in right.items()}
    return Choice(
        layer=layer,
        strength=strength,
        accuracy=table[layer, strength],
        rows=count,
        folds=folds,
        table=table,
    )


def chosen(right: Right) -> tuple[int, float]:
    """The last layer, unless another is clearly better, with its best strength.

    On few rows one of several layers is best by luck, and the last is what the model was trained to give. "Clearly" is
    more than one standard error of the best (Breiman et al. 1984, Classification and Regression Trees, section 3.4.3).

    Args:
        right: What cross-validation found; every entry has the same rows.
    """
    best = {
        layer: max(sorted(key for key in right if key[0] == layer), key=lambda key: right[key].sum())
        for layer, _ in right
    }
    most = max((right[key] for key in best.values()), key=lambda found: found.sum())
    enough = most.mean() - most.std() / math.sqrt(len(most))
    return best[max(layer for layer, key in best.items() if right[key].mean() >= enough)]


def _part(labels: Labels, seed: int, *, work: int) -> npt.NDArray[np.int64]:
    """The rows that the choice is made on, dealt; `work` is that of one row and class."""
    dealt, classes = dealt_rows(labels.truth, seed), labels.truth.shape[1]
    count = max(_FEWEST_ROWS, int(_CHOICE_WORK / work / classes))
    if count < len(dealt) and count < _FEWEST_OF_A_CLASS * classes and not labels.multi_label:
        of_each = min(_FEWEST_OF_A_CLASS, len(dealt) / classes)
        kept = max(math.isqrt(int(_CHOICE_WORK / work / of_each)), math.ceil(_FEWEST_ROWS / of_each))
        chosen = random.Random(f"tunekit classes {seed}").sample(range(classes), min(kept, classes))
        dealt = dealt[labels.truth[dealt][:, chosen].any(axis=1)]
        count = math.ceil(kept * of_each)
    count = min(count, len(dealt))
    return dealt[np.arange(count) * len(dealt) // count]


def fitted(
    vectors: Floats, labels: Labels, strengths: Sequence[float], *, warn: Callable[[str], object]
) -> Iterator[Linear]:
    """A classifier for each strength.

    Args:
        vectors: Shape (rows, width); their precision is that of the fits.
        labels: Of the rows.
        strengths: Values of C.
        warn: Told if a fit has not converged.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    mean = vectors.mean(axis=0, dtype=np.float64)
    scale = vectors.std(axis=0, dtype=np.float64)
    # Rounding leaves a number that never changes with a spread of its last bit.
    scale[scale <= 10 * np.finfo(vectors.dtype).eps * np.abs(mean)] = 1.0
    scaled = ((vectors - mean) / scale).astype(vectors.dtype)
    fit = _one_by_one if labels.multi_label else _all_together
    for weight, bias in fit(scaled, labels, strengths, warn):
        yield Linear(weight=weight, bias=bias, mean=mean, scale=scale)


def bounded(threads: int) -> AbstractContextManager[Any]:
    """Linear algebra on as many threads as the run was given, which decide the last bit.

    Only libraries that are loaded can be bounded, so scikit-learn is loaded here, with all that it brings.
    """
    from sklearn import linear_model  # noqa: F401
    from threadpoolctl import threadpool_limits  # comes with scikit-learn

    limits: AbstractContextManager[Any] = threadpool_limits(limits=threads)
    return limits


def dealt_rows(truth: Truth, seed: int) -> npt.NDArray[np.int64]:
    """The rows ordered by their classes, those of equal classes shuffled.

    Every k-th row of that order is a stratified k-th part of them, and so is every run of equally spaced ones.
    """
    order = list(range(len(truth)))
    random.Random(f"tunekit folds {seed}").shuffle(order)
    packed = np.packbits(truth, axis=1)  # in the same order as its bits, at an eighth of the size
    order.sort(key=lambda row: packed[row].tobytes())
    return np.array(order, dtype=np.int64)


def _all_together(
    scaled: Floats, labels: Labels, strengths: Sequence[float], warn: Callable[[str], object]
) -> Iterator[tuple[Floats, Floats]]:
    """Multinomial: weights of shape (classes, width) and a bias of each class."""
    targets, known = labels.truth.argmax(axis=1), np.flatnonzero(labels.truth.any(axis=0))
    weights = np.array(labels.weights)[targets]
    fits = _regressions(scaled, targets, weights, strengths, warn) if len(known) > 1 else None
    for _ in strengths:
        weight = np.zeros((labels.truth.shape[1], scaled.shape[1]))
        bias = np.full(labels.truth.shape[1], -math.inf)  # never a class that these rows do not have
        if fits is None:
            bias[known] = 0.0
        else:
            found, level = next(fits)
            # Of two classes scikit-learn gives one row, the difference of both.
            halves = len(known) == 2
            weight[known] = np.concatenate([-found, found]) / 2 if halves else found
            bias[known] = np.concatenate([-level, level]) / 2 if halves else level
        yield weight, bias


def _one_by_one(
    scaled: Floats, labels: Labels, strengths: Sequence[float], warn: Callable[[str], object]
) -> Iterator[tuple[Floats, Floats]]:
    """One against the rest, for every class."""
    paths = [
        _yes_or_no(scaled, labels.truth[:, at], weight, strengths, warn)
        for at, weight in enumerate(labels.weights)
    ]
    for found in zip(*paths, strict=True):
        yield np.stack([weight for weight, _ in found]), np.array([bias for _, bias in found])


def _yes_or_no(
    scaled: Floats, yes: Truth, weight: float, strengths: Sequence[float], warn: Callable[[str], object]
) -> Iterator[tuple[Floats, float]]:
    if yes.all() or not yes.any():
        # Nothing tells the rows apart: Laplace's rule of succession.
        for _ in strengths:
            yield np.zeros(scaled.shape[1]), math.log((yes.sum() + 1) / (len(yes) - yes.sum() + 1))
        return
    for found, level in _regressions(scaled, yes, np.full(len(yes), weight), strengths, warn):
        yield found[0], float(level[0])


def _regressions(
    scaled: Floats,
    targets: npt.NDArray[Any],
    weights: Floats,
    strengths: Sequence[float],
    warn: Callable[[str], object],
) -> Iterator[tuple[Floats, Floats]]:
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        raise MissingExtraError("sklearn", extra="probe") from None
    for strength in strengths:
        model = LogisticRegression(C=strength, max_iter=_MAX_ITERATIONS)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            model.fit(scaled, targets, sample_weight=weights)
        for item in caught:
            warn(f"the classifier with C={strength:g}: {str(item.message).splitlines()[0]}")
        yield model.coef_.copy(), model.intercept_.copy()
