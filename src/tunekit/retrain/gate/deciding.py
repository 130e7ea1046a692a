"""From claims to a decision: Holm over all of them, and checks of the data. Pure.

Holm's procedure (1979, Scandinavian Journal of Statistics 6:65): the surest claim is tested at the level of all of
them, the next at that of the rest, and so on; the first that is not shown ends it. Each is tested by its interval, so
that a decision and what is drawn of it cannot disagree.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from tunekit.errors import SpecError
from tunekit.evaluation.comparison import Comparison
from tunekit.evaluation.report.numbers import number
from tunekit.evaluation.results import Metric
from tunekit.evaluation.stats import Interval, two_sided_z
from tunekit.retrain.gate.claims import Claim, claims_of
from tunekit.retrain.gate.decision import Check, Decision, Outcome, Verdict
from tunekit.retrain.gate.rules import Gate

_POWER_Z = 0.8416212335729143  # the normal quantile of 80 %


def decided(
    gate: Gate,
    comparison: Comparison,
    tasks: Mapping[str, Comparison],
    *,
    new_rows: int | None,
    label_drift: float | None,
) -> Decision:
    """See `Gate.decide`."""
    claims = list(claims_of(gate, comparison, tasks))
    checks = [
        *_shown(claims, gate),
        *_scored(gate, comparison),
        *_clean(gate, comparison),
        *_enough(gate, new_rows),
        *_alike(gate, label_drift),
    ]
    return Decision(verdict=_verdict(checks), checks=tuple(checks), warnings=comparison.warnings)


def _verdict(checks: Sequence[Check]) -> Verdict:
    outcomes = {check.outcome for check in checks}
    return "reject" if "failed" in outcomes else "inconclusive" if "unclear" in outcomes else "promote"


def _shown(claims: Sequence[Claim], gate: Gate) -> list[Check]:
    """One check for each claim, in their order."""
    whole = [claim.delta(gate.level) for claim in claims]
    order = sorted(range(len(claims)), key=lambda at: -_distance(claims[at], whole[at], gate.level))
    checks: dict[int, Check] = {}
    stopped = False
    for rank, at in enumerate(order):
        level = 1.0 - 2.0 * gate.alpha / (len(claims) - rank)
        delta = claims[at].delta(level) if level != gate.level else whole[at]
        shown = not stopped and delta.low > claims[at].bound
        stopped = not shown
        failed = whole[at].high < claims[at].bound or (at == 0 and whole[at].high <= claims[at].bound)
        outcome: Outcome = "passed" if shown else "failed" if failed else "unclear"
        checks[at] = _check(claims[at], delta, level, outcome)
    return [checks[at] for at in range(len(claims))]


def _distance(claim: Claim, delta: Interval, level: float) -> float:
    """How sure it is, in standard errors: of claims, only their order is taken from it."""
    error = _error(delta, level)
    above = delta.estimate - claim.bound
    return above / error if error > 0.0 else math.copysign(math.inf, above)


def _error(delta: Interval, level: float) -> float:
    return (delta.high - delta.low) / (2.0 * two_sided_z(level))


def _check(claim: Claim, delta: Interval, level: float, outcome: Outcome) -> Check:
    low, estimate, high = (number(value, signed=True) for value in (delta.low, delta.estimate, delta.high))
    seen, asked = f"{estimate} [{low}, {high}]", f"more than {number(claim.bound, signed=True)}"
    words = {
        "passed": f"{seen} is {asked}",
        "failed": f"{seen} is not {asked}",
        "unclear": f"{seen} may or may not be {asked}",
    }
    if outcome == "unclear" and delta.low > claim.bound:
        words["unclear"] = f"{seen} is {asked}, but a surer claim is not shown"
    needed = _items_needed(claim, delta, level) if outcome == "unclear" else None
    reason = words[outcome] + (f"; about {needed:,} items would tell" if needed else "")
    return Check(
        name=claim.name,
        outcome=outcome,
        reason=f"{reason} ({100 * level:.4g} %, {delta.n} items)",
        must_exceed=claim.bound,
        delta=delta,
        level=level,
        items_needed=needed,
    )


def _items_needed(claim: Claim, delta: Interval, level: float) -> int | None:
    above = delta.estimate - claim.bound
    if above <= 0.0:
        return None
    needed = ((two_sided_z(level) + _POWER_Z) * _error(delta, level) / above) ** 2 * delta.n
    return max(delta.n + 1, math.ceil(needed)) if math.isfinite(needed) else None


def _scored(gate: Gate, comparison: Comparison) -> Iterator[Check]:
    """Nobody knows what the items that failed would have shown."""
    for who, side in (("in use", comparison[gate.primary].a), ("new", comparison[gate.primary].b)):
        rate = _error_rate(side)
        if rate > gate.max_error_rate:
            yield Check(
                name=f"errors of the model {who}",
                outcome="unclear",
                reason=f"{rate:.1%} of the items could not be scored, more than {gate.max_error_rate:.1%}",
            )


def _error_rate(metric: Metric) -> float:
    return metric.n_errors / (metric.n_errors + metric.value.n)


def _clean(gate: Gate, comparison: Comparison) -> Iterator[Check]:
    leakage = comparison.evaluations[1].leakage
    if leakage is None:
        return
    leaked = len(leakage.leaks)
    yield Check(
        name="leakage",
        outcome="failed" if leaked > gate.max_leaked else "passed",
        reason=f"{leaked} of {leakage.n_items} items of the test are in the training data; {gate.max_leaked} may be",
    )


def _enough(gate: Gate, new_rows: int | None) -> Iterator[Check]:
    if not gate.min_new_rows:
        return
    if new_rows is None:
        raise SpecError("the gate asks for new rows, and nobody has counted them", hint="pass new_rows=")
    yield Check(
        name="new data",
        outcome="failed" if new_rows < gate.min_new_rows else "passed",
        reason=f"{new_rows:,} rows are new; {gate.min_new_rows:,} must be",
    )


def _alike(gate: Gate, label_drift: float | None) -> Iterator[Check]:
    if gate.max_label_drift is None:
        return
    if label_drift is None:
        raise SpecError(
            "the gate asks how far labels have moved", hint="pass label_drift=label_drift(before, now)"
        )
    yield Check(
        name="label drift",
        outcome="failed" if label_drift > gate.max_label_drift else "passed",
        reason=f"labels have moved by {label_drift:.3f}; {gate.max_label_drift:g} may be (population stability index)",
    )
