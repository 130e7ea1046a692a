"""An estimate with its interval, and the rule that makes a verdict of it. Knows numbers; not their origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from tunekit.errors import SpecError

Verdict: TypeAlias = Literal["better", "worse", "equivalent", "inconclusive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate and the range of values that the data does not rule out.

    Attributes:
        estimate: Point estimate.
        low: Lower end; minus infinity where the data bounds nothing.
        high: Upper end.
        level: Confidence level, such as 0.95.
        n: Items it rests on.

    Examples:
        >>> Interval(estimate=0.05, low=0.001, high=0.099, level=0.95, n=200)
        Interval(estimate=0.05, low=0.001, high=0.099, level=0.95, n=200)
    """

    estimate: float
    low: float
    high: float
    level: float
    n: int

    @property
    def mirrored(self) -> Interval:
        """The same difference, seen from the other side."""
        # 0 - 0 is 0, and -0.0 would be printed as such.
        ends = (0.0 - self.estimate, 0.0 - self.high, 0.0 - self.low)
        return Interval(estimate=ends[0], low=ends[1], high=ends[2], level=self.level, n=self.n)


def verdict(interval: Interval, *, margin: float = 0.0, min_gain: float = 0.0) -> Verdict:
    """What an interval of a paired difference (new minus old, higher is better) says.

    Differences from `-margin` to `max(margin, min_gain)` do not matter to the caller. In this order:

    1. the whole interval lies in that zone: "equivalent", however significant the difference is;
    2. its low end is above `min_gain`: "better";
    3. its high end is below 0: "worse";
    4. otherwise "inconclusive": more items are needed.

    With both at 0, the rule is "does the interval exclude zero?", and "equivalent" cannot be shown.
    A 95 % interval makes "equivalent" cautious: the usual two one-sided tests at 5 % would take a 90 %
    interval.

    Args:
        interval: Interval of the difference.
        margin: Largest difference, either way, that does not matter; 0 or more.
        min_gain: Gain that "better" must exceed; 0 or more.

    Raises:
        SpecError: `margin` or `min_gain` is negative or not finite.

    Examples:
        >>> verdict(Interval(estimate=0.05, low=0.001, high=0.099, level=0.95, n=200))
        'better'
        >>> verdict(Interval(estimate=0.05, low=0.001, high=0.099, level=0.95, n=200), min_gain=0.01)
        'inconclusive'
    """
    check_margin(margin, "margin")
    check_margin(min_gain, "min_gain")
    if -margin <= interval.low and interval.high <= max(margin, min_gain):
        return "equivalent"
    if interval.low > min_gain:
        return "better"
    if interval.high < 0:
        return "worse"
    return "inconclusive"


def check_margin(value: float, name: str) -> None:
    """Refuse a margin that is negative, infinite or not a number.

    Raises:
        SpecError: It is.
    """
    if not 0.0 <= value < float("inf"):
        raise SpecError(
            f"{name} must be 0 or more and finite, not {value!r}", hint="write 0.01 for one point"
        )
