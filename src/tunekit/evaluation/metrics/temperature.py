"""One number that mends overconfident probabilities. Knows log-probabilities of choices; not models or splits.

Source: Guo et al. 2017, arXiv 1706.04599. The order of choices stays as it is, so accuracy does too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tunekit.data.wording import brief
from tunekit.errors import EvaluationError
from tunekit.evaluation.metrics.calibration import softmax

LEAST, MOST = 0.01, 100.0
"""Where a temperature is looked for. Answers that are all right want one of 0, answers of chance want infinity."""
_FEW_ITEMS = 100
_STEPS = 50
"""Halvings of the range, which leave less of it than a float can tell apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperature:
    """A temperature with what it rests on.

    Attributes:
        value: What to divide log-probabilities by: above 1 the model is overconfident, below 1 underconfident.
        log_loss_before: Mean log loss in nats of the items it was fitted on, as they are.
        log_loss_after: The same at this temperature.
        n: How many items those are.
        warning: What to know before using it.
    """

    value: float
    log_loss_before: float
    log_loss_after: float
    n: int
    warning: str | None


def fit(log_probs: Sequence[Mapping[str, float]], references: Sequence[str]) -> Temperature:
    """The temperature with the least log loss. Fit it on other items than those that it is judged by.

    The log loss is convex in 1/T, so its slope is followed to where it changes sign: no random start, and the same
    result everywhere.

    Args:
        log_probs: Of every choice, by item.
        references: The right choice, by item.

    Raises:
        EvaluationError: There is no item; a right choice has no log-probability or is impossible; one is no number.

    Examples:
        >>> sure, unsure = {"a": -0.05, "b": -3.0}, {"a": -0.4, "b": -1.1}
        >>> round(fit([sure, sure, unsure, unsure], ["a", "b", "a", "a"]).value, 2)
        6.46
    """
    if not references:
        raise EvaluationError(
            "there is no item to fit a temperature on", hint="pass the items of a dev split"
        )
    rows = [_row(row, reference) for row, reference in zip(log_probs, references, strict=True)]
    inverse = _root(rows, 1.0 / MOST, 1.0 / LEAST)
    value = 1.0 / inverse
    return Temperature(
        value=value,
        log_loss_before=_log_loss(rows, 1.0),
        log_loss_after=_log_loss(rows, inverse),
        n=len(rows),
        warning=_warning(value, len(rows)),
    )


def _row(log_probs: Mapping[str, float], reference: str) -> list[float]:
    """By how much each possible choice is likelier than the right one, which is the first."""
    own = log_probs.get(reference, -math.inf)
    softmax(log_probs)  # refuses what is no log-probability
    if own == -math.inf:
        raise EvaluationError(
            f"the right choice {brief(reference)} is impossible by these log-probabilities",
            hint="give every choice a finite log-probability: no temperature makes up for one of minus infinity",
        )
    others = (value for choice, value in log_probs.items() if choice != reference)
    return [0.0, *(value - own for value in others if value > -math.inf)]


def _root(rows: Sequence[Sequence[float]], low: float, high: float) -> float:
    """The 1/T between the two at which the slope of the loss is 0, or the end that the loss falls towards."""
    for _ in range(_STEPS):
        middle = math.sqrt(low * high)
        if _slope(rows, middle) < 0.0:
            low = middle
        else:
            high = middle
    return math.sqrt(low * high)


def _slope(rows: Sequence[Sequence[float]], inverse: float) -> float:
    """Of the summed log loss in 1/T: the mean gap to the right choice under the model's own probabilities."""
    return math.fsum(_mean_gap(gaps, inverse) for gaps in rows)


def _mean_gap(gaps: Sequence[float], inverse: float) -> float:
    most = max(gaps)
    weights = [math.exp((gap - most) * inverse) for gap in gaps]
    return math.fsum(weight * gap for weight, gap in zip(weights, gaps, strict=True)) / math.fsum(weights)


def _log_loss(rows: Sequence[Sequence[float]], inverse: float) -> float:
    return math.fsum(_nats(gaps, inverse) for gaps in rows) / len(rows)


def _nats(gaps: Sequence[float], inverse: float) -> float:
    most = max(gaps)
    return most * inverse + math.log(math.fsum(math.exp((gap - most) * inverse) for gap in gaps))


def _warning(value: float, n: int) -> str | None:
    if not LEAST * 1.001 < value < MOST / 1.001:
        return f"no temperature from {LEAST:g} to {MOST:g} is best: the log loss still falls at {value:g}"
    if n < _FEW_ITEMS:
        return f"{n} items are few to fit a temperature on; from about {_FEW_ITEMS} it is steady"
    return None
