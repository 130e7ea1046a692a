"""Whether probabilities mean what they say: expected calibration error, Brier score, log loss, reliability bins.

Knows the probabilities of one item's choices and which choice is right; not how a model came to them. For the
temperature that mends them see `temperature`, for answering only where the model is sure see `abstention`.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunekit.data.wording import brief
from tunekit.errors import EvaluationError, SpecError
from tunekit.evaluation.metrics.counts import ITEMS, Counts, key, labelled, read

BINS = 15
"""As in Guo et al. 2017."""
_LEAST_PROBABILITY = 2.0**-52
"""scikit-learn's floor in the log loss: an answer called impossible costs 36 nats, and not infinitely many."""
MOST_NATS = -math.log(_LEAST_PROBABILITY)
_SUM_TOLERANCE = 1e-6
_FEW_PER_BIN = 10


def counts_of(probabilities: Mapping[str, float], reference: str, *, bins: int = BINS) -> dict[str, float]:
    """Counts of one item.

    Args:
        probabilities: Of every choice; they sum to 1. See `softmax`.
        reference: The right choice.
        bins: Bins of equal width for the calibration error.

    Raises:
        EvaluationError: The reference is no choice, or the numbers are no probabilities.

    Examples:
        >>> found = counts_of({"no": 0.2, "yes": 0.8}, "yes", bins=10)
        >>> round(found["brier"], 3), round(found["nats"], 3), found[key("confidence", "7")]
        (0.08, 0.223, 0.8)
    """
    _check(probabilities, reference)
    confidence, right = confidence_of(probabilities, reference)
    at = str(_bin(confidence, bins))
    found = {
        ITEMS: 1.0,
        "brier": brier_of(probabilities, reference),
        "nats": nats_of(probabilities, reference),
        key("items", at): 1.0,
        key("confidence", at): confidence,
        key("right", at): right,
    }
    return {name: number for name, number in found.items() if number}


def confidence_of(probabilities: Mapping[str, float], reference: str) -> tuple[float, float]:
    """The probability of the likeliest choice (the first of several), and 1 if it is right, else 0."""
    choice = max(probabilities, key=lambda name: probabilities[name])
    return probabilities[choice], float(choice == reference)


def brier_of(probabilities: Mapping[str, float], reference: str) -> float:
    """Squared distance from what is true, over all choices, from 0 to 2.

    Source: Brier 1950, Mon. Weather Rev. 78:1. For two choices it is twice the halved form that scikit-learn shows.
    """
    return math.fsum((share - (choice == reference)) ** 2 for choice, share in probabilities.items())


def nats_of(probabilities: Mapping[str, float], reference: str) -> float:
    """The log loss of one item: minus the natural logarithm of what the right choice was given."""
    return -math.log(min(1.0 - _LEAST_PROBABILITY, max(_LEAST_PROBABILITY, probabilities[reference])))


def softmax(log_probs: Mapping[str, float], temperature: float = 1.0) -> dict[str, float]:
    """Probabilities of choices from their log-probabilities, among themselves.

    Args:
        log_probs: Of every choice; minus infinity for an impossible one.
        temperature: What to divide them by; see `temperature.fit`.

    Raises:
        EvaluationError: One is not a number or plus infinity, or no choice is possible.
        SpecError: The temperature is not above 0.

    Examples:
        >>> softmax({"a": -1.0, "b": -1.0})
        {'a': 0.5, 'b': 0.5}
    """
    if not 0.0 < temperature < math.inf:
        raise SpecError(f"the temperature is {temperature!r}", hint="it is above 0; 1 changes nothing")
    most = max(log_probs.values(), default=-math.inf)
    if not math.isfinite(most) or any(map(math.isnan, log_probs.values())):
        raise EvaluationError(
            f"these log-probabilities are not numbers: {brief(dict(log_probs))}",
            hint="the model's weights may be damaged; ask it for one answer with tunekit.generate",
        )
    weights = {choice: math.exp((value - most) / temperature) for choice, value in log_probs.items()}
    total = math.fsum(weights.values())
    return {choice: weight / total for choice, weight in weights.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Items of about the same confidence: a point of a reliability plot.

    Attributes:
        confidence: Their mean confidence.
        accuracy: The share of them that is right.
        n: How many they are.
    """

    confidence: float
    accuracy: float
    n: int


def reliability(counts: Counts) -> tuple[Bin, ...]:
    """The bins of equal width that are not empty, by rising confidence.

    Raises:
        EvaluationError: They are the counts of nothing.
    """
    read(counts, ITEMS)
    numbers: dict[int, dict[str | None, float]] = defaultdict(dict)
    for (kind, at), number in labelled(counts):
        numbers[int(str(at))][kind] = number
    return tuple(
        Bin(
            confidence=of["confidence"] / of["items"],
            accuracy=of.get("right", 0.0) / of["items"],
            n=round(of["items"]),
        )
        for _, of in sorted(numbers.items())
    )


def equal_mass_reliability(
    confidences: Sequence[float], right: Sequence[float], *, bins: int = BINS
) -> tuple[Bin, ...]:
    """Bins of about as many items each. Their ends depend on all items, so this is no function of summed counts.

    Args:
        confidences: The probability of the choice made, by item.
        right: 1 or 0, by item.
        bins: How many at most. Items of the same confidence share a bin, so there may be fewer.

    Raises:
        EvaluationError: There is no item, or a confidence is no probability.
    """
    if not confidences or not all(0.0 <= value <= 1.0 for value in confidences):
        raise EvaluationError("there are no confidences from 0 to 1", hint="give one probability per item")
    ends = _quantiles(sorted(confidences), _checked_bins(bins))
    members: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for confidence, score in zip(confidences, right, strict=True):
        members[bisect_left(ends, confidence)].append((confidence, score))
    return tuple(
        Bin(
            confidence=math.fsum(confidence for confidence, _ in of) / len(of),
            accuracy=math.fsum(score for _, score in of) / len(of),
            n=len(of),
        )
        for _, of in sorted(members.items())
    )


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error: mean distance of confidence and accuracy, over bins by their number of items.

    Source: Guo et al. 2017, arXiv 1706.04599. It is biased upwards where bins hold few items (see
    `calibration_warning`), and models are comparable only with the same bins.

    Examples:
        >>> calibration_error([Bin(confidence=0.75, accuracy=0.5, n=30), Bin(confidence=0.5, accuracy=0.5, n=10)])
        0.1875
    """
    total = sum(of.n for of in bins)
    return math.fsum(of.n * abs(of.accuracy - of.confidence) for of in bins) / total


def calibration_warning(bins: Sequence[Bin]) -> str | None:
    """What to know before believing a calibration error; None where bins hold 10 items each on average."""
    total = sum(of.n for of in bins)
    if total >= _FEW_PER_BIN * len(bins):
        return None
    return (
        f"{total} items in {len(bins)} bins are few for a calibration error: even a calibrated model gets one"
        " well above 0"
    )


def expected_calibration_error(counts: Counts) -> float:
    """Expected calibration error over bins of equal width. Lower is better."""
    return calibration_error(reliability(counts))


def brier_score(counts: Counts) -> float:
    """Mean squared distance from what is true, over all choices, from 0 to 2. Lower is better."""
    return counts.get("brier", 0.0) / read(counts, ITEMS)


def log_loss(counts: Counts) -> float:
    """Mean log loss in nats. Lower is better."""
    return counts.get("nats", 0.0) / read(counts, ITEMS)


def _check(probabilities: Mapping[str, float], reference: str) -> None:
    if reference not in probabilities:
        raise EvaluationError(
            f"the reference {brief(reference)} is none of the choices", hint="give every choice a probability"
        )
    total = math.fsum(probabilities.values())
    if not all(0.0 <= share <= 1.0 for share in probabilities.values()) or abs(total - 1.0) > _SUM_TOLERANCE:
        raise EvaluationError(
            f"these are no probabilities that sum to 1: {brief(dict(probabilities))}",
            hint="make them with calibration.softmax",
        )


def _bin(confidence: float, bins: int) -> int:
    """Bins are closed above, as in Guo et al.; the first also holds 0."""
    step = 1.0 / _checked_bins(bins)
    return bisect_left([step * end for end in range(1, bins)], confidence)


def _checked_bins(bins: int) -> int:
    if bins < 1:
        raise SpecError(f"bins is {bins!r}", hint="15 is usual")
    return bins


def _quantiles(values: Sequence[float], bins: int) -> list[float]:
    """The inner ends, interpolated between neighbours. Whole numbers place them, so that no rounding moves an item."""
    last = len(values) - 1
    ends = []
    for at in range(1, bins):
        below, rest = divmod(at * last, bins)
        low, high = values[below], values[min(below + 1, last)]
        ends.append(low + (high - low) * (rest / bins))
    return ends
