"""Means and paired differences against scipy and exact counting."""

from __future__ import annotations

import math
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference

from tunekit.errors import SpecError
from tunekit.evaluation import stats

samples = st.lists(st.floats(-100, 100).map(lambda value: round(value, 6)), min_size=2, max_size=60)


@given(values=samples, level=st.floats(0.5, 0.999))
def test_mean_interval_is_scipys(values: list[float], level: float) -> None:
    interval = stats.mean_t(values, level=level)
    if min(values) == max(values):
        assert interval.low == interval.high == values[0]
        return
    expected = reference.ttest_1samp(values, 0.0)
    low, high = expected.confidence_interval(level)
    scale = max(map(abs, values))
    assert (interval.low, interval.high) == pytest.approx((low, high), rel=1e-9, abs=1e-9 * scale)


def test_one_value_bounds_nothing() -> None:
    interval = stats.mean_t([0.5])
    assert (interval.estimate, interval.low, interval.high) == (0.5, -math.inf, math.inf)


@given(difference=st.floats(-1, 1), n=st.integers(1, 10_000))
def test_constant_differences_keep_room_for_items_not_seen(difference: float, n: int) -> None:
    interval = stats.constant_mean(difference, n, low=-1.0, high=1.0)
    assert -1.0 - 1e-12 <= interval.low <= difference <= interval.high <= 1.0 + 1e-12
    assert interval.high - interval.low == pytest.approx(2 * stats.wilson(0, n).high, abs=1e-12)


def test_constant_values_of_unknown_range_bound_nothing() -> None:
    interval = stats.constant_mean(3.0, 50, low=-math.inf, high=math.inf)
    assert (interval.low, interval.high) == (-math.inf, math.inf)
    with pytest.raises(SpecError, match=r"3\.0"):
        stats.constant_mean(3.0, 50, low=0.0, high=1.0)


@settings(max_examples=30)
@given(values=st.lists(st.integers(-3, 5).map(lambda value: value / 7), min_size=1, max_size=10))
def test_sign_flips_of_few_values_are_counted_exactly(values: list[float]) -> None:
    observed = abs(math.fsum(values))
    flips = [
        abs(math.fsum(map(math.prod, zip(values, signs, strict=True))))
        for signs in product((1, -1), repeat=len(values))
    ]
    expected = sum(total >= observed - 1e-9 for total in flips) / len(flips)
    assert stats.sign_flip(values) == pytest.approx(expected, abs=1e-12)


def test_sign_flips_of_many_values_agree_with_the_t_test_and_repeat() -> None:
    random = Random(3)
    values = [random.gauss(0.12, 1.0) for _ in range(300)]
    assert stats.sign_flip(values) == pytest.approx(reference.ttest_1samp(values, 0.0).pvalue, abs=0.015)
    assert stats.sign_flip(values, seed=1) == stats.sign_flip(values, seed=1)
    assert stats.sign_flip(values, seed=1) != stats.sign_flip(values, seed=2)


@settings(max_examples=10)
@given(
    values=st.lists(
        st.floats(-100, 100).map(lambda value: round(value, 6)), min_size=20, max_size=40, unique=True
    ),
    seed=st.integers(0, 99),
)
def test_order_of_items_does_not_matter_where_signs_and_items_are_sampled(
    values: list[float], seed: int
) -> None:
    moved = list(values)
    Random(seed).shuffle(moved)
    assert stats.sign_flip(values, resamples=500) == stats.sign_flip(moved, resamples=500)
    assert stats.sign_flip(values, resamples=500) == stats.sign_flip(
        [-value for value in values], resamples=500
    )
    assert stats.bca_mean(values, resamples=100) == stats.bca_mean(moved, resamples=100)


def test_sampled_sign_flips_find_the_probability_that_counting_finds() -> None:
    values = [0.3, -0.1] * 10  # 20 values: sampled. Sum of 10 signs of 0.3 and 10 of 0.1, both binomial.
    expected = sum(
        reference.binom.pmf(a, 10, 0.5) * reference.binom.pmf(b, 10, 0.5)
        for a in range(11)
        for b in range(11)
        if abs(0.3 * (2 * a - 10) + 0.1 * (2 * b - 10)) >= 2.0 - 1e-9
    )
    assert stats.sign_flip(values, resamples=50_000) == pytest.approx(expected, abs=0.006)


def test_identical_models_have_a_p_value_of_one() -> None:
    assert stats.sign_flip([0.0] * 50) == 1.0


def test_bca_is_scipys_within_resampling_noise() -> None:
    random = Random(11)
    values = [random.lognormvariate(0.0, 0.8) for _ in range(80)]
    mine = stats.bca_mean(values)
    generator = __import__("numpy").random.default_rng(5)
    expected = reference.bootstrap((values,), lambda x, axis: x.mean(axis=axis), method="BCa", rng=generator)
    low, high = expected.confidence_interval
    assert (mine.low, mine.high) == pytest.approx((low, high), abs=0.1 * (high - low))
    # Skewed to the right: the interval reaches further up than down, which the t interval cannot show.
    assert mine.high - mine.estimate > mine.estimate - mine.low


def test_bca_without_spread_is_a_point_and_repeats_with_its_seed() -> None:
    assert stats.bca_mean([0.25] * 8) == stats.mean_t([0.25] * 8)
    values = [0.0, 0.5, 0.9, 0.1] * 6
    assert stats.bca_mean(values, seed=4) == stats.bca_mean(values, seed=4)


@pytest.mark.parametrize("call", [stats.mean_t, stats.sign_flip, stats.bca_mean])
def test_nothing_and_not_a_number_are_refused(call: object) -> None:
    assert callable(call)
    with pytest.raises(SpecError, match="no values"):
        call([])
    with pytest.raises(SpecError, match="nan"):
        call([0.1, math.nan])


def test_t_interval_covers_a_known_truth_about_as_often_as_it_says() -> None:
    random = Random(0)
    trials = 1_500
    covered = 0
    for _ in range(trials):
        interval = stats.mean_t([random.uniform(0.0, 1.0) for _ in range(30)])
        covered += interval.low <= 0.5 <= interval.high
    assert covered / trials == pytest.approx(0.95, abs=0.017)  # three Monte-Carlo standard errors
