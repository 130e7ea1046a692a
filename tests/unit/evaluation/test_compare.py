"""Comparison of two stored evaluations, as a pure function."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.errors import EvaluationError
from tunekit.evaluation import stats
from tunekit.evaluation.compare import Rule, compare_evaluations
from tunekit.evaluation.comparison import Comparison, MetricComparison
from tunekit.evaluation.results import Evaluation, ItemResult, Metric, Provenance
from tunekit.refs import ModelRef
from tunekit.spec import Sampling

Values = Sequence[float | None]
shares = st.one_of(st.none(), st.floats(0, 1).map(lambda value: round(value, 3)))
marks = st.one_of(st.none(), st.sampled_from([0.0, 1.0]))


def evaluation(model: str, values: Values, name: str = "score") -> Evaluation:
    scored = [value for value in values if value is not None]
    items = tuple(
        ItemResult(id=f"#{position}", scores={} if value is None else {name: value})
        for position, value in enumerate(values)
    )
    return Evaluation(
        model=ModelRef(f"table:{model}"),
        provenance=Provenance(
            test_fingerprint="f", n_items=len(values), sampling=Sampling(), scorers={name: {"type": "t"}}
        ),
        metrics={
            name: Metric(
                name=name, value=stats.mean_t(scored), kind="mean", n_errors=len(values) - len(scored)
            )
        },
        items=items,
        seconds=1.0,
        created_at=0.0,
        tunekit_version="0",
    )


def compared(a: Values, b: Values, rule: Rule | None = None) -> MetricComparison:
    return compare_evaluations(evaluation("a", a), evaluation("b", b), rule)["score"]


def test_shares_are_compared_by_t_and_sign_flips() -> None:
    a = [0.1 * (number % 7) for number in range(40)]
    b = [value + 0.05 + 0.01 * (number % 3) for number, value in enumerate(a)]
    found = compared(a, b)
    differences = [new - old for old, new in zip(a, b, strict=True)]
    assert found.delta == stats.mean_t(differences)
    assert found.p_value == stats.sign_flip(differences)
    assert found.correlation == pytest.approx(statistics.correlation(a, b))
    assert (found.verdict, found.wins, found.ties) == ("better", 40, 0)


@pytest.mark.parametrize(
    "step", [0.25, 0.1]
)  # 0.1: the differences vary in their last bit, which is no spread
def test_differences_without_spread_do_not_prove_themselves(step: float) -> None:
    found = compared([0.2, 0.4, 0.6], [0.2 + step, 0.4 + step, 0.6 + step])
    expected = stats.constant_mean(step, 3, low=-1.0, high=1.0)
    assert (found.delta.low, found.delta.high) == pytest.approx((expected.low, expected.high))
    assert found.verdict == "inconclusive"


def test_equal_scores_of_unknown_range_settle_nothing() -> None:
    found = compared([120.0] * 50, [120.0] * 50, Rule(margin=10.0))
    assert (found.delta.low, found.delta.high, found.verdict) == (-math.inf, math.inf, "inconclusive")


def test_equal_scores_of_known_range_are_equivalent_once_there_are_enough() -> None:
    assert compared([0.5] * 20, [0.5] * 20, Rule(margin=0.05)).verdict == "inconclusive"
    assert compared([0.5] * 100, [0.5] * 100, Rule(margin=0.05)).verdict == "equivalent"


@given(pairs=st.lists(st.tuples(shares, shares), min_size=1, max_size=30))
def test_shares_that_change_places(pairs: list[tuple[float | None, float | None]]) -> None:
    check_mirror(pairs)


@given(pairs=st.lists(st.tuples(marks, marks), min_size=1, max_size=60))
def test_marks_that_change_places(pairs: list[tuple[float | None, float | None]]) -> None:
    check_mirror(pairs)


def check_mirror(pairs: list[tuple[float | None, float | None]]) -> None:
    a, b = [old for old, _ in pairs], [new for _, new in pairs]
    both = sum(old is not None and new is not None for old, new in pairs)
    if not both:
        return
    rule = Rule(margin=0.03, max_error_rate=1.0)
    there, back = compared(a, b, rule), compared(b, a, rule)
    mirror = {
        "better": "worse",
        "worse": "better",
        "equivalent": "equivalent",
        "inconclusive": "inconclusive",
    }
    assert back.verdict == mirror[there.verdict]
    assert (there.wins, there.losses, there.ties) == (back.losses, back.wins, back.ties)
    assert (there.newly_fixed, there.newly_broken) == (back.newly_broken, back.newly_fixed)
    assert there.wins + there.losses + there.ties == there.n_paired == both
    assert there.delta.estimate == pytest.approx(-back.delta.estimate, abs=1e-12)
    assert there.delta.low == pytest.approx(-back.delta.high, abs=1e-9)
    assert there.p_value == pytest.approx(back.p_value, abs=1e-12)


def test_marks_with_planning_numbers() -> None:
    found = compared([1.0] * 55 + [0.0] * 45, [1.0] * 52 + [0.0] * 3 + [1.0] * 5 + [0.0] * 40)
    assert (found.wins, found.losses) == (5, 3)
    assert found.items_needed == stats.items_needed(0.02, 0.08)
    assert found.detectable == stats.detectable_difference(100, 0.08)
    assert any("disagree on 8 of 100" in warning for warning in found.warnings)
    assert any("1,5" in warning and "80 % power" in warning for warning in found.warnings)


def test_few_shares_are_warned_about() -> None:
    found = compared([0.1, 0.9, 0.4], [0.2, 0.8, 0.9])
    assert any("3 items are few" in warning for warning in found.warnings)


def test_min_gain_asks_for_more_than_a_difference() -> None:
    a: Values = [0.0] * 100
    b: Values = [1.0] * 20 + [0.0] * 80
    assert compared(a, b).verdict == "better"
    assert compared(a, b, Rule(min_gain=0.1)).verdict == "better"
    assert compared(a, b, Rule(min_gain=0.15)).verdict == "inconclusive"


@given(pairs=st.lists(st.tuples(shares, shares), min_size=1, max_size=30))
def test_both_sides_and_the_difference_are_over_the_same_items(
    pairs: list[tuple[float | None, float | None]],
) -> None:
    check_sums(pairs)


@given(pairs=st.lists(st.tuples(marks, marks), min_size=1, max_size=60))
def test_both_shares_and_the_difference_are_over_the_same_items(
    pairs: list[tuple[float | None, float | None]],
) -> None:
    check_sums(pairs)


def check_sums(pairs: list[tuple[float | None, float | None]]) -> None:
    a, b = [old for old, _ in pairs], [new for _, new in pairs]
    if all(old is None or new is None for old, new in pairs):
        return
    found = compared(a, b)
    assert found.a.value.estimate + found.delta.estimate == pytest.approx(found.b.value.estimate, abs=1e-12)
    assert found.a.value.n == found.b.value.n == found.n_paired
    assert (found.n_a, found.a.n_errors) == (len(a) - a.count(None), a.count(None))
    assert (found.n_b, found.b.n_errors) == (len(b) - b.count(None), b.count(None))


def test_table_says_which_items_the_means_are_over() -> None:
    clean = str(compare_evaluations(evaluation("a", [0.0, 1.0] * 20), evaluation("b", [1.0, 1.0] * 20)))
    assert "a, b and b - a over the pairs" in clean
    assert "errors" not in clean
    a: Values = [None, 0.0, 1.0, 1.0] * 10
    b: Values = [1.0, 1.0, 1.0, None] * 10
    text = str(compare_evaluations(evaluation("a", a), evaluation("b", b), Rule(max_error_rate=1.0)))
    assert "scored for a: 30 items (10 errors), for b: 30 (10 errors), for both: 20" in text
    assert "50.0 %" in text and "100.0 %" in text and "+50.0 %" in text


def test_no_item_in_common() -> None:
    with pytest.raises(EvaluationError, match="no item"):
        compared([1.0, None], [None, 1.0])


def test_no_scorer_in_common() -> None:
    with pytest.raises(EvaluationError, match="no scorer in common: one against two"):
        compare_evaluations(evaluation("a", [1.0], "one"), evaluation("b", [1.0], "two"))


def test_table_says_what_a_person_needs() -> None:
    report = compare_evaluations(
        evaluation("base", [0.0] * 60 + [1.0] * 40), evaluation("tuned", [1.0] * 45 + [0.0] * 15 + [1.0] * 40)
    )
    assert Comparison.from_json(report.to_json()) == report
    text = str(report)
    assert "table:base" in text
    assert "table:tuned" in text
    assert "+45.0 % [" in text
    assert "BETTER" in text
    assert all(len(line) <= 140 for line in text.splitlines())
