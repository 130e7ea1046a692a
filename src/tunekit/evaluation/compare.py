"""Two evaluations of the same test, paired item by item. Pure: knows statistics and provenance; asks no model.

Scores that are all 0 or 1 are compared by Tango's interval and McNemar's mid-p; others by the paired t
interval and sign flips. Items that either model could not be scored on are left out of both, and counted: the
means of the two sides are over the same items as the difference, so that they add up.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from tunekit.errors import EvaluationError, SpecError
from tunekit.evaluation import stats
from tunekit.evaluation.grading import is_binary, summary
from tunekit.evaluation.results import Comparison, Evaluation, Metric, MetricComparison
from tunekit.evaluation.stats import Interval, Verdict

_FEW_DISAGREEMENTS = 10
_FEW_FOR_T = 30


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
    return Comparison(
        a=a.model,
        b=b.model,
        provenance=a.provenance,
        margin=rule.margin,
        min_gain=rule.min_gain,
        metrics={name: _compare_metric(name, a, b, rule) for name in names},
        warnings=(*_sided(a), *_sided(b), *_left_out(a, b)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pairs:
    """Scores of the items that both models could be scored on."""

    ids: tuple[str, ...]
    a: tuple[float, ...]
    b: tuple[float, ...]

    @property
    def differences(self) -> list[float]:
        return [new - old for old, new in zip(self.a, self.b, strict=True)]

    @property
    def binary(self) -> bool:
        return is_binary(self.a) and is_binary(self.b)

    def ids_where(self, sign: int) -> tuple[str, ...]:
        return tuple(
            name
            for name, gap in zip(self.ids, self.differences, strict=True)
            if (gap > 0) - (gap < 0) == sign
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    """What a method found on the pairs."""

    delta: Interval
    method: str
    p_value: float
    test: str
    detectable: float | None
    items_needed: int | None


def _compare_metric(name: str, a: Evaluation, b: Evaluation, rule: Rule) -> MetricComparison:
    pairs = _pair(name, a, b)
    fixed, broken = pairs.ids_where(1), pairs.ids_where(-1)
    find = _binary_finding if pairs.binary else _mean_finding
    found = find(pairs, rule.level)
    sides = (a[name], b[name])
    return MetricComparison(
        name=name,
        a=summary(name, pairs.a, n_errors=sides[0].n_errors, level=rule.level),
        b=summary(name, pairs.b, n_errors=sides[1].n_errors, level=rule.level),
        n_a=sides[0].mean.n,
        n_b=sides[1].mean.n,
        delta=found.delta,
        verdict=_verdict(found.delta, sides, rule),
        p_value=found.p_value,
        test=found.test,
        method=found.method,
        wins=len(fixed),
        losses=len(broken),
        ties=len(pairs.ids) - len(fixed) - len(broken),
        correlation=_correlation(pairs),
        detectable=found.detectable,
        items_needed=found.items_needed,
        newly_fixed=fixed,
        newly_broken=broken,
        warnings=tuple(_warnings(pairs, found, sides, rule, len(fixed) + len(broken))),
    )


def _pair(name: str, a: Evaluation, b: Evaluation) -> _Pairs:
    old, new = dict(a.scored(name)), dict(b.scored(name))
    ids = tuple(item for item in old if item in new)
    if not ids:
        raise EvaluationError(
            f"no item could be scored by {name!r} for both {a.model} and {b.model}",
            hint="look at `errors` of the items in either evaluation",
        )
    return _Pairs(ids=ids, a=tuple(old[item] for item in ids), b=tuple(new[item] for item in ids))


def _binary_finding(pairs: _Pairs, level: float) -> _Finding:
    differences, n = pairs.differences, len(pairs.ids)
    wins, losses = differences.count(1.0), differences.count(-1.0)
    delta = stats.tango(wins, losses, n, level=level)
    disagreement = (wins + losses) / n
    return _Finding(
        delta=delta,
        method="Tango score interval",
        p_value=stats.mcnemar_mid_p(wins, losses),
        test="McNemar mid-p",
        detectable=stats.detectable_difference(n, disagreement, alpha=1 - level),
        items_needed=stats.items_needed(delta.estimate, disagreement, alpha=1 - level),
    )


def _mean_finding(pairs: _Pairs, level: float) -> _Finding:
    differences, n = pairs.differences, len(pairs.ids)
    delta, method = _mean_interval(pairs, level)
    variance = statistics.variance(differences) if n > 1 else 0.0
    return _Finding(
        delta=delta,
        method=method,
        p_value=stats.sign_flip(differences),
        test="sign-flip permutation",
        detectable=stats.detectable_mean(n, variance, alpha=1 - level) if variance else None,
        items_needed=stats.items_needed_mean(delta.estimate, variance, alpha=1 - level) if variance else None,
    )


def _mean_interval(pairs: _Pairs, level: float) -> tuple[Interval, str]:
    differences, n = pairs.differences, len(pairs.ids)
    if not math.isclose(min(differences), max(differences), rel_tol=1e-9, abs_tol=1e-12):
        return stats.mean_t(differences, level=level), "paired t interval"
    # Without spread a t interval has no width, as if n items could prove that no other item differs.
    bounded = all(0.0 <= score <= 1.0 for score in (*pairs.a, *pairs.b))
    reach = 1.0 if bounded else math.inf
    constant = statistics.median(differences)
    interval = stats.constant_mean(constant, n, low=-reach, high=reach, level=level)
    return interval, "bound on the share of items that would differ"


def _verdict(delta: Interval, sides: tuple[Metric, Metric], rule: Rule) -> Verdict:
    if any(_error_rate(side) > rule.max_error_rate for side in sides):
        return "inconclusive"
    return stats.verdict(delta, margin=rule.margin, min_gain=rule.min_gain)


def _error_rate(metric: Metric) -> float:
    return metric.n_errors / (metric.n_errors + metric.mean.n)


def _correlation(pairs: _Pairs) -> float | None:
    if min(pairs.a) == max(pairs.a) or min(pairs.b) == max(pairs.b):
        return None
    return statistics.correlation(pairs.a, pairs.b)


def _warnings(
    pairs: _Pairs, found: _Finding, sides: tuple[Metric, Metric], rule: Rule, disagreements: int
) -> Iterator[str]:
    n = len(pairs.ids)
    for side, metric in zip(("a", "b"), sides, strict=True):
        if _error_rate(metric) > rule.max_error_rate:
            total = metric.n_errors + metric.mean.n
            yield (
                f"{metric.n_errors} of {total} items could not be scored for {side}, more than"
                f" {rule.max_error_rate:.0%}: no verdict until they can be"
            )
    if pairs.binary and disagreements < _FEW_DISAGREEMENTS:
        yield f"the models disagree on {disagreements} of {n} items only: the interval rests on few of them"
    if not pairs.binary and n < _FEW_FOR_T:
        yield f"{n} items are few for a {found.method}; it is reliable from about {_FEW_FOR_T}"
    if stats.verdict(found.delta, margin=rule.margin, min_gain=rule.min_gain) == "inconclusive":
        yield _advice(found, n, rule)


def _advice(found: _Finding, n: int, rule: Rule) -> str:
    if found.items_needed is None and rule.margin == 0.0:
        return f"{n} items do not settle it; that two models are equivalent can only be shown with a margin above 0"
    if found.items_needed is None or found.items_needed <= n:
        return f"{n} items do not settle it"
    return (
        f"{n} items do not settle it: about {found.items_needed:,} would tell a difference of this size from none"
        " (80 % power)"
    )


def _sided(evaluation: Evaluation) -> Iterator[str]:
    return (f"{evaluation.model}: {warning}" for warning in evaluation.warnings)


def _left_out(a: Evaluation, b: Evaluation) -> Iterator[str]:
    for mine, other in ((a, b), (b, a)):
        for name in mine.names:
            if name not in other.names:
                yield f"scorer {name!r} was only run on {mine.model} and is not compared"
