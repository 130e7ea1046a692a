"""A sweep or a soup as a small table for a terminal. Knows columns; not where the numbers come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tunekit.evaluation.report import interval
from tunekit.evaluation.report.numbers import number

if TYPE_CHECKING:
    from tunekit.evaluation.stats import Interval
    from tunekit.retrain.blending.results import Soup, Sweep, SweepPoint


def render_sweep(sweep: Sweep) -> str:
    """A line for each model from the base to the tuned one, then what to know."""
    guarded = bool(sweep.guard_metric)
    head = ["alpha", sweep.metric, "gain over the base"]
    if guarded:
        head += [f"guard: {sweep.guard_metric}"]
    rows = [(*head, ""), *(_line(point, sweep, guarded) for point in sweep.points)]
    title = f"{sweep.base} to {sweep.tuned}, {sweep.metric} on {sweep.n_dev:,} dev items"
    return _table(title, rows, sweep.warnings)


def render_soup(soup: Soup) -> str:
    """A line for each sibling, best first, then what to know."""
    rows = [("sibling", "alone", "with those before", "gain", "")]
    for step in soup.steps:
        together = "-" if step.together is None else interval(step.together)
        rows.append(
            (
                str(step.added),
                interval(step.alone),
                together,
                _signed(step.gain),
                "in" if step.is_in else "left out",
            )
        )
    return _table(f"{soup.model}: {soup.metric} on {soup.n_dev:,} dev items", rows, soup.warnings)


def _table(title: str, rows: Sequence[tuple[str, ...]], warnings: Sequence[str]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([title, *lines, *(f"warning: {text}" for text in warnings)])


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
