"""What has to be shown of two models, at any confidence level. Knows stored comparisons; decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tunekit.data.wording import brief
from tunekit.errors import NotFoundError
from tunekit.evaluation.changes import calibration_change, changes
from tunekit.evaluation.comparison import Change, Comparison
from tunekit.evaluation.findings import estimate
from tunekit.evaluation.pairing import Pairs, pair
from tunekit.evaluation.slicing import part_of
from tunekit.evaluation.stats import Interval
from tunekit.retrain.gate.rules import Gate, Guardrail


@dataclass(frozen=True, slots=True)
class Claim:
    """A difference that must exceed a bound, counted so that more is better.

    Attributes:
        name: What is compared.
        bound: What the difference must be above.
        delta: The difference with its interval, at a level.
    """

    name: str
    bound: float
    delta: Callable[[float], Interval]


def claims_of(gate: Gate, comparison: Comparison, tasks: Mapping[str, Comparison]) -> Iterator[Claim]:
    """The gain, then each guardrail.

    Raises:
        NotFoundError: A scorer, quantity, slice or task is not there.
    """
    yield Claim(gate.primary, gate.min_gain, _of_metric(comparison, gate.primary))
    for rail in gate.guardrails:
        if rail.task and rail.task not in tasks:
            raise NotFoundError(
                f"no comparison of the task {brief(rail.task)}",
                hint=f"pass tasks={{{rail.task!r}: comparison}}",
            )
        yield _guarded(gate, rail, tasks[rail.task] if rail.task else comparison)


def _guarded(gate: Gate, rail: Guardrail, comparison: Comparison) -> Claim:
    scorer = rail.scorer or gate.primary
    if rail.of in comparison.metrics:
        before = comparison[rail.of].a.value.estimate
        delta = _of_metric(comparison, rail.of, rail.column, rail.value)
    elif rail.of == "calibration":
        before, delta = _of_change(comparison, scorer, lambda level: _calibration(comparison, scorer, level))
    else:
        before, delta = _of_change(comparison, rail.of, lambda level: _quantity(comparison, rail.of, level))
    margin = rail.margin if rail.margin is not None else (rail.ratio or 0.0) * abs(before)
    return Claim(rail.name, -margin, delta)


def _of_metric(
    comparison: Comparison, name: str, column: str = "", value: str = ""
) -> Callable[[float], Interval]:
    comparison[name]  # raises, and names those that there are
    pairs = pair(name, *comparison.evaluations)
    if column:
        pairs = part_of(pairs, column, value)
    return lambda level: _better_up(estimate(pairs, level).delta, up=_is_up(pairs))


def _of_change(
    comparison: Comparison, name: str, found: Callable[[float], Change | None]
) -> tuple[float, Callable[[float], Interval]]:
    """Of a quantity of which less is better: what it was, and by how much less it is."""
    change = found(0.95)
    if change is None:
        raise NotFoundError(
            f"the comparison has no scorer and no quantity {brief(name)} that both models have",
            hint=f"there are: {', '.join([*comparison.names, *(each.name for each in comparison.changes)])}",
        )

    def delta(level: float) -> Interval:
        again = found(level)
        assert again is not None, "it was there a moment ago"
        return _better_up(again.delta, up=False)

    return change.a, delta


def _quantity(comparison: Comparison, name: str, level: float) -> Change | None:
    return next((each for each in changes(*comparison.evaluations, level) if each.name == name), None)


def _calibration(comparison: Comparison, scorer: str, level: float) -> Change | None:
    a, b = comparison.evaluations
    comparison[scorer]  # raises, and names those that there are
    return calibration_change(pair(scorer, a, b), a.provenance.scorers[scorer], level)


def _is_up(pairs: Pairs) -> bool:
    return pairs.corpus.higher_is_better if pairs.corpus else pairs.higher_is_better


def _better_up(delta: Interval, *, up: bool) -> Interval:
    return delta if up else delta.mirrored
