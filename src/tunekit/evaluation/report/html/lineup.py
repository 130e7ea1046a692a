"""Several arms on one page: does training pay, and what does each arm take? Knows stored arms; computes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from tunekit.evaluation.arms.results import ArmResult, Arms
from tunekit.evaluation.arms.table import COST_COLUMNS, costs
from tunekit.evaluation.report.html import facts
from tunekit.evaluation.report.html.drawing import Axis, Row, intervals
from tunekit.evaluation.report.html.markup import data, section, table, text
from tunekit.evaluation.report.numbers import compared_in_percent, in_percent, interval, p_value

_TONES = {"yes": "better", "no": "worse", "not shown": "inconclusive", "": "equivalent"}
_HEADINGS = ("arm", "verdict", "result", "difference", "level", "p, adjusted")


def lined_up(arms: Arms) -> Iterator[str]:
    """The page's parts, the answer first."""
    items = arms.arms[0].evaluation.provenance.n_items
    yield (
        f'<header class="verdict {_TONES[arms.answer]}"><p class="quiet">{len(arms.arms)} arms on {items:,} items'
        f", the differences paired</p>\n<h1>{text(arms.verdict or 'No arm is trained')}</h1>"
        f"<p>Decided by {data(arms.by)}, against {data(arms.baseline)}.</p></header>\n<main>"
    )
    for name in arms.arms[0].evaluation.names:
        yield from section(f"scorer-{text(name)}", name, _scored(arms, name))
    yield from section("takes", "What each arm takes", _costs(arms))
    notes = (f"{arm.name}: {note}" for arm in arms.arms for note in arm.notes)
    yield from facts.warnings((*arms.warnings, *notes))
    sides = [(arm.name, arm.evaluation) for arm in arms.arms]
    yield from facts.failures(sides)
    yield from facts.provenance(sides)


def _scored(arms: Arms, name: str) -> Iterator[str]:
    metrics = [(arm, arm.evaluation[name]) for arm in arms.arms]
    percent = all(in_percent(metric) for _, metric in metrics)
    rows = [
        Row(label=arm.name, value=metric.value, tone="a" if arm.name == arms.baseline else "b")
        for arm, metric in metrics
    ]
    yield intervals(f"Results by {name}", rows, Axis(percent=percent))
    yield table(
        f"Against {arms.baseline}; the level of each interval is Holm's for the arms compared",
        _HEADINGS,
        [_row(arm, name) for arm in arms.arms],
        words=2,
    )


def _row(arm: ArmResult, name: str) -> tuple[str, ...]:
    metric = arm.evaluation[name]
    result = text(interval(metric.value, percent=in_percent(metric)))
    found = arm.against.get(name)
    if found is None:
        return data(arm.name), "the baseline", result, "", "", ""
    difference = interval(found.delta, signed=True, percent=compared_in_percent(found))
    level, p = f"{100 * found.delta.level:.4g} %", p_value(found.p_adjusted)
    return data(arm.name), text(found.verdict), result, text(difference), level, text(p)


def _costs(arms: Arms) -> Iterator[str]:
    caption = "Tokens of a call; seconds and US dollars of 1,000 calls at this concurrency; ? is not known"
    rows = [(data(arm.name), *map(text, costs(arm))) for arm in arms.arms]
    yield table(caption, ("arm", *COST_COLUMNS), rows)
