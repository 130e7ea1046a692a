"""Reasons to retrain. Knows what has happened since the last round; starts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, PositiveFloat, PositiveInt

from tunekit._validation import Spec
from tunekit.retrain.gate.drift import label_drift


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What triggers look at.

    Attributes:
        now: Unix seconds.
        last: When the last round was asked for; None where there was none.
        new_rows: Rows that the model in use has not learned from.
        before: Rows by label that it has learned from; empty where rows have no single label.
        recent: New rows by label, likewise.
        scores: What was measured of the model in use since it was promoted, by scorer, with what it had then.
        lower_is_better: Scorers whose higher values are worse, such as perplexity.
        base_ends: First day on which its base answers no more.
    """

    now: float
    last: float | None
    new_rows: int
    before: Mapping[str, int]
    recent: Mapping[str, int]
    scores: Mapping[str, tuple[float, float]]
    lower_is_better: frozenset[str] = frozenset()
    base_ends: date | None


class Every(Spec):
    """A schedule's hint: so many days after the last round.

    Attributes:
        days: How many.
    """

    type: Literal["every"] = "every"
    days: PositiveFloat = 7.0

    def reason(self, seen: Situation) -> str:
        """Why it is time; "" where it is not."""
        if seen.last is None:
            return "no round was asked for yet"
        days = (seen.now - seen.last) / 86_400
        return f"the last round was {days:.1f} days ago" if days >= self.days else ""


class NewRows(Spec):
    """Enough rows that the model in use has not learned from.

    Attributes:
        rows: How many.
    """

    type: Literal["new_rows"] = "new_rows"
    rows: PositiveInt

    def reason(self, seen: Situation) -> str:
        """Why it is time; "" where it is not."""
        return f"{seen.new_rows:,} rows are new" if seen.new_rows >= self.rows else ""


class LabelDrift(Spec):
    """The labels of new rows are others than those that the model in use has learned from.

    Attributes:
        above: Population stability index; 0.2 is worth a look.
        least_rows: New rows below which an index is noise.
    """

    type: Literal["label_drift"] = "label_drift"
    above: PositiveFloat = 0.2
    least_rows: PositiveInt = 100

    def reason(self, seen: Situation) -> str:
        """Why it is time; "" where it is not."""
        if not seen.before or sum(seen.recent.values()) < self.least_rows:
            return ""
        found = label_drift(seen.before, seen.recent)
        return f"labels have moved by {found:.3f}" if found > self.above else ""


class MetricDrop(Spec):
    """The model in use has become worse at what it is asked today.

    Attributes:
        of: The scorer.
        by: The loss, in its unit.
    """

    type: Literal["metric_drop"] = "metric_drop"
    of: str
    by: PositiveFloat

    def reason(self, seen: Situation) -> str:
        """Why it is time; "" where it is not, or nobody has measured it since."""
        then, today = seen.scores.get(self.of, (0.0, 0.0))
        if self.of in seen.lower_is_better:
            return f"{self.of} has risen from {then:.3f} to {today:.3f}" if today - then >= self.by else ""
        return f"{self.of} has fallen from {then:.3f} to {today:.3f}" if then - today >= self.by else ""


class BaseEnds(Spec):
    """The base model of the one in use will be shut down.

    Attributes:
        days: How many days before.
    """

    type: Literal["base_ends"] = "base_ends"
    days: Annotated[int, Field(ge=0)] = 60

    def reason(self, seen: Situation) -> str:
        """Why it is time; "" where it is not."""
        if seen.base_ends is None:
            return ""
        left = (seen.base_ends - datetime.fromtimestamp(seen.now, tz=UTC).date()).days
        return f"the base model answers for {max(left, 0)} more days" if left <= self.days else ""


Trigger: TypeAlias = Every | NewRows | LabelDrift | MetricDrop | BaseEnds
