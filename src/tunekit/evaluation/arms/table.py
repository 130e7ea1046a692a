"""Arms as a table for a terminal. Knows columns and digits; not where the numbers come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tunekit.evaluation.arms.results import ArmResult, Arms
from tunekit.evaluation.arms.words import money
from tunekit.evaluation.report.numbers import compared_in_percent, in_percent, interval

COST_COLUMNS = ("tokens in", "out", "s/1,000", "$/1,000", "training", "break-even")


def render_arms(arms: Arms) -> str:
    """The verdict, a line for each arm and scorer, and what is not known."""
    names = arms.arms[0].evaluation.names
    heading = ("", "scorer", "result", f"against {arms.baseline}", "verdict", "level", *COST_COLUMNS)
    rows = [row for arm in arms.arms for row in _rows(arm, names)]
    notes = [f"{arm.name}: {note}" for arm in arms.arms for note in arm.notes]
    warnings = [f"warning: {text}" for text in arms.warnings]
    lead = [arms.verdict, ""] if arms.verdict else []
    return "\n".join([*lead, *_aligned([heading, *rows]), _legend(arms), *notes, *warnings])


def _rows(arm: ArmResult, names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for number, name in enumerate(names):
        taken = costs(arm) if number == 0 else ("",) * len(COST_COLUMNS)
        metric = arm.evaluation[name]
        result = interval(metric.value, percent=in_percent(metric))
        yield ("" if number else arm.name, name, result, *_against(arm, name), *taken)


def _against(arm: ArmResult, name: str) -> tuple[str, str, str]:
    found = arm.against.get(name)
    if found is None:
        return "-", "-", "-"
    verdict = found.verdict if found.verdict == "inconclusive" else found.verdict.upper()
    return (
        interval(found.delta, signed=True, percent=compared_in_percent(found)),
        verdict,
        f"{100 * found.delta.level:.4g} %",
    )


def costs(arm: ArmResult) -> tuple[str, ...]:
    """What an arm takes, by `COST_COLUMNS`."""
    return (
        _number(arm.input_tokens_per_call),
        _number(arm.output_tokens_per_call),
        _number(arm.seconds_per_1000_calls),
        _money(arm.usd_per_1000_calls),
        _money(arm.training_usd) if arm.trained else "-",
        f"{arm.break_even_calls:,}" if arm.break_even_calls is not None else "-",
    )


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"


def _money(value: float | None) -> str:
    return "?" if value is None else money(value)


def _legend(arms: Arms) -> str:
    return (
        "[results with the evaluator's intervals; differences paired, at Holm's level for the arms compared;"
        f" margin {arms.margin:g}, gain asked {arms.min_gain:g}; ? is not known;\n"
        " s/1,000 at this concurrency, with what it took to load a model or embed examples]"
    )


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
