"""Items in groups against statsmodels, exact counting and the same without groups."""

from __future__ import annotations

import math
from itertools import product
from random import Random

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.errors import SpecError
from tunekit.evaluation import stats

scores = st.floats(-10, 10).map(lambda value: round(value, 4))
signs = st.sampled_from([-1.0, 0.0, 1.0])


def grouped(
    values: st.SearchStrategy[float], *, most: int = 60
) -> st.SearchStrategy[list[tuple[float, int]]]:
    return st.lists(st.tuples(values, st.integers(0, 8)), min_size=2, max_size=most)


@given(rows=grouped(scores))
def test_interval_is_statsmodels_with_clustered_covariance(rows: list[tuple[float, int]]) -> None:
    values, groups = [value for value, _ in rows], [group for _, group in rows]
    if len(set(groups)) == 1 or min(values) == max(values):
        return
    mine = stats.clustered_mean(values, groups)
    fit = sm.OLS(values, np.ones(len(values))).fit(
        cov_type="cluster", cov_kwds={"groups": np.array(groups)}, use_t=True
    )
    ((low, high),) = fit.conf_int(0.05)
    assert (mine.low, mine.high) == pytest.approx((low, high), rel=1e-9, abs=1e-7)
    assert mine.estimate == pytest.approx(fit.params[0], abs=1e-9)


@given(values=st.lists(scores, min_size=2, max_size=40))
def test_groups_of_one_item_change_nothing(values: list[float]) -> None:
    alone = range(len(values))
    assert stats.clustered_mean(values, alone) == stats.mean_t(values)
    assert stats.cluster_sign_flip(values, alone) == stats.sign_flip(values)
    assert stats.effective_items(values, alone) == len(values)


@given(gaps=st.lists(signs, min_size=1, max_size=60))
def test_groups_of_one_item_change_nothing_for_right_and_wrong(gaps: list[float]) -> None:
    alone, n = range(len(gaps)), len(gaps)
    wins, losses = gaps.count(1.0), gaps.count(-1.0)
    right = [float(gap > 0) for gap in gaps]
    mine, plain = stats.clustered_tango(gaps, alone), stats.tango(wins, losses, n)
    assert (mine.low, mine.high) == pytest.approx((plain.low, plain.high), abs=1e-12)
    assert stats.clustered_wilson(right, alone) == stats.wilson(wins, n)
    if wins + losses <= 14:
        assert stats.cluster_sign_flip(gaps, alone) == pytest.approx(
            stats.mcnemar_exact(wins, losses), abs=1e-12
        )
    if wins + losses:
        # McNemar's chi-square without correction, times (n - 1) / n.
        chi_square = (n - 1) / n * (wins - losses) ** 2 / (wins + losses)
        assert stats.obuchowski(gaps, alone) == pytest.approx(math.erfc(math.sqrt(chi_square / 2)), abs=1e-12)


@given(rows=grouped(signs), seed=st.integers(0, 99))
def test_order_of_items_does_not_matter(rows: list[tuple[float, int]], seed: int) -> None:
    shuffled = list(rows)
    Random(seed).shuffle(shuffled)
    (values, groups), (moved, moved_groups) = zip(*rows, strict=True), zip(*shuffled, strict=True)
    for function in (stats.clustered_mean, stats.clustered_tango):
        here, there = function(values, groups), function(moved, moved_groups)
        assert (here.low, here.high) == pytest.approx((there.low, there.high), abs=1e-12)
    assert stats.cluster_sign_flip(values, groups) == stats.cluster_sign_flip(moved, moved_groups)
    assert stats.obuchowski(values, groups) == pytest.approx(stats.obuchowski(moved, moved_groups), abs=1e-12)


@given(rows=grouped(signs))
def test_exchanging_the_models_mirrors(rows: list[tuple[float, int]]) -> None:
    values, groups = [value for value, _ in rows], [group for _, group in rows]
    mirror = [-value for value in values]
    for function in (stats.clustered_mean, stats.clustered_tango):
        here, there = function(values, groups), function(mirror, groups)
        assert (here.low, here.high) == pytest.approx((-there.high, -there.low), abs=1e-9)
        assert here.low - 1e-9 <= here.estimate <= here.high + 1e-9
    assert stats.cluster_sign_flip(values, groups) == stats.cluster_sign_flip(mirror, groups)
    assert stats.obuchowski(values, groups) == stats.obuchowski(mirror, groups)


@settings(max_examples=40)
@given(rows=grouped(st.sampled_from([-0.5, 0.0, 0.25, 1.0]), most=20))
def test_flips_of_groups_are_counted_exactly(rows: list[tuple[float, int]]) -> None:
    sums = [sum(value for value, group in rows if group == label) for label in {group for _, group in rows}]
    flips = [abs(float(np.dot(sums, way))) for way in product((1, -1), repeat=len(sums))]
    expected = sum(total >= abs(sum(sums)) - 1e-9 for total in flips) / len(flips)
    values, groups = [value for value, _ in rows], [group for _, group in rows]
    assert stats.cluster_sign_flip(values, groups) == pytest.approx(expected, abs=1e-12)


def test_obuchowski_is_the_ratio_estimator_of_the_paper() -> None:
    # Equations 1 to 4 of Obuchowski 1998 with shares pooled under the null, written out for counts by group.
    right_a, right_b, sizes = [3, 1, 4, 0, 2], [4, 3, 4, 1, 1], [5, 3, 6, 2, 4]
    gaps, groups, total = [], [], sum(sizes)
    for group, (old, new, size) in enumerate(zip(right_a, right_b, sizes, strict=True)):
        gaps += [float(at < new) - float(at < old) for at in range(size)]
        groups += [group] * size
    pooled = (sum(right_a) + sum(right_b)) / 2 / total
    k = len(sizes)
    residuals = [
        (new - size * pooled, old - size * pooled)
        for old, new, size in zip(right_a, right_b, sizes, strict=True)
    ]
    variance = k / (k - 1) * sum(x * x + y * y - 2 * x * y for x, y in residuals) / total**2
    chi_square = ((sum(right_b) - sum(right_a)) / total) ** 2 / variance
    assert stats.obuchowski(gaps, groups) == pytest.approx(math.erfc(math.sqrt(chi_square / 2)), abs=1e-12)


def test_doubled_items_are_worth_no_more_than_single_ones() -> None:
    random = Random(2)
    gaps = [random.choices([-1.0, 0.0, 1.0], [1, 7, 2])[0] for _ in range(200)]
    twice, groups = gaps * 2, [*range(200)] * 2
    assert stats.intraclass_correlation(twice, groups) == pytest.approx(1.0, abs=1e-9)
    assert stats.effective_items(twice, groups) == pytest.approx(200, rel=0.01)
    doubled, single = (
        stats.clustered_tango(twice, groups),
        stats.tango(gaps.count(1.0), gaps.count(-1.0), 200),
    )
    assert doubled.high - doubled.low == pytest.approx(single.high - single.low, rel=0.01)
    assert stats.obuchowski(twice, groups) == pytest.approx(stats.obuchowski(gaps, range(200)), abs=1e-9)


def test_alike_items_leave_each_group_as_one_item() -> None:
    groups = [at // 10 for at in range(100)]
    assert stats.clustered_wilson([1.0] * 100, groups).low == pytest.approx(
        stats.wilson(10, 10).low, abs=1e-12
    )
    silent = stats.clustered_tango([0.0] * 100, groups)
    assert (silent.low, silent.high) == pytest.approx((stats.tango(0, 0, 10).low, stats.tango(0, 0, 10).high))
    assert stats.obuchowski([0.0] * 100, groups) == 1.0


def test_one_group_bounds_nothing() -> None:
    assert stats.clustered_mean([0.0, 1.0], ["a", "a"]).high == math.inf
    assert stats.clustered_wilson([0.0, 1.0], ["a", "a"]).high == 1.0
    assert stats.clustered_tango([0.0, 1.0], ["a", "a"]).low == -1.0


@settings(max_examples=40)
@given(sizes=st.lists(st.integers(1, 6), min_size=3, max_size=12), seed=st.integers(0, 999))
def test_intraclass_correlation_is_that_of_the_analysis_of_variance(sizes: list[int], seed: int) -> None:
    if max(sizes) == 1:
        return
    random = Random(seed)
    groups = [group for group, size in enumerate(sizes) for _ in range(size)]
    values = [random.gauss(group % 3, 1.0) for group in groups]
    fit = sm.OLS(values, (np.array(groups)[:, None] == np.arange(len(sizes))).astype(float)).fit()
    grand = float(np.mean(values))
    total = float(np.sum((np.array(values) - grand) ** 2))
    between, within = (total - fit.ssr) / (len(sizes) - 1), fit.ssr / (len(values) - len(sizes))
    m0 = (len(values) - sum(size**2 for size in sizes) / len(values)) / (len(sizes) - 1)
    expected = (between - within) / (between + (m0 - 1) * within)
    assert stats.intraclass_correlation(values, groups) == pytest.approx(expected, abs=1e-9)


def test_design_effect() -> None:
    assert stats.design_effect(1, 0.9) == 1.0
    assert stats.design_effect(20, 0.05) == pytest.approx(1.95)
    assert stats.typical_cluster_size([1, 1, 2, 2]) == 2.0
    with pytest.raises(SpecError, match="impossible"):
        stats.design_effect(0, 0.1)


def test_what_is_no_share_and_groups_that_do_not_fit_are_refused() -> None:
    with pytest.raises(SpecError, match=r"0\.5"):
        stats.clustered_tango([0.5, 1.0], [0, 1])
    with pytest.raises(SpecError, match="-1"):
        stats.clustered_wilson([-1.0, 1.0], [0, 1])
    with pytest.raises(SpecError, match="2 values but 1 groups"):
        stats.clustered_mean([0.5, 1.0], [0])
    with pytest.raises(SpecError, match="no values"):
        stats.clustered_wilson([], [])
    with pytest.raises(SpecError, match="no correlation within"):
        stats.intraclass_correlation([1.0, 2.0], [0, 0])
