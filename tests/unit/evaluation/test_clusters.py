"""Comparisons of items that come in groups: wider intervals, sign flips of groups, what they cost."""

from __future__ import annotations

import pytest

from tests.unit.evaluation.fakes import TableBackend, right_on, truth
from tests.unit.evaluation.stored import classified, scored, stored
from tunekit.data.dataset import Dataset
from tunekit.errors import EvaluationError, SpecError
from tunekit.evaluation import stats
from tunekit.evaluation.compare import compare_evaluations
from tunekit.evaluation.comparison import MetricComparison
from tunekit.evaluation.evaluator import Evaluator
from tunekit.evaluation.metrics.table import CORPUS
from tunekit.examples import CompletionExample

N = 120
USERS = [f"user {at // 6}" for at in range(N)]


def by_user(values: dict[int, float], rest: float = 0.0) -> list[float]:
    """The same score for all items of a user."""
    return [values.get(at // 6, rest) for at in range(N)]


def compared(a: list[float], b: list[float], clusters: list[str] | None = USERS) -> MetricComparison:
    sides = (stored("a", scored(a, clusters=clusters)), stored("b", scored(b, clusters=clusters)))
    return compare_evaluations(sides[0], sides[1])["score"]


def test_right_or_wrong_in_groups() -> None:
    a, b = by_user({}), by_user(dict.fromkeys(range(5), 1.0))
    found, alone = compared(a, b), compared(a, b, None)
    gaps = [new - old for old, new in zip(a, b, strict=True)]
    assert found.delta == stats.clustered_tango(gaps, USERS)
    assert (found.p_value, found.test) == (stats.cluster_sign_flip(gaps, USERS), "sign flips of groups")
    assert found.n_clusters == 20
    assert found.design_effect == pytest.approx(6.0)
    assert (alone.n_clusters, alone.design_effect) == (None, None)
    assert found.delta.high - found.delta.low > 1.8 * (alone.delta.high - alone.delta.low)
    assert found.a.value == stats.clustered_wilson(a, USERS)
    assert (found.verdict, alone.verdict) == ("better", "better")
    assert found.p_value > alone.p_value


def test_groups_can_take_a_verdict_away() -> None:
    a, b = by_user({}), by_user(dict.fromkeys(range(2), 1.0))
    assert compared(a, b, None).verdict == "better"
    assert compared(a, b).verdict == "inconclusive"


def test_numbers_in_groups() -> None:
    a = [0.1 * (at % 5) for at in range(N)]
    b = [value + 0.02 * (at // 6) for at, value in enumerate(a)]
    found = compared(a, b)
    gaps = [new - old for old, new in zip(a, b, strict=True)]
    expected = stats.clustered_mean(gaps, USERS)
    assert (found.delta.low, found.delta.high) == pytest.approx((expected.low, expected.high))
    assert found.method == "paired t interval of groups (CR1)"
    needed = compared(a, b, None).items_needed
    assert needed is not None and found.items_needed is not None and found.items_needed > needed


def test_groups_with_equal_means_prove_no_more_than_items_of_their_own() -> None:
    a, b = [0.5] * N, [0.5 + (0.3 if at % 2 else -0.3) for at in range(N)]  # each group sums to 0
    found, alone = compared(a, b), compared(a, b, None)
    assert found.delta == alone.delta
    assert found.delta.high > 0


def test_equal_differences_in_groups_count_as_many_items_as_groups() -> None:
    found = compared([0.25] * N, [0.5] * N)
    expected = stats.constant_mean(0.25, 20, low=-1.0, high=1.0)
    assert (found.delta.low, found.delta.high, found.delta.n) == (expected.low, expected.high, N)


def test_a_metric_of_the_whole_test_in_groups() -> None:
    references = [("x", "y")[at // 6 % 2] for at in range(N)]
    a, b = (
        [
            item.model_copy(update={"cluster": user})
            for item, user in zip(classified(references, predictions), USERS, strict=True)
        ]
        for predictions in (["x"] * 60 + references[60:], ["x"] * 24 + references[24:])
    )
    found = compare_evaluations(stored("a", a, corpus="mcc"), stored("b", b, corpus="mcc"))["score"]
    metric = CORPUS["mcc"]
    counts = [[metric.enough(item.counts["score"]) for item in side] for side in (a, b)]
    expected = stats.resampled_difference(
        metric.compute, counts[0], counts[1], clusters=USERS, bounds=(metric.low, metric.high)
    )
    assert found.delta == expected.interval
    assert found.p_value == stats.randomisation(metric.compute, counts[0], counts[1], clusters=USERS)
    assert found.test == "randomisation of groups"
    assert set(expected.warnings) <= set(found.warnings)


def test_few_groups_are_warned_about() -> None:
    found = compared([0.0] * N, [float(at % 3 == 0) for at in range(N)], [f"{at % 4}" for at in range(N)])
    assert any("4 groups are few" in warning for warning in found.warnings)


def test_one_group_settles_nothing() -> None:
    found = compared([0.0] * N, [1.0] * N, ["all"] * N)
    assert (found.delta.low, found.delta.high, found.verdict) == (-1.0, 1.0, "inconclusive")
    assert (found.n_clusters, found.design_effect) == (1, None)


def test_an_item_in_two_groups_is_refused() -> None:
    a, b = scored([0.0, 1.0], clusters=["u", "u"]), scored([0.0, 1.0], clusters=["u", "v"])
    with pytest.raises(EvaluationError, match="'#1' is in group 'u' here and 'v' there"):
        compare_evaluations(stored("a", a), stored("b", b))


def test_groups_that_one_evaluation_knows_count_for_both() -> None:
    a, b = by_user({}), by_user(dict.fromkeys(range(5), 1.0))
    known = compared(a, b)
    half = compare_evaluations(stored("a", scored(a)), stored("b", scored(b, clusters=USERS)))["score"]
    assert (half.delta, half.a.value, half.n_clusters) == (known.delta, known.a.value, 20)


def conversations() -> Dataset:
    return Dataset(
        CompletionExample(
            prompt=f"q{at}", completion=truth(f"q{at}"), meta={"user": at // 6} if at < 90 else {"page": at}
        )
        for at in range(N)
    )


def test_groups_from_a_column_and_from_a_function() -> None:
    backend = TableBackend(models={"a": right_on(set()), "b": right_on(range(24))})
    by_column = Evaluator(conversations(), clusters="user")
    evaluation = by_column.run("table:b", backend=backend)
    assert [evaluation.items[at].cluster for at in (0, 6, 95)] == ["0", "1", None]
    groups = ["0", *[str(at) for at in range(1, 15)]]
    assert len({item.cluster for item in evaluation.items}) == len(groups) + 1
    assert evaluation["exact_match"].value.high > stats.wilson(24, N).high
    report = by_column.compare("table:a", evaluation, backend=backend)
    assert report["exact_match"].n_clusters == 15 + 30  # those without a user are on their own
    by_function = Evaluator(conversations(), clusters=lambda example: example.meta.get("user"))
    again = by_function.compare("table:a", "table:b", backend=backend)
    assert again["exact_match"].delta == report["exact_match"].delta


def test_a_column_of_groups_that_no_example_has() -> None:
    with pytest.raises(SpecError, match="no example of the test has a meta column 'passage'"):
        Evaluator(conversations(), clusters="passage")
