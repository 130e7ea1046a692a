"""Seeds and items together: against the analysis of variance of statsmodels, and at its limits."""

from __future__ import annotations

import math
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from tunekit.errors import SpecError
from tunekit.evaluation import stats

pandas = pytest.importorskip("pandas")  # statsmodels brings it
Runs = list[list[float]]


def runs(
    count: int, items: list[float], *, seed: int, gain: float = 0.0, between: float = 0.0, noise: float = 0.1
) -> Runs:
    random = Random(seed)
    shifts = [gain + random.gauss(0, between) for _ in range(count)]
    return [[item + shift + random.gauss(0, noise) for item in items] for shift in shifts]


def some_items(n: int) -> list[float]:
    random = Random(99)
    return [random.random() for _ in range(n)]


@pytest.mark.parametrize(("count_a", "count_b"), [(2, 4), (3, 3)])
def test_parts_of_the_variance_are_those_of_the_analysis_of_variance(count_a: int, count_b: int) -> None:
    items = some_items(40)
    a, b = runs(count_a, items, seed=1, between=0.2), runs(count_b, items, seed=2, between=0.1)
    found = stats.recipe_difference(a, b)
    for recipe, part in ((a, found.runs_variance_a), (b, found.runs_variance_b)):
        rows = [(run, item) for run, item in product(range(len(recipe)), range(40))]
        data = pandas.DataFrame(
            {
                "score": [recipe[run][item] for run, item in rows],
                "run": [str(run) for run, _ in rows],
                "item": [str(item) for _, item in rows],
            }
        )
        squares = anova_lm(ols("score ~ C(run) + C(item)", data).fit())["mean_sq"]
        # The mean square of runs is noise + items * variance between runs; one below the noise counts as none.
        excess = max(0.0, squares["C(run)"] - squares["Residual"])
        assert part == pytest.approx(excess / (40 * len(recipe)), rel=1e-8)
    gaps = [sum(new) / count_b - sum(old) / count_a for old, new in zip(zip(*a), zip(*b), strict=True)]  # noqa: B905
    plain = stats.mean_t(gaps)
    assert found.interval.estimate == pytest.approx(plain.estimate, abs=1e-12)
    assert found.interval.low < plain.low < plain.high < found.interval.high


def test_runs_without_items_to_differ_by_are_welchs_t_test() -> None:
    a, b = [0.61, 0.66, 0.58], [0.70, 0.69, 0.74, 0.66, 0.71]
    found = stats.recipe_difference([[mean] * 30 for mean in a], [[mean] * 30 for mean in b])
    expected = reference.ttest_ind(b, a, equal_var=False)
    low, high = expected.confidence_interval(0.95)
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high), rel=1e-9)
    assert found.df == pytest.approx(expected.df, rel=1e-9)
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)


def test_single_runs_are_the_paired_t_interval() -> None:
    items = some_items(50)
    a, b = runs(1, items, seed=3), runs(1, items, seed=4, gain=0.05)
    found = stats.recipe_difference(a, b)
    plain = stats.mean_t([new - old for old, new in zip(a[0], b[0], strict=True)])
    assert (found.interval.low, found.interval.high) == pytest.approx((plain.low, plain.high), abs=1e-12)
    assert found.df == 49
    assert "one run of a and b" in found.warnings[0]


@settings(max_examples=40)
@given(
    a=st.lists(st.lists(st.sampled_from([0.0, 1.0]), min_size=6, max_size=6), min_size=1, max_size=4),
    b=st.lists(st.lists(st.sampled_from([0.0, 1.0]), min_size=6, max_size=6), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
def test_direction_and_order_do_not_matter_and_p_agrees_with_the_interval(
    a: Runs, b: Runs, seed: int
) -> None:
    found, mirror = stats.recipe_difference(a, b), stats.recipe_difference(b, a)
    ends = found.interval.low, found.interval.high
    assert ends == pytest.approx((-mirror.interval.high, -mirror.interval.low), abs=1e-9)
    assert found.p_value == pytest.approx(mirror.p_value, abs=1e-9)
    order = Random(seed).sample(range(6), 6)
    moved = stats.recipe_difference(
        [[run[at] for at in order] for run in a[::-1]], [[run[at] for at in order] for run in b]
    )
    assert (moved.interval.low, moved.interval.high) == pytest.approx(ends, abs=1e-9)
    if found.items_variance > 0 and abs(found.p_value - 0.05) > 1e-6:
        assert (ends[0] > 0 or ends[1] < 0) == (found.p_value < 0.05)


def test_more_items_do_not_help_against_luck_of_the_seed() -> None:
    def width(n: int, count: int) -> float:
        items = some_items(n)
        a, b = (runs(count, items, seed=seed, between=0.1, noise=0.3) for seed in (5, 6))
        found = stats.recipe_difference(a, b).interval
        return found.high - found.low

    assert width(2_000, 4) > 0.5 * width(100, 4)
    assert width(100, 40) < 0.5 * width(100, 4)


def test_no_difference_at_all_keeps_a_width() -> None:
    same = [[1.0, 0.0, 1.0] * 20] * 3
    found = stats.recipe_difference(same, same)
    assert (found.interval.low, found.interval.high) == pytest.approx(
        (-stats.wilson(0, 60).high, stats.wilson(0, 60).high)
    )
    assert found.p_value == 1.0
    lengths = [[3.0, 5.0, 4.0]] * 3
    assert stats.recipe_difference(lengths, lengths).interval.high == math.inf


def test_runs_that_do_not_fit_are_refused() -> None:
    with pytest.raises(SpecError, match="without a run"):
        stats.recipe_difference([], [[0.0, 1.0]])
    with pytest.raises(SpecError, match="2 or 3 items"):
        stats.recipe_difference([[0.0, 1.0]], [[0.0, 1.0, 1.0]])
    with pytest.raises(SpecError, match="nan"):
        stats.recipe_difference([[0.0, math.nan]], [[0.0, 1.0]])
