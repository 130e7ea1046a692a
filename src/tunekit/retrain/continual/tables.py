"""The forgetting report as small tables for a terminal. Knows columns; not where the numbers come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tunekit.data.wording import brief, listed
from tunekit.evaluation.report.numbers import interval, p_value
from tunekit.tuning.tables import aligned

if TYPE_CHECKING:
    from tunekit.evaluation.stats import Interval
    from tunekit.retrain.continual.forgetting import Forgetting
    from tunekit.retrain.continual.matrix import Matrix

_SHOWN = {"worse": "FORGOT", "better": "better", "unclear": ""}


def render(report: Forgetting) -> str:
    """The matrix, what became of each earlier task, and the means."""
    return "\n".join(
        [
            *_cells(report),
            "",
            *_earlier(report),
            *_general(report),
            *_means(report),
            f"[{100 * report.level:g} % intervals; * learned at this stage; p adjusted for the number of tasks (Holm)]",
        ]
    )


def _cells(report: Forgetting) -> list[str]:
    tasks = list(report.scorers)
    head = [brief(task, quote=False) + ("" if task in report.learned else " (probe)") for task in tasks]
    rows = [("after", *head)]
    if report.full.untrained:
        rows.append(("(untrained)", *(_cell(report.full.untrained.get(task)) for task in tasks)))
    for stage, cells in report.full.cells.items():
        stars = ["*" if report.learned.get(task) == stage else "" for task in tasks]
        shown = (_cell(cells.get(task)) + star for task, star in zip(tasks, stars, strict=True))
        rows.append((brief(stage, quote=False), *shown))
    return aligned(rows)


def _cell(value: Interval | None) -> str:
    return interval(value) if value else "-"


def _earlier(report: Forgetting) -> list[str]:
    if not report.full.backward:
        return ["no task was learned before the last stage"]
    own = report.own.backward if report.own else {}
    rows = [("earlier task", "since learned", "adjusted p", "", "since its best", "among own labels", "")]
    for task, effect in report.full.backward.items():
        rows.append(
            (
                brief(task, quote=False),
                interval(effect.delta, signed=True),
                p_value(effect.p_adjusted),
                _SHOWN[effect.outcome],
                interval(_lost(report.full, task), signed=True),
                interval(own[task].delta, signed=True) if task in own else "not known",
                _SHOWN[own[task].outcome] if task in own else "",
            )
        )
    return aligned(rows)


def _lost(matrix: Matrix, task: str) -> Interval:
    return matrix.forgotten[task].lost.mirrored


def _general(report: Forgetting) -> list[str]:
    if not report.general:
        return []
    rows = [("", "general probe set", "before", "at the end", "change", "adjusted p", "")]
    rows += [
        (
            "",
            brief(effect.task, quote=False),
            interval(effect.before),
            interval(effect.after),
            interval(effect.delta, signed=True),
            p_value(effect.p_adjusted),
            _SHOWN[effect.outcome],
        )
        for effect in report.general.values()
    ]
    return ["", *(line.strip() for line in aligned(rows))]


def _means(report: Forgetting) -> Iterator[str]:
    yield ""
    if report.full.refusal:
        yield f"no means over tasks: {report.full.refusal}"
    matrices = [("all labels", report.full), *([("own labels", report.own)] if report.own else [])]
    rows: list[tuple[str, ...]] = [("mean over tasks", *(name for name, _ in matrices))]
    for name, words, signed in (
        ("average", "at the end", False),
        ("backward_transfer", "backward transfer", True),
        ("forgetting", "forgetting", True),
        ("forward_transfer", "forward transfer", True),
    ):
        values = [getattr(matrix, name) for _, matrix in matrices]
        if any(values):
            rows.append((words, *(interval(value, signed=signed) if value else "-" for value in values)))
    if len(rows) > 1:
        yield from aligned(rows)
    for why in dict.fromkeys(report.not_own.values()):
        tasks = [task for task, other in report.not_own.items() if other == why]
        yield f"own labels of {listed(tasks)}: {why}"
