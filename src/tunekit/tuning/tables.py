"""Learning curves and searches as small tables for a terminal. Knows columns; not where the numbers come from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tunekit.data.wording import brief
from tunekit.evaluation.report import interval

if TYPE_CHECKING:
    from tunekit.evaluation.stats import Interval
    from tunekit.tuning.curve import LearningCurve
    from tunekit.tuning.results import Search, Trial

_BAR = 30
_MOST_WARNINGS = 10


def render_curve(curve: LearningCurve) -> str:
    """A line for each size with a bar, the law, and what it expects of more rows."""
    estimates = [mean.score.estimate for mean in curve.means]
    rows = [("rows", curve.metric, "seeds", "")]
    rows += [
        (f"{mean.size:,}", _score(mean.score), str(mean.score.n), _bar(mean.score.estimate, estimates))
        for mean in curve.means
    ]
    return "\n".join([*_heading(curve), *aligned(rows), *_law(curve), *_warned(curve.warnings)])


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows with their columns under each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def usd(amount: float | None) -> str:
    """An amount of money; a dash where it is not known.

    Examples:
        >>> usd(1.5), usd(None)
        ('$1.50', '-')
    """
    return "-" if amount is None else f"${amount:,.2f}"


def _heading(curve: LearningCurve) -> list[str]:
    return [f"{curve.target}, {curve.metric} on {curve.n_dev:,} dev items, jobs {usd(curve.cost_usd)}"]


def _law(curve: LearningCurve) -> Iterable[str]:
    if curve.law is None:
        yield f"no fit: {curve.refusal}"
        return
    yield f"fit: {curve.law}, off by {curve.law.rmse:.2g} (root mean square)"
    for times in (2, 4, 8):
        size = times * curve.law.largest
        yield f"  {size:,} rows: {_score(curve.law.at(size))} expected"
    yield f"[{100 * curve.law.level:g} % intervals, of rows and seeds; dev is the same for all]"


def _score(value: Interval) -> str:
    if math.isinf(value.low):
        return f"{100 * value.estimate:.1f} %" if abs(value.estimate) <= 1 else f"{value.estimate:.4g}"
    return interval(value)


def _bar(value: float, values: Sequence[float]) -> str:
    low, high = min(0.0, *values), max(values)
    return "#" * (round(_BAR * (value - low) / (high - low)) if high > low else 0)


def _warned(warnings: Sequence[str]) -> list[str]:
    shown = [f"warning: {text}" for text in warnings[:_MOST_WARNINGS]]
    rest = len(warnings) - _MOST_WARNINGS
    return [*shown, f"and {rest} more warnings"] if rest > 0 else shown


def render_search(search: Search) -> str:
    """A line for each trial, the best first: its score, cost and what was chosen; then what to know."""
    names = list(search.space)
    head = ("", search.metric, "epochs", "cost", *names, "")
    rows = [head, *(_trial(search, trial, names) for trial in _ranked(search))]
    title = (
        f"{search.target}, {search.method}, {len(search.trials)} trials, {search.metric} on {search.n_dev:,} dev items,"
        f" jobs {usd(search.cost_usd)}"
    )
    return "\n".join([title, *aligned(rows), *_warned(search.warnings)])


def _ranked(search: Search) -> list[Trial]:
    """Who came furthest first, and of those the best."""
    sign = -1 if search.higher_is_better else 1

    def place(trial: Trial) -> tuple[bool, int, float, int]:
        score = trial.score.estimate if trial.score else 0.0
        return trial.score is None, -len(trial.rungs), sign * score, trial.number

    return sorted(search.trials, key=place)


def _trial(search: Search, trial: Trial, names: Sequence[str]) -> tuple[str, ...]:
    epochs = trial.rungs[-1].epochs if trial.rungs else "-"
    note = "best" if trial.number == search.best_number else ""
    return (
        f"#{trial.number}",
        _score(trial.score) if trial.score else trial.outcome,
        epochs if isinstance(epochs, str) else f"{epochs:g}",
        usd(trial.cost_usd) if trial.rungs else "-",
        *(brief(trial.values[name], quote=False) for name in names),
        note or (brief(trial.why, quote=False) if trial.why else ""),
    )
