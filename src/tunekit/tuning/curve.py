"""A learning curve as a value: points, means, the law, and what a target needs. Knows numbers; trains nothing."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

from pydantic import Field

from tunekit.errors import EvaluationError
from tunekit.evaluation.records import Record
from tunekit.evaluation.stats import Interval, mean_t
from tunekit.spec import TuneSpec
from tunekit.tuning.measured import Measured, total_usd
from tunekit.tuning.power_law import FURTHEST, PowerLaw

Reach: TypeAlias = Literal["measured", "extrapolated", "unreachable"]


class CurvePoint(Measured):
    """One size, one seed: the job, and what its model scored.

    Attributes:
        size: Training rows.
        seed: Of the choice of rows and of the spec.

    Examples:
        >>> CurvePoint(size=100, seed=0, outcome="not sent", error="the budget is used up").size
        100
    """

    size: int
    seed: int


class CurveMean(Record):
    """The seeds of one size together.

    Attributes:
        size: Training rows.
        score: Mean over the seeds with Student's interval: what another draw of rows and another seed change. Infinite
            for a single seed.

    Examples:
        >>> CurveMean(size=100, score=mean_t([0.7, 0.72, 0.71])).score.n
        3
    """

    size: int
    score: Interval


class Needed(Record):
    """How many rows a target needs, as far as the curve can say.

    Attributes:
        target: The score to reach.
        reach: `"measured"`: a size that was measured has it. `"extrapolated"`: the fit reaches it within eight times
            the largest size. `"unreachable"`: it does not.
        low: Low end of the interval of rows; None where even that lies beyond.
        n: Rows needed; None where it is unreachable.
        high: High end; None where it lies beyond, as it does for every target that some fits never reach.
        reason: In words, what this rests on.

    Examples:
        >>> needed = Needed(target=0.95, reach="extrapolated", low=900, n=1200, high=None, reason="by the fit")
        >>> bool(needed), str(needed)
        (True, '0.95 needs about 1,200 rows (900 or more): by the fit')
    """

    target: float
    reach: Reach
    low: int | None
    n: int | None
    high: int | None
    reason: str

    def __bool__(self) -> bool:
        return self.reach != "unreachable"

    def __str__(self) -> str:
        if self.n is None:
            return f"{self.target:g} is unreachable: {self.reason}"
        if self.low is None:
            return f"{self.target:g} needs {self.n:,} rows: {self.reason}"
        to = f"{self.low:,} to {self.high:,}" if self.high is not None else f"{self.low:,} or more"
        return f"{self.target:g} needs about {self.n:,} rows ({to}): {self.reason}"


class LearningCurve(Record):
    """How the score on dev grows with the training data. Print it for a table.

    Attributes:
        target: What was trained where.
        metric: The scorer whose mean is the score.
        higher_is_better: Which way is up.
        spec: The recipe; each point has its own seed in it.
        train_fingerprint: Of all of the training data.
        dev_fingerprint: Of the data that the models were scored on.
        n_dev: Items in it.
        points: One per size and seed, in this order.
        means: One per size that has a score.
        law: The power law through the points; None where `refusal` says why.
        refusal: Why there is no law; "" where there is one.
        warnings: What to know before believing it.

    Examples:
        >>> import tunekit as tk
        >>> from tunekit.store import MemoryStore
        >>> from tunekit.testing import ScriptedBackend, tiny_dataset
        >>> from tunekit.tuning import learning_curve
        >>> backend = ScriptedBackend(generate=lambda prompt: prompt.split()[-1])
        >>> evaluator = tk.Evaluator(tiny_dataset(rows=10, name="dev"))
        >>> curve = learning_curve(
        ...     tiny_dataset(rows=80), "scripted:base", evaluator=evaluator, sizes=[20, 40, 80], seeds=1,
        ...     backend=backend, store=MemoryStore())
        >>> [mean.score.estimate for mean in curve.means], curve.refusal
        ([1.0, 1.0, 1.0], 'a power law needs 4 sizes with a score, and there are 3')
        >>> LearningCurve.from_json(curve.to_json()) == curve
        True
    """

    schema_version: Literal[1] = 1
    target: str
    metric: str
    higher_is_better: bool = True
    spec: TuneSpec = Field(repr=False)
    train_fingerprint: str
    dev_fingerprint: str
    n_dev: int
    points: tuple[CurvePoint, ...] = Field(repr=False)
    means: tuple[CurveMean, ...]
    law: PowerLaw | None = Field(default=None, repr=False)
    refusal: str = ""
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        from tunekit.tuning.tables import render_curve

        return render_curve(self)

    @property
    def cost_usd(self) -> float | None:
        """What all jobs cost, in US dollars; None where it is not known of one."""
        return total_usd(self.points)

    def needed_for(self, target: float) -> Needed:
        """How many rows reach a score on this dev set.

        A size that was measured answers by itself; else the fit is asked, up to eight times the largest size.

        Args:
            target: The score to reach.

        Raises:
            EvaluationError: No size that was measured reaches it, and there is no fit.
        """
        if (reached := self._measured(target)) is not None:
            reason = f"the mean at this size is {reached.score.estimate:.4g}"
            return Needed(target=target, reach="measured", low=None, n=reached.size, high=None, reason=reason)
        if self.law is None:
            raise EvaluationError(
                f"no size that was measured reaches {target:g}, and there is no fit: {self.refusal}",
                hint="measure at least 4 sizes, each about twice the last",
            )
        return self._extrapolated(self.law, target)

    def _measured(self, target: float) -> CurveMean | None:
        """The smallest size from which on every mean has the target."""
        reached = None
        for mean in reversed(self.means):
            above = mean.score.estimate >= target
            if not (above if self.higher_is_better else mean.score.estimate <= target):
                break
            reached = mean
        return reached

    def _extrapolated(self, law: PowerLaw, target: float) -> Needed:
        low, n, high = (
            _within(law, size, least=law.largest)
            for size in law.sizes_for(target, rising=self.higher_is_better)
        )
        if n is not None:
            return Needed(
                target=target, reach="extrapolated", low=low, n=n, high=high, reason=f"by the fit {law}"
            )
        furthest = law.at(law.furthest)
        reason = (
            f"at {law.furthest:,} rows, {FURTHEST} times the largest size, the fit {law} has"
            f" {furthest.estimate:.4g} [{furthest.low:.4g}, {furthest.high:.4g}]; it is not asked beyond"
        )
        return Needed(target=target, reach="unreachable", low=low, n=None, high=None, reason=reason)


def means_of(points: tuple[CurvePoint, ...]) -> tuple[CurveMean, ...]:
    """The mean of each size that has a score."""
    return tuple(
        CurveMean(size=size, score=mean_t(scores)) for size, scores in scores_by_size(points).items()
    )


def scores_by_size(points: tuple[CurvePoint, ...]) -> dict[int, list[float]]:
    """The scores of each size, in order."""
    found: dict[int, list[float]] = {}
    for point in sorted(points, key=lambda point: (point.size, point.seed)):
        if point.score is not None:
            found.setdefault(point.size, []).append(point.score.estimate)
    return found


def _within(law: PowerLaw, size: float, *, least: int) -> int | None:
    """A whole number of rows above what was measured; None beyond eight times that."""
    if size > law.furthest:
        return None
    return max(least, math.ceil(size))
