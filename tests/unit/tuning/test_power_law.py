"""The power law: it finds the curve behind its points, and intervals cover. Knows numbers; scipy is the reference."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.errors import SpecError
from tunekit.tuning.power_law import PowerLaw, fit, size_for, value_at

SIZES = (50, 100, 200, 400, 800, 1600)

# Gains per doubling that were measured with a probe on banking77 (research/evaluation.md, section 6), summed up.
BANKING = {77: 0.54, 154: 0.664, 308: 0.749, 616: 0.818, 1232: 0.861, 2464: 0.893, 4928: 0.918, 9856: 0.932}


def noisy(curve: tuple[float, float, float], random: Random, *, seeds: int = 3) -> dict[int, list[float]]:
    """Scores at the six sizes; seeds differ less the more rows there are."""
    return {
        n: [value_at(curve, n) + random.gauss(0, 0.02 * (n / SIZES[0]) ** -0.3) for _ in range(seeds)]
        for n in SIZES
    }


@settings(max_examples=12)
@given(st.floats(0.3, 1.0), st.floats(0.2, 5.0), st.floats(0.1, 1.5))
def test_a_curve_without_noise_is_found_again(a: float, b: float, c: float) -> None:
    law = fit({n: [value_at((a, b, c), n)] for n in SIZES})
    assert law.at(8 * 1600).estimate == pytest.approx(value_at((a, b, c), 8 * 1600), abs=1e-5)
    assert law.rmse < 1e-5


@pytest.mark.parametrize("curve", [(0.93, 2.0, 0.5), (0.95, 1.2, 0.25), (0.9, 8.0, 0.9)])
def test_it_is_the_weighted_fit_of_scipy(curve: tuple[float, float, float]) -> None:
    from scipy.optimize import curve_fit

    scores = noisy(curve, Random(4))
    xs = [float(n) for n in SIZES for _ in scores[n]]
    ys = [score for n in SIZES for score in scores[n]]
    theirs, _ = curve_fit(
        lambda n, a, b, c: a - b * n**-c, xs, ys, p0=curve, sigma=[n**-0.25 for n in xs], maxfev=20_000
    )  # sigma is one over the root of the weight
    law = fit(scores)
    assert (law.a, law.b, law.c) == pytest.approx(tuple(theirs), rel=1e-3)


def test_few_rows_of_banking77_foretell_all_of_them_as_research_found() -> None:
    """There, 93.05 % of the full data was foretold as 96.2 from 770 rows and less, 94.0 from 1,232, 93.2 from 2,310."""
    foretold = [
        fit({n: [score] for n, score in BANKING.items() if n <= most}).at(9856 // 2).estimate
        for most in (616, 1232, 2464)
    ]
    errors = [abs(value - BANKING[4928]) for value in foretold]
    assert errors[0] > errors[2] and errors[0] < 0.02 and errors[2] < 0.005


def test_intervals_cover_in_their_range() -> None:
    random, curve = Random(7), (0.93, 2.0, 0.5)
    laws = [fit(noisy(curve, random), seed=number) for number in range(12)]
    for times in (2, 8):
        n = times * SIZES[-1]
        covered = sum(law.at(n).low <= value_at(curve, n) <= law.at(n).high for law in laws)
        assert covered >= 8, times  # of 12; at 0.92 fewer are seen once in 500 such tests


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("curve", [(0.93, 2.0, 0.5), (0.95, 1.2, 0.25), (0.9, 8.0, 0.9)])
def test_coverage_of_the_intervals(curve: tuple[float, float, float]) -> None:
    random, runs = Random(11), 400
    laws = [fit(noisy(curve, random), seed=number) for number in range(runs)]
    for times in (2, 4, 8):
        n = times * SIZES[-1]
        covered = sum(law.at(n).low <= value_at(curve, n) <= law.at(n).high for law in laws) / runs
        assert 0.87 <= covered <= 0.98, (times, covered)


@settings(max_examples=50)
@given(st.floats(0.3, 1.0), st.floats(0.05, 5.0), st.floats(0.05, 2.0), st.floats(0.0, 1.2), st.booleans())
def test_the_size_for_a_target_has_the_target(
    a: float, b: float, c: float, target: float, rising: bool
) -> None:
    curve = (a, b, c) if rising else (-a, -b, c)
    n = size_for(curve, target if rising else -target, rising=rising)
    if math.isinf(n):
        assert a <= target + 1e-9 or math.log(b / (a - target)) / c >= 700
    elif 1 < n < 1e12:
        assert value_at((a, b, c), n) == pytest.approx(target, abs=1e-6)
    else:
        assert value_at((a, b, c), 1) >= target - 1e-9 or n >= 1e12


def test_few_sizes_and_sizes_too_far_are_refused() -> None:
    with pytest.raises(SpecError, match="needs 4 sizes, and there are 3"):
        fit({10: [0.1], 20: [0.2], 40: [0.3]})
    with pytest.raises(SpecError, match="not finite"):
        fit({10: [0.1], 20: [0.2], 40: [0.3], 80: [math.nan]})
    law = fit({n: [score] for n, score in BANKING.items()})
    assert law.at(8 * 9856).high < 1.0
    for n in (0, 8 * 9856 + 1):
        with pytest.raises(SpecError, match="8 times the largest size"):
            law.at(n)


def test_the_same_points_give_the_same_bytes_and_come_back_from_json() -> None:
    law = fit({n: [score] for n, score in BANKING.items()})
    other = fit({n: [score] for n, score in reversed(BANKING.items())})
    assert law.to_json() == other.to_json() and PowerLaw.from_json(law.to_json()) == law
    assert str(law).startswith("0.9") and " * n^-0.4" in str(law)


def test_a_score_that_falls_with_rows_and_one_that_does_not_move() -> None:
    falling = fit({n: [0.5 + n**-0.5] for n in SIZES})
    assert falling.b < 0 and falling.sizes_for(0.51, rising=False)[1] == pytest.approx(10_000, rel=0.01)
    assert falling.sizes_for(0.9, rising=True)[1] in (1.0, math.inf)
    flat = fit({n: [0.7, 0.7] for n in SIZES})
    assert flat.at(12_800).estimate == pytest.approx(0.7) and flat.sizes_for(0.8, rising=True)[1] == math.inf
