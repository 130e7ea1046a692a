"""Calibration error, Brier score, log loss, temperature and abstention against scikit-learn, numpy and scipy."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special
from sklearn import calibration as sklearn_calibration
from sklearn import metrics as reference

from tunekit.errors import EvaluationError, SpecError
from tunekit.evaluation import stats
from tunekit.evaluation.metrics import abstention, calibration, temperature
from tunekit.evaluation.metrics.counts import added

CHOICES = ("a", "b", "c")
Row = dict[str, float]

log_probs = st.lists(st.floats(-30, 0), min_size=3, max_size=3).map(
    lambda values: dict(zip(CHOICES, values, strict=True))
)
items = st.lists(st.tuples(log_probs, st.sampled_from(CHOICES)), min_size=1, max_size=30)


def summed(rows: list[tuple[Row, str]], bins: int = 15) -> dict[str, float]:
    return added(calibration.counts_of(calibration.softmax(row), label, bins=bins) for row, label in rows)


@given(rows=items, bins=st.integers(1, 20))
@settings(max_examples=60)
def test_errors_are_scikit_learns(rows: list[tuple[Row, str]], bins: int) -> None:
    counts = summed(rows, bins)
    probabilities = special.softmax([list(row.values()) for row, _ in rows], axis=1)
    right = [label for _, label in rows]
    assert calibration.log_loss(counts) == pytest.approx(
        reference.log_loss(right, probabilities, labels=CHOICES), abs=1e-9
    )
    assert calibration.brier_score(counts) == pytest.approx(
        reference.brier_score_loss(right, probabilities, labels=CHOICES, scale_by_half=False), abs=1e-9
    )


@given(
    pairs=st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60),
    bins=st.sampled_from([1, 2, 7, 10, 15]),
)
@settings(max_examples=60)
def test_bins_of_equal_width_are_scikit_learns(pairs: list[tuple[float, bool]], bins: int) -> None:
    # Two choices, of which the second is the wrong one, so that the confidence is any number from a half.
    sure = [(max(share, 1.0 - share), right) for share, right in pairs]
    found = calibration.reliability(
        added(
            calibration.counts_of({"yes": share, "no": 1.0 - share}, "yes" if right else "no", bins=bins)
            for share, right in sure
        )
    )
    confidences, right = [share for share, _ in sure], [bool(right) for _, right in sure]
    accuracy, mean = sklearn_calibration.calibration_curve(
        right, confidences, n_bins=bins, strategy="uniform"
    )
    assert [of.accuracy for of in found] == pytest.approx(accuracy.tolist(), abs=1e-9)
    assert [of.confidence for of in found] == pytest.approx(mean.tolist(), abs=1e-9)
    assert sum(of.n for of in found) == len(pairs)
    edges = np.linspace(0, 1, bins + 1)
    expected = 0.0
    for low, high in pairwise(edges):
        inside = [at for at, share in enumerate(confidences) if low < share <= high]
        gap = sum(right[at] for at in inside) - sum(confidences[at] for at in inside)
        expected += abs(gap) / len(pairs)
    assert calibration.calibration_error(found) == pytest.approx(expected, abs=1e-9)


@given(
    ranks=st.lists(st.integers(0, 1000), min_size=2, max_size=60),
    bins=st.sampled_from([2, 7, 15]),
    seed=st.integers(0, 9),
)
@settings(max_examples=60)
def test_bins_of_equal_mass_are_scikit_learns(ranks: list[int], bins: int, seed: int) -> None:
    confidences = [rank / 1000 for rank in ranks]
    right = [random.Random(seed + rank).random() < 0.5 for rank in ranks]
    found = calibration.equal_mass_reliability(confidences, right, bins=bins)
    if math.gcd(len(ranks) - 1, bins) == 1:  # else an end falls on an item, where its rounding may move that
        accuracy, mean = sklearn_calibration.calibration_curve(
            right, confidences, n_bins=bins, strategy="quantile"
        )
        assert [of.accuracy for of in found] == pytest.approx(accuracy.tolist(), abs=1e-9)
        assert [of.confidence for of in found] == pytest.approx(mean.tolist(), abs=1e-9)
    assert sum(of.n for of in found) == len(ranks)
    if len(set(ranks)) == len(ranks) >= bins:
        assert max(of.n for of in found) - min(of.n for of in found) <= 1
    backwards = calibration.equal_mass_reliability(confidences[::-1], right[::-1], bins=bins)
    assert backwards == found


@given(rows=items)
@settings(max_examples=30)
def test_counts_add_up_in_any_order(rows: list[tuple[Row, str]]) -> None:
    shuffled = random.Random(0).sample(rows, len(rows))
    assert summed(shuffled) == summed(rows)
    half = len(rows) // 2
    assert added([summed(rows[:half]), summed(rows[half:])]) == pytest.approx(summed(rows), abs=1e-9)


def test_a_calibrated_model_is_told_apart_from_a_boaster() -> None:
    draws = random.Random(1)
    honest, boaster = [], []
    for _ in range(4_000):
        share = draws.uniform(0.5, 1.0)
        label = "yes" if draws.random() < share else "no"
        honest.append(calibration.counts_of({"yes": share, "no": 1 - share}, label))
        boaster.append(calibration.counts_of({"yes": 0.99, "no": 0.01}, label))
    assert calibration.expected_calibration_error(added(honest)) < 0.03
    # Right three times in four, and sure at 0.99.
    assert calibration.expected_calibration_error(added(boaster)) == pytest.approx(0.24, abs=0.02)


def test_few_items_in_many_bins_are_warned_of() -> None:
    few = [calibration.Bin(confidence=0.5, accuracy=0.5, n=4)] * 3
    assert "12 items in 3 bins" in (calibration.calibration_warning(few) or "")
    assert calibration.calibration_warning([calibration.Bin(confidence=0.5, accuracy=0.5, n=10)] * 3) is None


def test_an_impossible_right_answer_costs_36_nats() -> None:
    counts = calibration.counts_of({"yes": 1.0, "no": 0.0}, "no")
    assert calibration.log_loss(counts) == pytest.approx(52 * math.log(2)) == calibration.MOST_NATS
    assert calibration.brier_score(counts) == 2.0 and calibration.expected_calibration_error(counts) == 1.0


@pytest.mark.parametrize(
    "probabilities",
    [{"a": 0.5, "b": 0.4}, {"a": 1.5, "b": -0.5}, {"a": math.nan, "b": 1.0}, {"b": 1.0}, {}],
)
def test_what_is_no_probability_is_refused(probabilities: Mapping[str, float]) -> None:
    with pytest.raises(EvaluationError) as caught:
        calibration.counts_of(probabilities, "a")
    assert caught.value.hint


@pytest.mark.parametrize(
    "row", [{}, {"a": math.nan, "b": 0.0}, {"a": math.inf}, {"a": -math.inf}, {"a": 0.0, "b": math.nan}]
)
def test_what_is_no_log_probability_is_refused(row: Mapping[str, float]) -> None:
    with pytest.raises(EvaluationError, match="not numbers"):
        calibration.softmax(row)


def test_arguments_out_of_range_are_refused() -> None:
    for value in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(SpecError):
            calibration.softmax({"a": 0.0}, temperature=value)
    with pytest.raises(SpecError):
        calibration.counts_of({"a": 1.0}, "a", bins=0)
    with pytest.raises(EvaluationError):
        calibration.equal_mass_reliability([], [])


@given(
    rows=st.lists(
        st.tuples(st.lists(st.floats(-8, 0), min_size=3, max_size=3), st.integers(0, 2)),
        min_size=2,
        max_size=30,
    )
)
@settings(max_examples=40)
def test_temperature_is_where_scipy_finds_it(rows: list[tuple[list[float], int]]) -> None:
    found = temperature.fit(
        [dict(zip(CHOICES, values, strict=True)) for values, _ in rows], [CHOICES[label] for _, label in rows]
    )
    logits, labels = np.array([values for values, _ in rows]), [label for _, label in rows]

    def loss(log_t: float) -> float:
        rows_at_t = special.log_softmax(logits / math.exp(log_t), axis=1)
        return float(-rows_at_t[range(len(labels)), labels].mean())

    best = optimize.minimize_scalar(loss, bounds=(math.log(0.01), math.log(100.0)), method="bounded")
    assert found.log_loss_before == pytest.approx(loss(0.0), abs=1e-9)
    assert found.log_loss_after == pytest.approx(loss(math.log(found.value)), abs=1e-9)
    assert found.log_loss_after <= min(best.fun, loss(0.0)) + 1e-9


def test_temperature_cools_a_boaster_and_keeps_its_choices() -> None:
    draws = random.Random(3)
    rows, labels = [], []
    for _ in range(2_000):
        logits = {choice: draws.gauss(0.0, 1.5) for choice in CHOICES}
        shares = calibration.softmax(logits)
        labels.append(draws.choices(CHOICES, [shares[choice] for choice in CHOICES])[0])
        rows.append({choice: 3.0 * value for choice, value in logits.items()})
    found = temperature.fit(rows, labels)
    assert found.value == pytest.approx(3.0, rel=0.1) and found.warning is None and found.n == 2_000

    def error(at: float) -> float:
        return calibration.expected_calibration_error(
            added(
                calibration.counts_of(calibration.softmax(row, at), label)
                for row, label in zip(rows, labels, strict=True)
            )
        )

    assert error(found.value) < 0.03 < 0.1 < error(1.0)


def test_temperature_without_a_best_one_says_so() -> None:
    all_right = temperature.fit([{"a": -0.1, "b": -3.0}] * 200, ["a"] * 200)
    assert all_right.value == pytest.approx(temperature.LEAST) and "still falls" in (all_right.warning or "")
    all_wrong = temperature.fit([{"a": -0.1, "b": -3.0}] * 200, ["b"] * 200)
    assert all_wrong.value == pytest.approx(temperature.MOST) and "still falls" in (all_wrong.warning or "")
    few = temperature.fit([{"a": -0.1, "b": -3.0}] * 4, ["a", "a", "a", "b"])
    assert "4 items" in (few.warning or "")


def test_temperature_passes_over_impossible_wrong_choices() -> None:
    rows = [{"a": -0.1, "b": -3.0}, {"a": -0.4, "b": -1.1}] * 60
    labels = ["a", "b", "a", "a"] * 30
    with_third = [{**row, "c": -math.inf} for row in rows]
    found = temperature.fit(with_third, labels)
    assert found == temperature.fit(rows, labels) and found.warning is None


def test_temperature_refuses_what_it_cannot_fit() -> None:
    for rows, labels in (
        ([], []),
        ([{"a": -math.inf, "b": 0.0}], ["a"]),
        ([{"b": 0.0}], ["a"]),
        ([{"a": math.nan, "b": 0.0}], ["a"]),
    ):
        with pytest.raises(EvaluationError):
            temperature.fit(rows, labels)


@given(data=st.data(), n=st.integers(1, 30))
@settings(max_examples=40)
def test_area_is_the_mean_risk_where_confidences_differ(data: st.DataObject, n: int) -> None:
    right = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
    confidences = [1.0 - at / n for at in range(n)]
    found = abstention.risk_coverage(confidences, right)
    expected = np.mean([1 - np.mean(right[: k + 1]) for k in range(n)])
    assert found.area == pytest.approx(float(expected), abs=1e-9)
    assert found.points[-1].coverage == 1.0 and found.points[-1].right == sum(right)
    order = random.Random(0).sample(range(n), n)
    assert abstention.risk_coverage([confidences[at] for at in order], [right[at] for at in order]) == found


def test_equal_confidences_come_and_go_together() -> None:
    found = abstention.risk_coverage([0.5, 0.5, 0.5, 0.5], [True, False, True, True])
    assert [(point.answered, point.risk) for point in found.points] == [(4, 0.25)]
    assert found.area == 0.25  # the error rate, for confidence says nothing


def test_threshold_states_the_interval_of_its_accuracy() -> None:
    confidences = [at / 200 for at in range(200)]
    right = [at >= 40 or at % 2 == 0 for at in range(200)]
    curve = abstention.risk_coverage(confidences, right)
    found = curve.threshold_for(0.95)
    assert found is not None
    expected = stats.wilson(sum(right[round(found.confidence * 200) :]), found.accuracy.n)
    assert found.accuracy == expected and found.accuracy.low >= 0.95
    hopeful = curve.threshold_for(0.95, by="estimate")
    assert hopeful is not None and hopeful.coverage > found.coverage
    assert curve.threshold_for(0.99) is None  # 160 right ones of 160 do not show 99 %
    with pytest.raises(SpecError, match=r"1\.5"):
        curve.threshold_for(1.5)
    with pytest.raises(SpecError, match="high"):
        curve.threshold_for(0.5, by="high")  # type: ignore[arg-type]


def test_abstention_refuses_what_is_no_number() -> None:
    for confidences in ([], [math.nan]):
        with pytest.raises(EvaluationError):
            abstention.risk_coverage(confidences, [True] * len(confidences))
