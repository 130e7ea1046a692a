"""What each scorer found, in words, pictures and numbers. Knows stored comparisons; computes no statistics."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tunekit.evaluation.comparison import Comparison, MetricComparison, SliceComparison
from tunekit.evaluation.report import words
from tunekit.evaluation.report.html.drawing import Axis, Row, intervals
from tunekit.evaluation.report.html.markup import data, facts, listed, more, section, table, text
from tunekit.evaluation.report.numbers import (
    compared_in_percent,
    difference,
    in_percent,
    interval,
    number,
    p_value,
)
from tunekit.evaluation.results import Evaluation, Metric

_MOST_SLICES = 40
_DRAWN_SLICES = 12


def compared(comparison: Comparison) -> Iterator[str]:
    """A card for each scorer."""
    for found in comparison.metrics.values():
        yield (
            f'<article class="card {found.verdict}">\n'
            f'<h3><strong class="tone">{words.HEADLINES[found.verdict]}</strong> by {data(found.name)}</h3>'
            f"\n<p>{text(words.sentence(found))}</p>"
        )
        yield f'<div class="figures">{_difference(found, comparison)}\n{_sides(found)}</div>'
        yield listed(text(warning) for warning in found.warnings)
        yield f"<details><summary>Numbers</summary>{facts(_numbers(found))}</details>\n</article>"


def evaluated(evaluation: Evaluation) -> Iterator[str]:
    """A card for each scorer of one model."""
    for metric in evaluation.metrics.values():
        percent = in_percent(metric)
        yield f'<article class="card">\n<h3>{data(metric.name)}: {text(interval(metric.value, percent=percent))}</h3>'
        axis = Axis(marks=_majority(metric), percent=percent)
        row = Row(label="", value=metric.value, tone="b")
        yield intervals(f"{metric.name} with its interval", [row], axis)
        yield listed(text(warning) for warning in metric.warnings)
        yield facts(_about(metric, percent)) + "\n</article>"


def slices(comparison: Comparison) -> Iterator[str]:
    """The difference on parts of the test, the surest first."""
    parts: list[str] = []
    for found in comparison.metrics.values():
        parts += _slices(found, comparison)
    return section("slices", "Parts of the test", parts)


def _difference(found: MetricComparison, comparison: Comparison) -> str:
    percent = compared_in_percent(found)
    direction = 1.0 if found.higher_is_better else -1.0
    ends = ("a is better", "b is better") if found.higher_is_better else ("b is better", "a is better")
    marks = [("no difference", 0.0)]
    if comparison.min_gain:
        marks.append(("gain asked", direction * comparison.min_gain))
    row = Row(label="", value=found.delta, tone=found.verdict)
    axis = Axis(
        marks=tuple(marks),
        zone=_zone(comparison, direction),
        percent=percent,
        signed=True,
        ends=ends,
    )
    caption = "b minus a" + (", in points" if percent else "")
    if comparison.margin:
        caption += "; the shaded differences do not matter"
    if comparison.min_gain:
        caption += "; the dashed line is the gain asked"
    return (
        f"<figure>{intervals(f'Difference by {found.name}', [row], axis)}"
        f'<figcaption class="quiet">{text(caption)}</figcaption></figure>'
    )


def _zone(comparison: Comparison, direction: float) -> tuple[float, float] | None:
    """Differences that are equivalent, as the verdict has them."""
    if not comparison.margin:
        return None
    low, high = sorted(
        (-direction * comparison.margin, direction * max(comparison.margin, comparison.min_gain))
    )
    return low, high


def _sides(found: MetricComparison) -> str:
    rows = [Row(label="a", value=found.a.value, tone="a"), Row(label="b", value=found.b.value, tone="b")]
    axis = Axis(marks=_majority(found.a) or _majority(found.b), percent=compared_in_percent(found))
    always = words.baseline(found)
    caption = "Both results over the same items" + (f"; {always} (dashed)" if always else "")
    return (
        f"<figure>{intervals(f'Results by {found.name}', rows, axis)}"
        f'<figcaption class="quiet">{text(caption)}</figcaption></figure>'
    )


def _majority(metric: Metric) -> tuple[tuple[str, float], ...]:
    return (("always the commonest answer", metric.baseline.value),) if metric.baseline else ()


def _numbers(found: MetricComparison) -> Iterator[tuple[str, str]]:
    percent = compared_in_percent(found)
    yield "a", text(interval(found.a.value, percent=percent))
    yield "b", text(interval(found.b.value, percent=percent))
    yield "b minus a", text(f"{interval(found.delta, signed=True, percent=percent)}, {found.method}")
    yield "better on / worse on / same", f"{found.wins:,} / {found.losses:,} / {found.ties:,} items"
    yield "p-value", text(f"{p_value(found.p_value)}, {found.test}")
    yield "adjusted for all scorers", text(f"{p_value(found.p_adjusted)}, Holm")
    yield "scored", f"{found.n_a:,} for a, {found.n_b:,} for b, {found.n_paired:,} for both"
    yield "could not be scored", f"{found.a.n_errors:,} for a, {found.b.n_errors:,} for b"
    yield from _planning(found, percent)
    if not found.higher_is_better:
        yield "direction", "less is better"


def _planning(found: MetricComparison, percent: bool) -> Iterator[tuple[str, str]]:
    if found.detectable is not None:
        shown = difference(found.detectable, percent=percent).removeprefix("+")
        yield "smallest difference that this test shows", text(f"{shown} (80 % power)")
    if found.items_needed is not None:
        yield "items that would show the observed one", f"{found.items_needed:,} (80 % power)"
    if found.correlation is not None:
        yield "correlation of a and b", f"{found.correlation:.2f}"
    if found.odds_ratio is not None and math.isfinite(found.odds_ratio):
        yield "fixed for each broken", f"{found.odds_ratio:.3g}"
    if found.n_clusters is not None:
        effect = f", design effect {found.design_effect:.2f}" if found.design_effect is not None else ""
        yield "groups of items", f"{found.n_clusters:,}{effect}"


def _about(metric: Metric, percent: bool) -> Iterator[tuple[str, str]]:
    yield "items", f"{metric.value.n:,} scored, {metric.n_errors:,} could not be"
    yield "interval", text(f"{100 * metric.value.level:g} %{metric.method and ', '}{metric.method}")
    if metric.baseline:
        always = f"{number(metric.baseline.value, percent=percent)}"
        yield "baseline", f"always answering {data(repr(metric.baseline.label))} gets {always}"
    if not metric.higher_is_better:
        yield "direction", "less is better"


def _slices(found: MetricComparison, comparison: Comparison) -> Iterator[str]:
    if not found.slices:
        return
    percent = compared_in_percent(found)
    surest = sorted(found.slices, key=lambda part: part.p_adjusted)[:_MOST_SLICES]
    yield f"<h3>{data(found.name)}</h3>"
    rows = [Row(label=_called(part), value=part.delta, tone="b") for part in surest[:_DRAWN_SLICES]]
    direction = 1.0 if found.higher_is_better else -1.0
    axis = Axis(
        marks=(("no difference", 0.0),), zone=_zone(comparison, direction), percent=percent, signed=True
    )
    yield intervals(f"Differences by slice, {found.name}", rows, axis)
    header = ("slice", "b minus a", "adjusted p", "a", "b", "items")
    yield table(
        "The surest differences first; p-values are adjusted for all slices (Holm)",
        header,
        [_slice(part, percent) for part in surest],
    )
    yield more(len(found.slices) - len(surest), "slices")
    yield listed(f"{data(_called(part))}: {text(warning)}" for part in surest for warning in part.warnings)


def _slice(part: SliceComparison, percent: bool) -> tuple[str, ...]:
    return (
        data(_called(part)),
        text(interval(part.delta, signed=True, percent=percent)),
        text(p_value(part.p_adjusted)),
        number(part.a, percent=percent),
        number(part.b, percent=percent),
        f"{part.n:,}",
    )


def _called(part: SliceComparison) -> str:
    return f"{part.column} = {part.value}"
