"""What one job came to: its score on dev, its cost, or why there is none. Knows values; not how they came to be."""

from __future__ import annotations

from typing import Literal, TypeAlias

from tunekit.evaluation.records import Record
from tunekit.evaluation.stats import Interval

Outcome: TypeAlias = Literal["scored", "unscored", "failed", "refused", "unknown", "not sent"]
"""`"scored"`; trained but `"unscored"`; the job `"failed"` or was cancelled; it was `"refused"` and cost nothing; its
fate is `"unknown"`, and calling again looks once more; `"not sent"`, because the budget was used up."""


class Measured(Record):
    """One job and what its model scored on dev.

    Attributes:
        outcome: How far it came.
        score: Mean score of the dev items with its interval; None where there is none.
        run_id: The run in the store: `FineTuneJob.attach(f"{backend}:{run_id}")`.
        model: The tuned model, as a reference; "" where there is none.
        cost_usd: What training cost, in US dollars; None where nobody knows.
        seconds: What training took: what the backend says, else from the submission until its end was seen.
        warnings: What the evaluation warns of.
        error: Why there is no score.

    Examples:
        >>> Measured(outcome="not sent", error="the budget is used up").score is None
        True
    """

    outcome: Outcome
    score: Interval | None = None
    run_id: str = ""
    model: str = ""
    cost_usd: float | None = None
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    error: str = ""

    @property
    def value(self) -> float:
        """The score without its interval.

        Raises:
            ValueError: There is none.
        """
        if self.score is None:
            raise ValueError(f"no score: {self.error}")
        return self.score.estimate


def total_usd(parts: tuple[Measured, ...]) -> float | None:
    """What all of it cost; None where the cost of a job that ran is not known."""
    costs = [part.cost_usd for part in parts if part.run_id]
    return None if None in costs else sum(cost for cost in costs if cost is not None)
