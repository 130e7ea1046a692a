"""Evaluations of several arms, weighed against one of them. Pure: knows comparisons and costs; asks no model.

Every other arm is compared with the baseline by the one rule: paired interval against margins. As many comparisons give
as many chances of a false claim, so the intervals follow Holm 1979 (Scandinavian J. Statistics 6:65): of `m` arms, the
first is judged at level 1 - alpha / m, and after `r` claims the next at 1 - alpha / (m - r). Each verdict but
"inconclusive" is a claim. Whatever the order, a false claim that comes first has at most as many true ones before it
as there are, so the chance of any false claim is at most alpha; by p-value the order finds the most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from tunekit.evaluation import stats
from tunekit.evaluation.arms.costs import CallPrice, break_even_calls
from tunekit.evaluation.arms.lineup import check_names, known
from tunekit.evaluation.arms.record import record_of
from tunekit.evaluation.arms.results import ArmResult, Arms
from tunekit.evaluation.arms.spending import spent
from tunekit.evaluation.arms.words import answer_of, verdict_of
from tunekit.evaluation.compare import Rule, compare_evaluations
from tunekit.evaluation.comparison import Comparison, MetricComparison
from tunekit.evaluation.results import Evaluation
from tunekit.evaluation.selection import best_of
from tunekit.refs import ModelRef

PriceOf = Callable[[ModelRef], CallPrice | None]


def weigh(
    evaluations: Sequence[Evaluation],
    rule: Rule | None = None,
    *,
    against: str | None = None,
    by: str | None = None,
    price: PriceOf | None = None,
) -> Arms:
    """What each arm is worth beside the others, and whether training pays.

    Args:
        evaluations: One for each arm, of the same test, sampling and scorers.
        rule: What counts as better; None excludes zero at 95 %.
        against: Name of the baseline. None takes, where some arms are trained, the best of the others by `by`; else
            the first arm.
        by: The scorer that decides; None takes the first.
        price: What a call of a model costs, for arms that say nothing of it.

    Raises:
        SpecError: There are fewer than two arms, two of one name, or none of the name `against` or `by`.
        EvaluationError: They were not evaluated alike.
    """
    rule = rule or Rule()
    named = _named(evaluations)
    by = known("scorer", by, evaluations[0].names)
    if against is None:
        baseline, chosen = _baseline(named, by)
    else:
        baseline, chosen = known("arm", against, tuple(named)), ()
    compared = _compared(named, baseline, rule)
    results = {
        name: spent(name, evaluation, record_of(evaluation), price) for name, evaluation in named.items()
    }
    found = tuple(
        _weighed(result, compared.get(name, {}), results[baseline]) for name, result in results.items()
    )
    arms = Arms(
        baseline=baseline,
        by=by,
        answer="",
        verdict="",
        arms=found,
        margin=rule.margin,
        min_gain=rule.min_gain,
        warnings=(*chosen, *_warnings(named)),
    )
    arms = arms.model_copy(update={"answer": answer_of(arms)})
    return arms.model_copy(update={"verdict": verdict_of(arms)})


def _named(evaluations: Sequence[Evaluation]) -> dict[str, Evaluation]:
    names = [record_of(evaluation).name for evaluation in evaluations]
    check_names(names)
    return dict(zip(names, evaluations, strict=True))


def _baseline(named: Mapping[str, Evaluation], by: str) -> tuple[str, tuple[str, ...]]:
    """The first arm; where some are trained, the best that is not: training must beat what can be had without.

    With what to know of the choice, since it was made on the items of the comparison.
    """
    untrained = {name: each for name, each in named.items() if not record_of(each).trained}
    if not untrained or len(untrained) == len(named):
        return next(iter(named)), ()
    best = best_of(tuple(untrained.values()), by)
    name = record_of(best).name
    added = best.warnings[len(named[name].warnings) :]
    return name, tuple(f"{name} was chosen as the arm to beat on these items: {text}" for text in added)


def _compared(
    named: Mapping[str, Evaluation], baseline: str, rule: Rule
) -> dict[str, dict[str, MetricComparison]]:
    """By arm and scorer, the comparison with the baseline at the level that is its in Holm's order."""
    others = [name for name in named if name != baseline]
    first = named[baseline]
    at_level: dict[tuple[str, int], Comparison] = {}

    def comparison(name: str, share: int) -> Comparison:
        key = (name, share)
        if key not in at_level:
            level = 1 - (1 - rule.level) / share
            at_level[key] = compare_evaluations(first, named[name], replace(rule, level=level))
        return at_level[key]

    found: dict[str, dict[str, MetricComparison]] = {name: {} for name in others}
    for scorer in comparison(others[0], len(others)).names:
        p_values = {name: comparison(name, len(others))[scorer].p_value for name in others}
        adjusted = dict(zip(others, stats.holm(list(p_values.values())), strict=True))
        claims = 0
        for name in sorted(others, key=p_values.__getitem__):
            judged = comparison(name, len(others) - claims)[scorer]
            claims += judged.verdict != "inconclusive"
            found[name][scorer] = judged.model_copy(update={"p_adjusted": adjusted[name]})
    return found


def _weighed(result: ArmResult, against: dict[str, MetricComparison], baseline: ArmResult) -> ArmResult:
    """The result beside the baseline, with the number of calls after which its training has paid for itself."""
    calls, note = _break_even(result, baseline) if result.trained and not baseline.trained else (None, None)
    notes = result.notes if note is None else (*result.notes, note)
    return result.model_copy(update={"against": against, "break_even_calls": calls, "notes": notes})


def _break_even(result: ArmResult, baseline: ArmResult) -> tuple[int | None, str | None]:
    unknown = [f"a call of {arm.name}" for arm in (result, baseline) if arm.usd_per_1000_calls is None]
    if result.training_usd is None:
        unknown.append("its training")
    if (
        result.usd_per_1000_calls is None
        or baseline.usd_per_1000_calls is None
        or result.training_usd is None
    ):
        return None, f"break-even takes the price of {' and '.join(unknown)}"
    saved = (baseline.usd_per_1000_calls - result.usd_per_1000_calls) / 1000
    calls = break_even_calls(result.training_usd, saved)
    never = f"training never pays for itself in money: a call costs no less than one of {baseline.name}"
    return calls, never if calls is None else None


def _warnings(named: Mapping[str, Evaluation]) -> Iterator[str]:
    for name, evaluation in named.items():
        record = record_of(evaluation)
        if record.draws == 1 and record.selection in ("random", "stratified"):
            yield f"{name} was shown one draw of examples: another may score several points otherwise (draws=3)"
        yield from (f"{name}: {warning}" for warning in evaluation.warnings)
