"""The planning table and its inverse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

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


def test_planning_table_unpaired_at_80_percent() -> None:
    needed = tuple(
        stats.items_needed_mean(delta, 0.8 * 0.2 + (0.8 + delta) * (0.2 - delta)) for delta in DELTAS
    )
    assert needed == (24_638, 6_036, 2_626, 903)


def power_of(test: str, n: int, disagreement: float, delta: float) -> float:
    win_share = (disagreement + delta) / 2 / disagreement
    p_value = {"exact": stats.mcnemar_exact, "mid": stats.mcnemar_mid_p}[test]
    total_power = 0.0
    for total in range(n + 1):
        weight = reference.binom.pmf(total, n, disagreement)
        if weight < 1e-7:
            continue
        point = reference.binom.pmf(range(total + 1), total, win_share)
        total_power += weight * sum(
            point[wins] for wins in range(total + 1) if p_value(wins, total - wins) <= 0.05
        )
    return total_power


def test_approximation_against_exact_enumeration() -> None:
    assert power_of("exact", 1_000, 0.10, 0.03) == pytest.approx(0.835, abs=2e-3)
    assert power_of("mid", 1_000, 0.10, 0.03) == pytest.approx(0.857, abs=2e-3)


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
