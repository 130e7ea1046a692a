"""What a gate can be told before anything is spent. Knows tests and amounts of rows; no model and no score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunekit.data.wording import brief, listed, nearest
from tunekit.errors import SpecError
from tunekit.evaluation.evaluator import Evaluator
from tunekit.retrain.gate.rules import Gate, Guardrail
from tunekit.retrain.rounds.composing import Composed


def require_measured(gate: Gate, evaluator: Evaluator, tasks: Mapping[str, Evaluator]) -> None:
    """Raise for a gate that asks of what is not going to be measured: after training it would be too late.

    Raises:
        SpecError: Its primary scorer, a task or a slice is not there.
    """
    scorers = list(evaluator.provenance.scorers)
    if gate.primary not in scorers:
        raise SpecError(
            f"gate.primary is {brief(gate.primary)}, which the evaluator does not score",
            hint=nearest(gate.primary, scorers) or f"its scorers are {listed(scorers)}",
        )
    for rail in gate.guardrails:
        if rail.task and rail.task not in tasks:
            raise SpecError(
                f"the guardrail {rail.name!r} is on a task that has no test",
                hint=f"pass tasks={{{rail.task!r}: Evaluator(...)}}",
            )
        if not _items(rail, evaluator, tasks):
            raise SpecError(
                f"the guardrail {rail.name!r} is on a slice that no item of the test is in",
                hint=f"build the evaluator with slices=({rail.column!r},), and look at the values of that column",
            )


def guarded_items(gate: Gate, evaluator: Evaluator, tasks: Mapping[str, Evaluator]) -> Sequence[int]:
    """How many items each guardrail with a margin is looked at on, in order."""
    return [_items(rail, evaluator, tasks) for rail in gate.guardrails if rail.margin is not None]


def not_enough(gate: Gate, made: Composed, *, replaces: bool) -> str:
    """Why the gate cannot be passed with these rows, whatever is trained on them; "" where it can.

    Args:
        gate: The gate.
        made: The training data.
        replaces: Whether there is a model in use, from whose labels these may have drifted.
    """
    if made.amounts.new < gate.min_new_rows:
        return f"{made.amounts.new:,} rows are new, and the gate asks for {gate.min_new_rows:,}"
    limit = gate.max_label_drift if replaces else None
    if limit is not None and made.drift is not None and made.drift > limit:
        return f"the labels have moved by {made.drift:.3f}, and the gate allows {limit:g}"
    return ""


def _items(rail: Guardrail, evaluator: Evaluator, tasks: Mapping[str, Evaluator]) -> int:
    asked = tasks[rail.task].items if rail.task else evaluator.items
    return sum(not rail.column or item.slices.get(rail.column) == rail.value for item in asked)
