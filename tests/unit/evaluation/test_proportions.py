"""Wilson, McNemar, Tango and Newcombe against statsmodels, exact enumeration and published examples."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize
from scipy import stats as reference
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from tunekit.errors import SpecError
from tunekit.evaluation import stats

counts = st.integers(0, 400)
levels = st.floats(0.5, 0.999)


@given(data=st.data(), n=st.integers(1, 5_000), level=levels)
def test_wilson_is_statsmodels(data: st.DataObject, n: int, level: float) -> None:
    successes = data.draw(st.integers(0, n))
    mine = stats.wilson(successes, n, level=level)
    low, high = proportion_confint(successes, n, alpha=1 - level, method="wilson")
    assert (mine.low, mine.high) == pytest.approx((low, high), abs=1e-9)
    assert 0.0 <= mine.low <= mine.estimate <= mine.high <= 1.0


@pytest.mark.parametrize(
    ("n", "low", "high"),
    [(20, 58, 92), (50, 67, 89), (100, 71, 87), (200, 74, 85), (500, 76, 83), (1000, 77, 82)],
)
def test_wilson_when_80_percent_are_right(n: int, low: int, high: int) -> None:
    interval = stats.wilson(n * 8 // 10, n)
    assert (round(100 * interval.low), round(100 * interval.high)) == (low, high)


def coverage(n: int, true: float, ends: Callable[[int], tuple[float, float]]) -> float:
    """The exact chance that an interval of n items holds the true share."""
    held = [k for k in range(n + 1) if ends(k)[0] <= true <= ends(k)[1]]
    return float(reference.binom.pmf(held, n, true).sum())


@pytest.mark.parametrize(("n", "wald", "wilson"), [(20, 0.639, 0.925), (100, 0.877, 0.966)])
def test_wilson_keeps_its_level_where_wald_loses_it(n: int, wald: float, wilson: float) -> None:
    def of_wilson(k: int) -> tuple[float, float]:
        interval = stats.wilson(k, n)
        return interval.low, interval.high

    def of_wald(k: int) -> tuple[float, float]:
        half = stats.two_sided_z(0.95) * math.sqrt(k / n * (1 - k / n) / n)
        return k / n - half, k / n + half

    found = (coverage(n, 0.95, of_wald), coverage(n, 0.95, of_wilson))
    assert found == pytest.approx((wald, wilson), abs=5e-4)


@pytest.mark.parametrize(("n", "low", "high"), [(30, 0.87, 0.88), (50, 0.91, 0.93), (100, 0.945, 0.965)])
def test_percentile_bootstrap_covers_too_little_below_100_pairs(n: int, low: float, high: float) -> None:
    # No resampling: the distribution of a resampled difference is the n-fold convolution of that of one item.
    wins, losses = 0.07, 0.02
    covered = 0.0
    for won, lost in product(range(n + 1), repeat=2):
        chance = reference.multinomial.pmf([won, lost, n - won - lost], n, [wins, losses, 0.91])
        if won + lost > n or chance < 1e-8:
            continue
        point = np.fft.fft([lost / n, 1 - (won + lost) / n, won / n], 2 * n + 1) ** n
        below = np.cumsum(np.fft.ifft(point).real)
        ends = [(int(np.searchsorted(below, share)) - n) / n for share in (0.025, 0.975)]
        covered += chance * (ends[0] - 1e-9 <= wins - losses <= ends[1] + 1e-9)
    assert low <= covered <= high
    assert (stats.bootstrap_warning(n) is None) == (n >= 100)


def test_wilson_ends_are_exact_when_all_or_none_are_right() -> None:
    assert stats.wilson(0, 7).low == 0.0
    assert stats.wilson(7, 7).high == 1.0
    assert stats.wilson(1, 1).low == pytest.approx(1 / (1 + stats.two_sided_z(0.95) ** 2), abs=1e-12)


@given(wins=counts, losses=counts)
def test_exact_mcnemar_is_statsmodels(wins: int, losses: int) -> None:
    expected = mcnemar([[0, wins], [losses, 0]], exact=True).pvalue if wins + losses else 1.0
    assert stats.mcnemar_exact(wins, losses) == pytest.approx(min(expected, 1.0), rel=1e-9)


@given(wins=counts, losses=counts)
def test_mid_p_is_the_exact_value_less_half_the_observed_point_on_each_side(wins: int, losses: int) -> None:
    n, fewer = wins + losses, min(wins, losses)
    expected = (
        1.0 if wins == losses else 2 * reference.binom.cdf(fewer, n, 0.5) - reference.binom.pmf(fewer, n, 0.5)
    )
    assert stats.mcnemar_mid_p(wins, losses) == pytest.approx(expected, rel=1e-9)
    assert stats.mcnemar_mid_p(wins, losses) <= stats.mcnemar_exact(wins, losses)


@pytest.mark.parametrize(
    ("n", "exact", "mid"), [(50, 0.009, 0.025), (200, 0.029, 0.046), (500, 0.037, 0.049)]
)
def test_true_size_of_the_tests_at_ten_percent_disagreement(n: int, exact: float, mid: float) -> None:
    sizes = {"exact": 0.0, "mid": 0.0}
    for total in range(n + 1):
        weight = reference.binom.pmf(total, n, 0.1)
        if weight < 1e-12:
            continue
        point = reference.binom.pmf(range(total + 1), total, 0.5)
        for wins in range(total + 1):
            sizes["exact"] += weight * point[wins] * (stats.mcnemar_exact(wins, total - wins) <= 0.05)
            sizes["mid"] += weight * point[wins] * (stats.mcnemar_mid_p(wins, total - wins) <= 0.05)
    assert sizes["exact"] == pytest.approx(exact, abs=6e-4)
    assert sizes["mid"] == pytest.approx(mid, abs=6e-4)


def score_statistic(difference: float, wins: int, losses: int, n: int) -> float:
    """The same test, with the likeliest rate of losses found by a numerical maximum instead of a formula."""
    ties = n - wins - losses

    def unlikelihood(rate: float) -> float:
        cells = ((wins, rate + difference), (losses, rate), (ties, 1 - 2 * rate - difference))
        return -sum(count * math.log(max(share, 1e-300)) for count, share in cells if count)

    bounds = (max(0.0, -difference), (1 - difference) / 2)
    rate = optimize.minimize_scalar(unlikelihood, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    return float((wins - losses - n * difference) / math.sqrt(n * (2 * rate + difference * (1 - difference))))


@settings(max_examples=40)
@given(
    wins=st.integers(1, 40), losses=st.integers(1, 40), ties=st.integers(1, 200), level=st.floats(0.8, 0.99)
)
def test_tango_limits_are_where_the_score_test_just_rejects(
    wins: int, losses: int, ties: int, level: float
) -> None:
    n = wins + losses + ties
    interval = stats.tango(wins, losses, n, level=level)
    z = stats.two_sided_z(level)
    assert score_statistic(interval.low, wins, losses, n) == pytest.approx(z, abs=1e-5)
    assert score_statistic(interval.high, wins, losses, n) == pytest.approx(-z, abs=1e-5)


def test_published_example_of_airway_hyper_responsiveness() -> None:
    # Bentur et al. 2009, as analysed by Fagerland, Lydersen and Laake 2014 (Statistics in Medicine 33:2850).
    tango, newcombe = stats.tango(1, 7, 21), stats.newcombe(1, 1, 7, 12)
    assert (round(tango.low, 3), round(tango.high, 3)) == (-0.517, -0.026)
    assert (round(newcombe.low, 3), round(newcombe.high, 3)) == (-0.507, -0.026)
    assert stats.mcnemar_exact(1, 7) == pytest.approx(0.0703, abs=5e-5)
    assert stats.mcnemar_mid_p(1, 7) == pytest.approx(0.0391, abs=5e-5)


@given(wins=counts, losses=counts, ties=counts)
def test_tango_mirrors_when_the_models_change_places(wins: int, losses: int, ties: int) -> None:
    n = wins + losses + ties
    if n == 0:
        return
    there, back = stats.tango(wins, losses, n), stats.tango(losses, wins, n)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-12)
    assert -1.0 <= there.low <= there.estimate <= there.high <= 1.0


@given(wins=counts, losses=counts, ties=st.integers(1, 400))
def test_tango_excludes_zero_exactly_when_the_score_test_rejects(wins: int, losses: int, ties: int) -> None:
    interval = stats.tango(wins, losses, wins + losses + ties)
    # At difference 0 Tango's statistic is McNemar's (wins - losses) / sqrt(wins + losses).
    statistic = abs(wins - losses) / math.sqrt(max(wins + losses, 1))
    assert (interval.low > 0 or interval.high < 0) == (statistic > stats.two_sided_z(0.95))


@pytest.mark.parametrize("n", [1, 5, 50, 1_000])
def test_no_disagreement_still_leaves_an_honest_width(n: int) -> None:
    z2 = stats.two_sided_z(0.95) ** 2
    interval = stats.tango(0, 0, n)
    assert (interval.low, interval.high) == pytest.approx((-z2 / (n + z2), z2 / (n + z2)), abs=1e-12)
    assert stats.newcombe(n, 0, 0, 0).low < 0 < stats.newcombe(n, 0, 0, 0).high


def test_all_items_won() -> None:
    interval = stats.tango(30, 0, 30)
    assert (interval.estimate, interval.high) == (1.0, 1.0)
    assert 0.5 < interval.low < 1.0


@pytest.mark.parametrize(("win_rate", "loss_rate"), [(0.05, 0.05), (0.12, 0.06), (0.3, 0.1)])
def test_tango_covers_the_truth_about_as_often_as_it_says(win_rate: float, loss_rate: float) -> None:
    n, true = 40, win_rate - loss_rate
    pairs = [(wins, losses) for wins in range(n + 1) for losses in range(n + 1 - wins)]
    chances = reference.multinomial.pmf(
        [(wins, losses, n - wins - losses) for wins, losses in pairs],
        n,
        [win_rate, loss_rate, 1 - win_rate - loss_rate],
    )
    covered = 0.0
    for (wins, losses), chance in zip(pairs, chances, strict=True):
        if chance > 1e-9:
            interval = stats.tango(wins, losses, n)
            covered += chance * (interval.low <= true <= interval.high)
    assert 0.935 <= covered <= 0.985


@pytest.mark.parametrize(("wins", "losses", "n"), [(-1, 0, 5), (3, 3, 5), (0, -2, 5), (0, 0, 0)])
def test_impossible_counts_are_refused(wins: int, losses: int, n: int) -> None:
    with pytest.raises(SpecError, match=f"n={n}"):
        stats.tango(wins, losses, n)


def test_a_share_of_nothing_is_refused() -> None:
    with pytest.raises(SpecError, match="0"):
        stats.wilson(0, 0)
    with pytest.raises(SpecError, match="6"):
        stats.wilson(6, 5)
