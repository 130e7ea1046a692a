"""Two evaluations of the same test, paired item by item. Pure: knows provenance and verdicts; asks no model.

Items that either model could not be scored on are left out of both, and counted: the results of the two sides are
over the same items as the difference, so that they add up. How a difference is found is in `findings`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tunekit.errors import EvaluationError, SpecError
from tunekit.evaluation import stats
from tunekit.evaluation.baseline import beside_majority
from tunekit.evaluation.changes import calibration_change, changes
from tunekit.evaluation.comparison import Comparison, MetricComparison
from tunekit.evaluation.findings import Finding, find
from tunekit.evaluation.measuring import metric_of
from tunekit.evaluation.pairing import Pairs, only, pair
from tunekit.evaluation.results import Evaluation, Metric
from tunekit.evaluation.slicing import compare_slices
from tunekit.evaluation.stats import Interval, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What counts as better.

    Attributes:
        margin: Largest difference, either way, that does not matter.
        min_gain: Gain that "better" must exceed.
        level: Confidence level of every interval.
        max_error_rate: Share of items that a model may fail to be scored on. Above it every verdict is
            "inconclusive": the items left are no fair sample of the test.
    """

    margin: float = 0.0
    min_gain: float = 0.0
    level: float = 0.95
    max_error_rate: float = 0.05

    def __post_init__(self) -> None:
        stats.check_margin(self.margin, "margin")
        stats.check_margin(self.min_gain, "min_gain")
        stats.two_sided_z(self.level)  # refuses a level that is none
        if not 0.0 <= self.max_error_rate <= 1.0:
            raise SpecError(
                f"max_error_rate must be within 0 and 1, not {self.max_error_rate!r}",
                hint="write 0.05 for 5 %",
            )


def compare_evaluations(a: Evaluation, b: Evaluation, rule: Rule | None = None) -> Comparison:
    """What `b` does better or worse than `a`, by every scorer that both have.

    Args:
        a: Results of the first model (usually the base).
        b: Results of the second model (usually the tuned one).
        rule: What counts as better; None excludes zero at 95 %.

    Raises:
        EvaluationError: They come from different test sets, sampling or scorers, share no scorer, or by some
            scorer no item could be scored for both.
    """
    rule = rule or Rule()
    differences = a.provenance.differences(b.provenance)
    if differences:
        raise EvaluationError(
            f"{a.model} and {b.model} were not evaluated alike: {'; '.join(differences)}",
            hint="evaluate both with one Evaluator",
        )
    names = a.provenance.shared(b.provenance)
    if not names:
        raise EvaluationError(
            f"no scorer in common: {', '.join(a.names)} against {', '.join(b.names)}",
            hint="evaluate both with one Evaluator",
        )
    compared = {name: _compare_metric(name, a, b, rule) for name in names}
    adjusted = stats.holm([found.p_value for found in compared.values()])
    return Comparison(
        a=a.model,
        b=b.model,
        provenance=a.provenance,
        margin=rule.margin,
        min_gain=rule.min_gain,
        metrics={
            name: found.model_copy(update={"p_adjusted": p_value})
            for (name, found), p_value in zip(compared.items(), adjusted, strict=True)
        },
        evaluations=(a, b),
        changes=changes(a, b, rule.level),
        warnings=(*_sided(a), *_sided(b), *_left_out(a, b)),
    )


def _compare_metric(name: str, a: Evaluation, b: Evaluation, rule: Rule) -> MetricComparison:
    pairs = pair(name, a, b)
    fixed, broken = pairs.fixed, pairs.broken
    found = find(pairs, rule.level)
    sides = (a[name], b[name])
    slices, not_sliced = compare_slices(pairs, rule.level)
    return MetricComparison(
        name=name,
        a=_side(pairs, 0, a, rule.level),
        b=_side(pairs, 1, b, rule.level),
        n_a=sides[0].value.n,
        n_b=sides[1].value.n,
        delta=found.delta,
        verdict=_verdict(found.delta, sides, rule),
        p_value=found.p_value,
        p_adjusted=found.p_value,
        test=found.test,
        method=found.method,
        se=found.se,
        wins=len(fixed),
        losses=len(broken),
        ties=pairs.n - len(fixed) - len(broken),
        odds_ratio=_odds_ratio(len(fixed), len(broken)) if pairs.binary else None,
        correlation=_correlation(pairs),
        detectable=found.detectable,
        items_needed=found.items_needed,
        n_clusters=found.n_clusters,
        design_effect=found.design_effect,
        newly_fixed=fixed,
        newly_broken=broken,
        only_a=only(name, a, b),
        only_b=only(name, b, a),
        slices=slices,
        calibration=calibration_change(pairs, a.provenance.scorers[name], rule.level),
        warnings=(*_warnings(found, sides, rule, pairs.n), *not_sliced),
    )


def _side(pairs: Pairs, side: Literal[0, 1], evaluation: Evaluation, level: float) -> Metric:
    """One model's result over the pairs."""
    items, whole = [row[side] for row in pairs.rows], evaluation[pairs.name]
    metric = metric_of(
        items,
        pairs.name,
        corpus=pairs.corpus.name if pairs.corpus else "",
        higher_is_better=whole.higher_is_better,
        level=level,
    ).model_copy(update={"n_errors": whole.n_errors})
    return beside_majority(metric, items, evaluation.provenance.scorers[pairs.name])


def _odds_ratio(wins: int, losses: int) -> float | None:
    if losses == 0:
        return math.inf if wins else None
    return wins / losses


def _verdict(delta: Interval, sides: tuple[Metric, Metric], rule: Rule) -> Verdict:
    if any(_error_rate(side) > rule.max_error_rate for side in sides):
        return "inconclusive"
    return _judged(delta, sides[0], rule)


def _judged(delta: Interval, metric: Metric, rule: Rule) -> Verdict:
    gain = delta if metric.higher_is_better else delta.mirrored
    return stats.verdict(gain, margin=rule.margin, min_gain=rule.min_gain)


def _error_rate(metric: Metric) -> float:
    return metric.n_errors / (metric.n_errors + metric.value.n)


def _correlation(pairs: Pairs) -> float | None:
    if min(pairs.a) == max(pairs.a) or min(pairs.b) == max(pairs.b):
        return None
    return statistics.correlation(pairs.a, pairs.b)


def _warnings(found: Finding, sides: tuple[Metric, Metric], rule: Rule, n: int) -> Iterator[str]:
    for side, metric in zip(("a", "b"), sides, strict=True):
        if _error_rate(metric) > rule.max_error_rate:
            total = metric.n_errors + metric.value.n
            yield (
                f"{metric.n_errors} of {total} items could not be scored for {side}, more than"
                f" {rule.max_error_rate:.0%}: no verdict until they can be"
            )
    yield from found.warnings
    if _judged(found.delta, sides[0], rule) == "inconclusive":
        yield _advice(found, n, rule)


def _advice(found: Finding, n: int, rule: Rule) -> str:
    if found.items_needed is None and rule.margin == 0.0:
        return f"{n} items do not settle it; that two models are equivalent can only be shown with a margin above 0"
    if found.items_needed is None or found.items_needed <= n:
        return f"{n} items do not settle it"
    return (
        f"{n} items do not settle it: about {found.items_needed:,} would tell a difference of this size from none"
        " (80 % power)"
    )


def _sided(evaluation: Evaluation) -> Iterator[str]:
    return (f"{evaluation.title}: {warning}" for warning in evaluation.warnings)


def _left_out(a: Evaluation, b: Evaluation) -> Iterator[str]:
    for mine, other in ((a, b), (b, a)):
        for name in mine.names:
            if name not in other.names:
                yield f"scorer {name!r} was only run on {mine.model} and is not compared"
