"""The planning table and its inverse."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.errors import SpecError
from tunekit.evaluation import stats

TABLE = {  # items for 80 % power, two-sided 5 %, by share of disagreement: +1, +2, +3, +5 points
    0.05: (3_923, 979, 434, 155),
    0.10: (7_847, 1_960, 870, 312),
    0.20: (15_696, 3_923, 1_742, 626),
    0.30: (23_545, 5_885, 2_614, 940),
}
DELTAS = (0.01, 0.02, 0.03, 0.05)


@pytest.mark.parametrize("disagreement", TABLE)
def test_planning_table_paired(disagreement: float) -> None:
    assert tuple(stats.items_needed(delta, disagreement) for delta in DELTAS) == TABLE[disagreement]


def test_planning_table_in_one_call() -> None:
    assert stats.power_table() == TABLE
    assert stats.power_table((0.2,), (0.1,)) == {0.1: (None,)}


def test_planning_table_unpaired_at_80_percent() -> None:
    needed = tuple(stats.items_needed_unpaired(0.8, delta) for delta in DELTAS)
    assert needed == (24_638, 6_036, 2_626, 903)
    assert stats.items_needed_unpaired(0.8, 0.0) is None


@given(n=st.integers(100, 50_000), share=st.floats(0.1, 0.8), power=st.floats(0.3, 0.95))
def test_power_is_the_inverse_of_items_needed(n: int, share: float, power: float) -> None:
    size = stats.detectable_difference(n, share, power=power)
    if size is not None and size < share:
        assert stats.power_paired(n, size, share) == pytest.approx(power, abs=1e-6)
    mean = stats.detectable_mean(n, share, power=power)
    assert stats.power_mean(n, mean, share) == pytest.approx(power, abs=1e-9)


@pytest.mark.parametrize("delta", DELTAS)
def test_items_needed_on_different_items_reach_the_power_and_one_less_does_not(delta: float) -> None:
    needed = stats.items_needed_unpaired(0.8, delta)
    assert needed is not None
    assert stats.power_unpaired(needed - 1, 0.8, delta) < 0.8 <= stats.power_unpaired(needed, 0.8, delta)


def test_nothing_to_find_is_found_as_often_as_the_size_says() -> None:
    assert stats.power_paired(500, 0.0, 0.1, alpha=0.01) == 0.01
    assert stats.power_mean(500, 0.0, 0.1) == stats.power_unpaired(500, 0.8, 0.0) == 0.05
    assert stats.power_mean(5, 0.1, 0.0) == 1.0


def test_more_answers_to_an_item_cut_the_noise_within_it() -> None:
    once = stats.answers_variance(1 / 9, 1 / 6, 1 / 6)
    often = stats.answers_variance(1 / 9, 1 / 6, 1 / 6, answers_a=10, answers_b=10)
    assert (once, often) == pytest.approx((4 / 9, 1 / 9 + 1 / 30))
    assert stats.answers_variance(0.1, 0.2, 0.3, answers_a=4, answers_b=2) == pytest.approx(0.1 + 0.05 + 0.15)
    assert stats.items_needed_mean(0.03, once) == math.ceil((1.959964 + 0.841621) ** 2 * (4 / 9) / 0.0009)
    assert stats.detectable_mean(198, often) < stats.detectable_mean(198, once)


def test_groups_multiply_the_items_needed() -> None:
    assert stats.items_needed_clustered(870, 5, 0.25) == 2 * 870
    assert stats.items_needed_clustered(870, 1, 0.9) == stats.items_needed_clustered(870, 9, -0.1) == 870


@given(n=st.integers(50, 50_000), disagreement=st.floats(0.02, 0.9))
def test_smallest_detectable_difference_needs_just_these_items(n: int, disagreement: float) -> None:
    size = stats.detectable_difference(n, disagreement)
    if size is None:
        return
    needed = stats.items_needed(size, disagreement)
    assert needed is not None
    assert abs(needed - n) <= 1


@given(n=st.integers(2, 50_000), variance=st.floats(1e-4, 4.0))
def test_smallest_detectable_mean_needs_just_these_items(n: int, variance: float) -> None:
    needed = stats.items_needed_mean(stats.detectable_mean(n, variance), variance)
    assert needed is not None
    assert abs(needed - n) <= 1


def test_where_no_number_of_items_would_do() -> None:
    assert stats.items_needed(0.0, 0.1) is None
    assert stats.items_needed(0.2, 0.1) is None
    assert stats.items_needed_mean(0.0, 0.1) is None
    assert stats.detectable_difference(3, 0.1) is None
    assert stats.detectable_difference(100, 0.0) is None


def test_direction_does_not_matter() -> None:
    assert stats.items_needed(-0.03, 0.1) == stats.items_needed(0.03, 0.1)


def test_impossible_plans_are_refused() -> None:
    with pytest.raises(SpecError, match=r"1\.2"):
        stats.items_needed(0.1, 1.2)
    with pytest.raises(SpecError, match="-1"):
        stats.items_needed_mean(0.1, -1)
    with pytest.raises(SpecError, match="n must be"):
        stats.detectable_mean(0, 1.0)
    with pytest.raises(SpecError, match=r"share \+ delta"):
        stats.items_needed_unpaired(0.99, 0.05)
    with pytest.raises(SpecError, match="answers_b"):
        stats.answers_variance(0.1, 0.1, 0.1, answers_b=0)
    with pytest.raises(SpecError, match=r"0\.2"):
        stats.power_paired(100, 0.2, 0.1)
