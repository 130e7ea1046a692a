"""Results as a small table for a terminal. Knows columns; not where the numbers come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunekit.data.wording import brief
from tunekit.evaluation.report import words
from tunekit.evaluation.report.numbers import (
    compared_in_percent,
    in_percent,
    interval,
    number,
    p_value,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tunekit.evaluation.comparison import Change, Comparison, MetricComparison, SliceComparison
    from tunekit.evaluation.results import Evaluation, Metric

_MOST_SLICES = 10
"""Of one scorer; the surest differences are shown."""


def render_evaluation(evaluation: Evaluation) -> str:
    """A line for each scorer: result with its interval, items, errors; then what to know before believing it."""
    rows = [("", "result", "items", "errors")]
    rows += [
        (
            name,
            interval(metric.value, percent=in_percent(metric)),
            str(metric.value.n),
            str(metric.n_errors),
        )
        for name, metric in evaluation.metrics.items()
    ]
    notes = [f"{metric.name}: {text}" for metric in evaluation.metrics.values() for text in _said(metric)]
    if evaluation.reused:
        notes.append(f"{evaluation.reused:,} answers were known before, and not asked for again")
    notes += [f"warning: {text}" for text in evaluation.warnings]
    return _joined([evaluation.title], rows, notes)


def render_comparison(comparison: Comparison) -> str:
    """A line for each scorer: both results and the paired difference with intervals, the verdict, what changed."""
    a, b = comparison.titles
    heading = [f"a  {a}", f"b  {b}", ""]
    rows = [
        ("", "a", "b", "b - a", "verdict", "p", "adjusted", "fixed", "broken", "pairs"),
        *(_comparison_row(found) for found in comparison.metrics.values()),
    ]
    notes = [f"{found.name}: {text}" for found in comparison.metrics.values() for text in _notes(found)]
    notes += [_changed(change) for change in comparison.changes]
    notes += [f"warning: {text}" for text in comparison.warnings]
    return _joined(heading, rows, [_legend(comparison), *_slices(comparison), *notes])


def _comparison_row(found: MetricComparison) -> tuple[str, ...]:
    percent = compared_in_percent(found)
    return (
        found.name,
        interval(found.a.value, percent=percent),
        interval(found.b.value, percent=percent),
        interval(found.delta, signed=True, percent=percent),
        found.verdict.upper() if found.verdict != "inconclusive" else found.verdict,
        p_value(found.p_value),
        p_value(found.p_adjusted),
        str(found.wins),
        str(found.losses),
        str(found.n_paired),
    )


def _legend(comparison: Comparison) -> str:
    levels = {found.delta.level for found in comparison.metrics.values()}
    shown = " and ".join(f"{100 * level:g} %" for level in sorted(levels))
    rule = f"margin {comparison.margin:g}, gain asked {comparison.min_gain:g}"
    return f"[{shown} intervals; a, b and b - a over the pairs: items scored for both; {rule}]"


def _slices(comparison: Comparison) -> Iterator[str]:
    for found in comparison.metrics.values():
        surest = sorted(found.slices, key=lambda part: part.p_adjusted)[:_MOST_SLICES]
        if not surest:
            continue
        percent = compared_in_percent(found)
        rows = [
            (f"{found.name} by slice", "a", "b", "b - a", "adjusted p", "pairs"),
            *(_slice_row(part, percent) for part in surest),
        ]
        yield from ("", *_aligned(rows))
        if rest := len(found.slices) - len(surest):
            yield f"{rest} more slices in the JSON"
        yield ""


def _slice_row(part: SliceComparison, percent: bool) -> tuple[str, ...]:
    return (
        f"{brief(part.column, quote=False)}={brief(part.value, quote=False)}",
        number(part.a, percent=percent),
        number(part.b, percent=percent),
        interval(part.delta, signed=True, percent=percent),
        p_value(part.p_adjusted),
        str(part.n),
    )


def _notes(found: MetricComparison) -> Iterable[str]:
    if found.a.n_errors or found.b.n_errors:
        yield (
            f"scored for a: {found.n_a} items ({found.a.n_errors} errors), for b: {found.n_b}"
            f" ({found.b.n_errors} errors), for both: {found.n_paired}"
        )
    if not found.higher_is_better:
        yield "less is better"
    if always := words.baseline(found):
        yield always
    if found.n_clusters is not None:
        yield f"the pairs come in {found.n_clusters} groups"
    if found.calibration:
        yield _changed(found.calibration)
    yield from found.warnings


def _said(metric: Metric) -> Iterable[str]:
    if not metric.higher_is_better:
        yield "less is better"
    if metric.baseline:
        value = number(metric.baseline.value, percent=in_percent(metric))
        yield f"always answering {brief(metric.baseline.label)} gets {value}"
    yield from metric.warnings


def _changed(change: Change) -> str:
    delta = interval(change.delta, signed=True, percent=False)
    return f"{change.name}: {number(change.a)} for a, {number(change.b)} for b, {delta}"


def _joined(heading: Iterable[str], rows: Sequence[tuple[str, ...]], notes: Iterable[str]) -> str:
    return "\n".join([*heading, *_aligned(rows), *notes])


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
