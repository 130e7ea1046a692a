"""A sweep as a small table for a terminal. Knows columns; not where the numbers come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunekit.evaluation.report import interval
from tunekit.evaluation.report.numbers import number

if TYPE_CHECKING:
    from tunekit.evaluation.stats import Interval
    from tunekit.retrain.blending.results import Sweep, SweepPoint


def render_sweep(sweep: Sweep) -> str:
    """A line for each model from the base to the tuned one, then what to know."""
    guarded = bool(sweep.guard_metric)
    head = ["alpha", sweep.metric, "gain over the base"]
    if guarded:
        head += [f"guard: {sweep.guard_metric}"]
    rows = [(*head, ""), *(_line(point, sweep, guarded) for point in sweep.points)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    title = f"{sweep.base} to {sweep.tuned}, {sweep.metric} on {sweep.n_dev:,} dev items"
    return "\n".join([title, *lines, *(f"warning: {text}" for text in sweep.warnings)])


def _line(point: SweepPoint, sweep: Sweep, guarded: bool) -> tuple[str, ...]:
    cells = [f"{point.alpha:g}", interval(point.score), _signed(point.gain)]
    if guarded:
        cells += [_signed(point.guard) + ("" if point.is_held else ", refused")]
    return (*cells, "chosen" if point.alpha == sweep.chosen_alpha else "")


def _signed(value: Interval | None) -> str:
    if value is None:
        return "-"
    low, estimate, high = (number(each, signed=True) for each in (value.low, value.estimate, value.high))
    return f"{estimate} [{low}, {high}]"
