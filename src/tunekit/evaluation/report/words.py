"""What a comparison says, in words that need no statistics. Knows verdicts; finds none."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tunekit.data.wording import brief
from tunekit.evaluation.report.numbers import compared_in_percent, difference, number, signed

if TYPE_CHECKING:
    from tunekit.evaluation.comparison import Comparison, ExitCode, MetricComparison
    from tunekit.evaluation.stats import Verdict

HEADLINES: dict[Verdict, str] = {
    "better": "Better",
    "worse": "Worse",
    "equivalent": "No difference that matters",
    "inconclusive": "Cannot tell",
}
_OVERALL: dict[ExitCode, str] = {
    0: "It passes.",
    1: "It does not pass.",
    2: "This test cannot tell.",
}


def overall(comparison: Comparison) -> str:
    """Whether the second model passes, by all scorers.

    Examples:
        >>> sorted(_OVERALL.values())
        ['It does not pass.', 'It passes.', 'This test cannot tell.']
    """
    return _OVERALL[comparison.exit_code]


def rule(comparison: Comparison) -> str:
    """What was asked of the second model."""
    asked = "to be better" if comparison.min_gain or not comparison.margin else "not to be worse"
    parts = [f"b was asked {asked} than a"]
    if comparison.min_gain:
        parts.append(f"by more than {comparison.min_gain:g}")
    if comparison.margin:
        parts.append(f"where differences up to {comparison.margin:g} do not matter")
    return " ".join(parts)


def sentence(found: MetricComparison) -> str:
    """One scorer's verdict: both results, the difference, and what the data do not rule out."""
    percent = compared_in_percent(found)
    a, b = (number(side.value.estimate, percent=percent) for side in (found.a, found.b))
    gap = difference(found.delta.estimate, percent=percent)
    return f"b gets {b} where a gets {a}: {gap}. {_allowed(found, percent)} ({100 * found.delta.level:g} %)."


def _allowed(found: MetricComparison, percent: bool) -> str:
    ends = (found.delta.low, found.delta.high)
    if not any(map(math.isfinite, ends)):
        return "The data bound nothing"
    low, high = (signed(end, percent=percent) for end in ends)
    return f"The data allow {low} to {high}"


def baseline(found: MetricComparison) -> str | None:
    """What always giving one answer gets, where it is a classification."""
    known = found.a.baseline or found.b.baseline
    if known is None:
        return None
    return f"always answering {brief(known.label)} gets {number(known.value, percent=compared_in_percent(found))}"
