"""Answering only where the model is sure: what share of answers remains, and how right those are.

Knows one confidence and one score from 0 to 1 for each item; not where they come from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from tunekit.errors import EvaluationError, SpecError
from tunekit.evaluation import stats
from tunekit.evaluation.stats import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What comes of answering from one confidence on.

    Attributes:
        threshold: The least confidence that is answered.
        answered: Items with at least that.
        right: Those of them that are right.
        coverage: Answered items as a share of all.
        risk: Wrong answers as a share of those answered.
    """

    threshold: float
    answered: int
    right: int
    coverage: float
    risk: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Where to stop answering.

    Attributes:
        confidence: Answer from this confidence on.
        coverage: The share of items that this answers.
        accuracy: The share of those answers that is right, with its Wilson interval.
    """

    confidence: float
    coverage: float
    accuracy: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskCoverage:
    """The curve of risk over coverage.

    Attributes:
        points: By falling threshold, so by rising coverage. Items of one confidence come and go together.
        area: Mean risk over coverage, as a staircase: without ties, the mean over k of the risk of the k surest
            answers. Lower is better; equal to the error rate where confidence says nothing.
    """

    points: tuple[Point, ...]
    area: float

    def threshold_for(
        self, accuracy: float, *, by: Literal["estimate", "low"] = "low", level: float = 0.95
    ) -> Threshold | None:
        """Where to stop answering so that the answers are right often enough; None where no place would do.

        Args:
            accuracy: The wanted share of right answers.
            by: "low" asks it of the lower end of the interval, "estimate" of the observed share. The threshold is the
                best of many on the same items, so even "low" is a bit hopeful: check it on others.
            level: Confidence level of the interval.

        Raises:
            SpecError: `accuracy` or `level` is not within 0 and 1, or `by` is something else.
        """
        if not 0.0 <= accuracy <= 1.0:
            raise SpecError(f"the wanted accuracy is {accuracy!r}", hint="write 0.95 for 95 %")
        if by not in ("low", "estimate"):
            raise SpecError(f"by is {by!r}", hint='"low" or "estimate"')
        for point in reversed(self.points):
            found = stats.wilson(point.right, point.answered, level=level)
            if (found.low if by == "low" else found.estimate) >= accuracy:
                return Threshold(confidence=point.threshold, coverage=point.coverage, accuracy=found)
        return None


def risk_coverage(confidences: Sequence[float], right: Sequence[bool]) -> RiskCoverage:
    """The curve of one model's answers.

    Args:
        confidences: By item; any numbers of which higher is surer.
        right: Whether the answer is right, by item.

    Raises:
        EvaluationError: There is no item, or a confidence is not a number.

    Examples:
        >>> found = risk_coverage([0.9, 0.8, 0.7, 0.6], [True, True, False, True])
        >>> [(point.coverage, round(point.risk, 3)) for point in found.points]
        [(0.25, 0.0), (0.5, 0.0), (0.75, 0.333), (1.0, 0.25)]
        >>> found.threshold_for(0.9, by="estimate").confidence
        0.8
    """
    if not confidences or any(map(math.isnan, confidences)):
        raise EvaluationError(
            "there are no confidences that are numbers", hint="give one confidence per item"
        )
    points = tuple(_points(confidences, right))
    before = (0.0, *(point.coverage for point in points))
    steps = (point.risk * (point.coverage - start) for point, start in zip(points, before, strict=False))
    return RiskCoverage(points=points, area=math.fsum(steps))


def _points(confidences: Sequence[float], right: Sequence[bool]) -> Iterator[Point]:
    pairs = sorted(zip(confidences, right, strict=True), key=lambda pair: -pair[0])
    answered = hits = 0
    for threshold, group in groupby(pairs, key=lambda pair: pair[0]):
        scores = [score for _, score in group]
        answered, hits = answered + len(scores), hits + sum(map(bool, scores))
        yield Point(
            threshold=threshold,
            answered=answered,
            right=hits,
            coverage=answered / len(pairs),
            risk=1.0 - hits / answered,
        )
