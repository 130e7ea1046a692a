"""Winner's curse against scipy and the figures of the research."""

from __future__ import annotations

import math

import pytest
from scipy import integrate
from scipy import stats as reference

from tunekit.errors import SpecError
from tunekit.evaluation import stats


@pytest.mark.parametrize("k", [1, 2, 3, 10, 100, 10_000])
def test_expected_maximum_is_the_integral(k: int) -> None:
    value, _ = integrate.quad(
        lambda x: x * k * reference.norm.pdf(x) * reference.norm.cdf(x) ** (k - 1),
        -12,
        12,
        epsabs=1e-13,
        limit=500,
    )
    assert stats.expected_maximum(k) == pytest.approx(value, abs=1e-9)


def test_closed_forms() -> None:
    assert stats.expected_maximum(2) == pytest.approx(1 / math.sqrt(math.pi), abs=1e-12)
    assert stats.expected_maximum(3) == pytest.approx(1.5 / math.sqrt(math.pi), abs=1e-12)
    assert stats.expected_maximum(10) == pytest.approx(1.54, abs=5e-3)


def test_best_of_ten_on_200_items_at_80_percent() -> None:
    assert stats.winners_curse(10, 200, 0.16) == pytest.approx(0.044, abs=5e-4)
    assert stats.winners_curse(10, 200, 0.16, correlation=0.7) == pytest.approx(0.024, abs=5e-4)
    assert stats.winners_curse(10, 200, 0.16, correlation=1.0) == 0.0


def test_words() -> None:
    said = stats.winners_curse_warning(10, 200, 0.16)
    assert said is not None and "0.044 too high on 200 items" in said
    assert stats.winners_curse_warning(1, 200, 0.16) is None


def test_impossible_choices_are_refused() -> None:
    with pytest.raises(SpecError, match="0"):
        stats.expected_maximum(0)
    with pytest.raises(SpecError, match=r"correlation=1\.5"):
        stats.winners_curse(3, 100, 0.2, correlation=1.5)
