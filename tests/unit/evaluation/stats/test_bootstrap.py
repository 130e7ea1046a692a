"""Ends of an interval from resampled values: numpy's percentiles, and corrections that run out of resamples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.evaluation.stats.bootstrap import acceleration, bca_ends, percentile_ends

values = st.lists(st.floats(-100, 100), min_size=2, max_size=50)


@given(replicates=values, level=st.floats(0.5, 0.99))
def test_percentiles_are_numpys(replicates: list[float], level: float) -> None:
    expected = np.percentile(replicates, [50 - 50 * level, 50 + 50 * level])
    assert percentile_ends(replicates, level=level) == pytest.approx(tuple(expected), rel=1e-9, abs=1e-9)


@given(replicates=values, estimate=st.floats(-100, 100), skew=st.floats(-1, 1))
def test_corrected_ends_are_ordered_and_among_the_resamples(
    replicates: list[float], estimate: float, skew: float
) -> None:
    low, high = bca_ends(replicates, estimate, skew, level=0.95)
    slack = 1e-9 * max(map(abs, replicates))
    assert min(replicates) - slack <= low <= high + slack <= max(replicates) + 2 * slack


@given(jackknife=st.lists(st.integers(-5, 5), min_size=1, max_size=30), factor=st.floats(0.1, 10))
def test_skewness_knows_no_scale_and_counts_equal_values(jackknife: list[int], factor: float) -> None:
    plain = acceleration((float(value), 1) for value in jackknife)
    counted = acceleration((float(value), jackknife.count(value)) for value in set(jackknife))
    assert counted == pytest.approx(plain, abs=1e-9)
    assert acceleration((3 + factor * value, 1) for value in jackknife) == pytest.approx(plain, abs=1e-6)
    assert acceleration((-float(value), 1) for value in jackknife) == pytest.approx(-plain, abs=1e-9)


def test_no_spread_has_no_skewness() -> None:
    assert acceleration([(0.5, 10)]) == 0.0
    assert acceleration([(0.1 + 0.2, 3), (0.3, 4)]) == 0.0  # rounding is no spread


def test_skewness_of_tiny_and_huge_values() -> None:
    plain = acceleration([(1.0, 5), (2.0, 1)])
    assert acceleration([(1e-150, 5), (2e-150, 1)]) == pytest.approx(plain)
    assert acceleration([(1e150, 5), (2e150, 1)]) == pytest.approx(plain)
