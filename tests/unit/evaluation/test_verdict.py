"""The one rule that turns an interval into a verdict."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.errors import SpecError
from tunekit.evaluation.stats import Interval, verdict


def interval(low: float, high: float) -> Interval:
    return Interval(estimate=(low + high) / 2, low=low, high=high, level=0.95, n=100)


@pytest.mark.parametrize(
    ("low", "high", "margin", "min_gain", "expected"),
    [
        (0.01, 0.05, 0.0, 0.0, "better"),
        (-0.05, -0.01, 0.0, 0.0, "worse"),
        (-0.01, 0.05, 0.0, 0.0, "inconclusive"),
        (0.0, 0.05, 0.0, 0.0, "inconclusive"),  # touching zero does not exclude it
        (-0.01, 0.01, 0.02, 0.0, "equivalent"),
        (-0.02, 0.02, 0.02, 0.0, "equivalent"),  # touching the margin is within it
        (0.005, 0.015, 0.02, 0.0, "equivalent"),  # certain, and too small to matter
        (-0.015, -0.005, 0.02, 0.0, "equivalent"),
        (0.005, 0.05, 0.02, 0.0, "better"),
        (-0.05, -0.005, 0.02, 0.0, "worse"),
        (0.005, 0.05, 0.0, 0.01, "inconclusive"),  # a gain, but maybe below what is asked
        (0.011, 0.05, 0.0, 0.01, "better"),
        (0.002, 0.009, 0.0, 0.01, "equivalent"),  # certainly below what is asked: more items will not help
        (-0.005, 0.005, 0.0, 0.01, "inconclusive"),
        (-math.inf, math.inf, 0.1, 0.0, "inconclusive"),
    ],
)
def test_rule(low: float, high: float, margin: float, min_gain: float, expected: str) -> None:
    assert verdict(interval(low, high), margin=margin, min_gain=min_gain) == expected


@given(ends=st.tuples(st.floats(-1, 1), st.floats(-1, 1)).map(sorted), margin=st.floats(0, 0.5))
def test_models_that_change_places_change_the_verdict(ends: list[float], margin: float) -> None:
    mirror = {
        "better": "worse",
        "worse": "better",
        "equivalent": "equivalent",
        "inconclusive": "inconclusive",
    }
    there = verdict(interval(ends[0], ends[1]), margin=margin)
    assert verdict(interval(-ends[1], -ends[0]), margin=margin) == mirror[there]


@given(ends=st.lists(st.floats(-1, 1), min_size=4, max_size=4).map(sorted))
def test_a_narrower_interval_never_takes_a_verdict_back(ends: list[float]) -> None:
    first = verdict(interval(ends[0], ends[3]), margin=0.05, min_gain=0.02)
    second = verdict(interval(ends[1], ends[2]), margin=0.05, min_gain=0.02)
    # The one allowed change: a certain difference turns out to be too small to matter.
    assert first == "inconclusive" or second in (first, "equivalent")


@pytest.mark.parametrize("bad", [-0.01, math.inf, math.nan])
def test_margins_that_are_not_margins(bad: float) -> None:
    with pytest.raises(SpecError, match="margin"):
        verdict(interval(0, 1), margin=bad)
    with pytest.raises(SpecError, match="min_gain"):
        verdict(interval(0, 1), min_gain=bad)
