"""Adjusted p-values against statsmodels."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from tunekit.errors import SpecError
from tunekit.evaluation import stats

p_values = st.lists(
    st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.01, 0.05, 1.0])), min_size=1, max_size=40
)


@settings(max_examples=10)  # statsmodels takes a tenth of a second for each
@given(p=p_values)
def test_both_are_statsmodels(p: list[float]) -> None:
    assert stats.holm(p) == pytest.approx(list(multipletests(p, method="holm")[1]), abs=1e-9)
    assert stats.benjamini_hochberg(p) == pytest.approx(list(multipletests(p, method="fdr_bh")[1]), abs=1e-9)


@given(p=p_values, at=st.integers(0, 39))
def test_order_does_not_matter(p: list[float], at: int) -> None:
    cut = at % len(p)
    turned = p[cut:] + p[:cut]
    for adjust in (stats.holm, stats.benjamini_hochberg):
        there = adjust(turned)
        assert adjust(p) == there[len(p) - cut :] + there[: len(p) - cut]


@given(p=p_values)
def test_adjusting_never_lowers_and_holm_is_the_stricter(p: list[float]) -> None:
    for raw, found, family in zip(p, stats.benjamini_hochberg(p), stats.holm(p), strict=True):
        assert raw <= found + 1e-15 and found <= family + 1e-15 <= 1.0 + 1e-15


def test_no_test_and_impossible_p_values() -> None:
    assert stats.holm([]) == stats.benjamini_hochberg([]) == []
    with pytest.raises(SpecError, match=r"1\.5"):
        stats.holm([0.1, 1.5])
    with pytest.raises(SpecError, match="nan"):
        stats.benjamini_hochberg([float("nan")])
