"""The table of what the arms reach on the test rows. Knows wording; trains nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quality.comparison import Scores, difference, estimate
from quality.runs import Plan, Results
from quality.tasks import Task

HEAD = """\
| task | base, method | rows | measure | peer | default | best of 12 | default against peer | against the best |
|---|---|--:|---|--:|--:|--:|--:|--:|"""


def report(found: Sequence[tuple[Task, Plan, Results]]) -> str:
    """Markdown: a line for each task, and below what was chosen by the rules and by the sweeps."""
    lines, notes = [HEAD], list[str]()
    for task, plan, results in found:
        default, peer, best = (plan.seeds(arm, results) for arm in ("default", "peer", "sweep"))
        lines.append(_line(task, default, peer, best))
        said = [f"{name}: {_said(runs[0])}" for name, runs in (("default", default), ("best", best)) if runs]
        notes.append(f"- {task.name}: {'; '.join(said) or 'nothing yet'}")
    return "\n".join([*lines, "", *notes])


def _line(task: Task, default: list[Any], peer: list[Any], best: list[Any]) -> str:
    train, _, test = task.sizes
    against = [
        _against(_scores(default), _scores(other)) if default and other else "" for other in (peer, best)
    ]
    reached = [_reached(task, _scores(arm)) for arm in (peer, default, best)]
    method = "SFT" if task.method == "sft" else task.method.capitalize()
    cells = [task.about, f"{task.base}, {method}", f"{train} / {test}", task.measure, *reached, *against]
    return f"| {' | '.join(cells)} |"


def _scores(results: list[Any]) -> Scores:
    return [result["test"] for result in results]


def _reached(task: Task, scores: Scores) -> str:
    if not scores:
        return "not run"
    found = estimate(scores)
    mean = found.mean if task.measure == "accuracy" else -found.mean
    return f"{mean:.3f} ± {found.error:.3f}"


def _against(ours: Scores, theirs: Scores) -> str:
    found = difference(ours, theirs)
    return f"{found.mean:+.3f} ± {found.error:.3f}"


def _said(result: dict[str, Any]) -> str:
    decided = result["decided"]
    values = {name: value if isinstance(value, str) else f"{value:g}" for name, value in decided.items()}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items()) or "by itself"
