"""Quantiles and tails against scipy."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special
from scipy import stats as reference

from tunekit.errors import SpecError
from tunekit.evaluation import stats
from tunekit.evaluation.stats.distributions import binomial_cdf, binomial_pmf, incomplete_beta

probabilities = st.floats(1e-6, 1 - 1e-6)
degrees = st.floats(1.0, 1e4)


@given(p=probabilities)
def test_normal_quantile_is_scipys(p: float) -> None:
    assert stats.normal_quantile(p) == pytest.approx(reference.norm.ppf(p), rel=1e-9, abs=1e-12)


@given(t=st.floats(-200, 200), df=degrees)
def test_student_t_tail_is_scipys(t: float, df: float) -> None:
    # Next to 0 scipy itself loses digits (0.5 exactly at t=7e-9); there the tangent is closer than 1e-12.
    expected = reference.t.sf(t, df) if abs(t) > 1e-4 else 0.5 - t * reference.t.pdf(0.0, df)
    assert stats.student_t_sf(t, df) == pytest.approx(expected, rel=1e-9, abs=1e-200)


@given(p=probabilities, df=degrees)
def test_student_t_quantile_is_scipys(p: float, df: float) -> None:
    assert stats.student_t_quantile(p, df) == pytest.approx(reference.t.ppf(p, df), rel=1e-9, abs=1e-9)


def test_student_t_quantile_has_its_closed_form_at_one_degree_of_freedom() -> None:
    for p in (0.6, 0.9, 0.975, 0.9995):
        assert stats.student_t_quantile(p, 1) == pytest.approx(math.tan(math.pi * (p - 0.5)), rel=1e-12)


def test_student_t_quantile_tends_to_the_normal_one() -> None:
    assert stats.two_sided_t(0.95, 1e6) == pytest.approx(stats.two_sided_z(0.95), rel=1e-5)


@given(n=st.integers(0, 20_000), data=st.data())
def test_fair_coin_is_scipys(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    expected = reference.binom(n, 0.5)
    assert binomial_cdf(k, n, 0.5) == pytest.approx(expected.cdf(k), rel=1e-9, abs=1e-200)
    assert binomial_pmf(k, n, 0.5) == pytest.approx(expected.pmf(k), rel=1e-9, abs=1e-200)


@given(x=st.floats(0, 1), a=st.floats(0.1, 500), b=st.floats(0.1, 500))
def test_incomplete_beta_is_scipys(x: float, a: float, b: float) -> None:
    assert incomplete_beta(x, a, b) == pytest.approx(special.betainc(a, b, x), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("p", [0.0, 1.0, -0.1, math.nan])
def test_impossible_probabilities_are_refused_by_value(p: float) -> None:
    with pytest.raises(SpecError, match=repr(p)):
        stats.normal_quantile(p)
    with pytest.raises(SpecError, match=repr(p)):
        stats.student_t_quantile(p, 5)


def test_no_degrees_of_freedom_is_refused() -> None:
    with pytest.raises(SpecError, match="degrees of freedom"):
        stats.student_t_sf(1.0, 0)
