"""Results as a small table for a terminal. Knows columns and digits; not where the numbers come from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tunekit.evaluation.results import Comparison, Evaluation, MetricComparison
    from tunekit.evaluation.stats import Interval


def render_evaluation(evaluation: Evaluation) -> str:
    """A line for each scorer: mean with its interval, items, errors."""
    rows = [("", "mean", "items", "errors")]
    rows += [
        (name, interval(metric.mean), str(metric.mean.n), str(metric.n_errors))
        for name, metric in evaluation.metrics.items()
    ]
    return _joined([str(evaluation.model)], rows, [f"warning: {text}" for text in evaluation.warnings])


def render_comparison(comparison: Comparison) -> str:
    """A line for each scorer: both means and the paired difference with intervals, the verdict, what changed."""
    heading = [f"a  {comparison.a}", f"b  {comparison.b}", ""]
    rows = [
        ("", "a", "b", "b - a", "verdict", "p", "fixed", "broken", "pairs"),
        *(_comparison_row(metric) for metric in comparison.metrics.values()),
    ]
    notes = [f"{metric.name}: {text}" for metric in comparison.metrics.values() for text in _notes(metric)]
    notes += [f"warning: {text}" for text in comparison.warnings]
    return _joined(heading, rows, [_legend(comparison), *notes])


def interval(value: Interval, *, signed: bool = False) -> str:
    """An estimate and its interval: in percent where all of it can be a share, else as plain numbers.

    Examples:
        >>> from tunekit.evaluation.stats import wilson
        >>> interval(wilson(80, 100))
        '80.0 % [71.1, 86.7]'
    """
    numbers = (value.estimate, value.low, value.high)
    if all(abs(number) <= 1.0 for number in numbers):
        estimate, low, high = (_fixed(100 * number, signed=signed) for number in numbers)
        return f"{estimate} % [{low}, {high}]"
    estimate, low, high = (f"{number:+.4g}" if signed else f"{number:.4g}" for number in numbers)
    return f"{estimate} [{low}, {high}]"


def _comparison_row(metric: MetricComparison) -> tuple[str, ...]:
    return (
        metric.name,
        interval(metric.a.mean),
        interval(metric.b.mean),
        interval(metric.delta, signed=True),
        metric.verdict.upper() if metric.verdict != "inconclusive" else metric.verdict,
        _p(metric.p_value),
        str(metric.wins),
        str(metric.losses),
        str(metric.n_paired),
    )


def _legend(comparison: Comparison) -> str:
    levels = {metric.delta.level for metric in comparison.metrics.values()}
    shown = " and ".join(f"{100 * level:g} %" for level in sorted(levels))
    rule = f"margin {comparison.margin:g}, gain asked {comparison.min_gain:g}"
    return f"[{shown} intervals; a, b and b - a over the pairs: items scored for both; {rule}]"


def _notes(metric: MetricComparison) -> Iterable[str]:
    if metric.a.n_errors or metric.b.n_errors:
        yield (
            f"scored for a: {metric.n_a} items ({metric.a.n_errors} errors), for b: {metric.n_b}"
            f" ({metric.b.n_errors} errors), for both: {metric.n_paired}"
        )
    yield from metric.warnings


def _joined(heading: Iterable[str], rows: Sequence[tuple[str, ...]], notes: Iterable[str]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([*heading, *table, *notes])


def _fixed(number: float, *, signed: bool) -> str:
    text = f"{number:+.1f}" if signed else f"{number:.1f}"
    return text.replace("-0.0", "0.0").replace("+0.0", "0.0") if abs(number) < 0.05 else text


def _p(value: float) -> str:
    if not math.isfinite(value):
        return "-"
    return "<0.0001" if value < 1e-4 else f"{value:.4f}"
