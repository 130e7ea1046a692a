"""Metrics of whole tests by resampling, against scipy on the same resamples and against counting."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from itertools import product
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference
from sklearn.metrics import f1_score

from tunekit.errors import EvaluationError, SpecError
from tunekit.evaluation import stats
from tunekit.evaluation.stats import Counts
from tunekit.evaluation.stats.draws import exchanged_sums, resampled_sums
from tunekit.evaluation.stats.units import units_of

CLASSES = "abc"


def mean(counts: Counts) -> float:
    return counts.get("sum", 0.0) / counts["items"]


def macro_f1(counts: Counts) -> float:
    scores = []
    for name in CLASSES:
        hit, said, there = (counts.get(f"{kind} {name}", 0.0) for kind in ("hit", "said", "there"))
        scores.append(2 * hit / (said + there) if said + there else 0.0)
    return math.fsum(scores) / len(scores)


def of_value(value: float) -> Counts:
    return {"sum": value, "items": 1.0}


def of_answer(said: str, there: str) -> Counts:
    return {f"said {said}": 1.0, f"there {there}": 1.0} | ({f"hit {there}": 1.0} if said == there else {})


def answers(n: int, *, seed: int, right: float) -> tuple[list[str], list[str]]:
    random = Random(seed)
    there = random.choices(CLASSES, [6, 3, 1], k=n)
    said = [label if random.random() < right else random.choice(CLASSES) for label in there]
    return said, there


def counts(n: int, *, seed: int = 0, right: float = 0.7) -> list[Counts]:
    return [of_answer(*pair) for pair in zip(*answers(n, seed=seed, right=right), strict=True)]


labels = st.lists(st.tuples(*[st.sampled_from(CLASSES)] * 3, st.integers(0, 4)), min_size=3, max_size=40)
Row = tuple[str, str, str, int]


def sides(rows: list[Row]) -> tuple[list[Counts], list[Counts], list[int]]:
    a = [of_answer(old, there) for old, _, there, _ in rows]
    b = [of_answer(new, there) for _, new, there, _ in rows]
    return a, b, [group for *_, group in rows]


def test_estimate_and_every_resample_are_scikit_learns() -> None:
    said, there = answers(120, seed=1, right=0.7)
    found = stats.resampled(
        macro_f1, [of_answer(*pair) for pair in zip(said, there, strict=True)], resamples=200
    )
    assert found.interval.estimate == pytest.approx(f1_score(there, said, average="macro"), abs=1e-12)
    assert found.interval.low < found.interval.estimate < found.interval.high
    assert found.interval.n == 120


@pytest.mark.parametrize("digits", [9, 0])  # rounded to whole numbers, many resamples equal the estimate
@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_ends_are_scipys_on_the_same_resamples(method: str, digits: int) -> None:
    random = Random(11)
    values = [round(random.lognormvariate(0.0, 0.8), digits) for _ in range(120)]
    items = [of_value(value) for value in values]
    replicates = [mean(*sums) for sums in resampled_sums(units_of(items), resamples=999, seed=5)]

    class Drawn:
        bootstrap_distribution = np.array(replicates)

    for level in (0.9, 0.95):
        mine = stats.resampled(mean, items, method=method, level=level, resamples=999, seed=5)  # type: ignore[arg-type]
        expected = reference.bootstrap(
            (values,), np.mean, n_resamples=0, confidence_level=level, bootstrap_result=Drawn(), method=method
        ).confidence_interval
        assert (mine.interval.low, mine.interval.high) == pytest.approx(
            (expected.low, expected.high), rel=1e-9
        )


def test_metric_that_is_no_mean_is_scipys_on_the_same_resamples() -> None:
    items = counts(150, seed=4)
    replicates = [macro_f1(*sums) for sums in resampled_sums(units_of(items), resamples=999, seed=0)]
    indices = np.arange(len(items))

    def of_items(chosen: Any) -> float:
        total: dict[str, float] = {}
        for at in chosen:
            for name, value in items[int(at)].items():
                total[name] = total.get(name, 0.0) + value
        return macro_f1(total)

    class Drawn:
        bootstrap_distribution = np.array(replicates)

    expected = reference.bootstrap(
        (indices,), of_items, n_resamples=0, bootstrap_result=Drawn(), method="BCa", vectorized=False
    ).confidence_interval
    mine = stats.resampled(macro_f1, items, resamples=999).interval
    assert (mine.low, mine.high) == pytest.approx((expected.low, expected.high), rel=1e-9)


def test_resampling_a_mean_draws_what_its_variance_says() -> None:
    random = Random(0)
    values = [random.gauss(0, 1) for _ in range(50)]
    units = units_of([of_value(value) for value in values])
    means = [mean(*sums) for sums in resampled_sums(units, resamples=4_000, seed=1)]
    assert np.mean(means) == pytest.approx(
        np.mean(values), abs=4 * float(np.std(values)) / math.sqrt(50 * 4_000)
    )
    assert np.std(means) == pytest.approx(np.std(values) / math.sqrt(50), rel=0.05)


@settings(max_examples=25)
@given(rows=labels, seed=st.integers(0, 99))
def test_without_numpy_the_sums_are_the_same(rows: list[Row], seed: int) -> None:
    a, b, groups = sides(rows)
    scaled: list[Counts] = [{**row, "nats": 0.1 * at} for at, row in enumerate(a)]
    with pytest.MonkeyPatch.context() as patch:
        for units in (units_of(scaled, b), units_of(a, b, clusters=groups)):
            for sums in (resampled_sums, exchanged_sums):
                fast = list(sums(units, resamples=20, seed=seed))
                patch.setitem(sys.modules, "numpy", None)
                slow = list(sums(units, resamples=20, seed=seed))
                patch.undo()
                for one, other in zip(fast, slow, strict=True):
                    for mine, theirs in zip(one, other, strict=True):
                        assert list(mine) == list(theirs)
                        assert mine == pytest.approx(theirs, rel=1e-12)


@settings(max_examples=15)
@given(rows=labels, seed=st.integers(0, 99))
def test_results_do_not_need_numpy(rows: list[Row], seed: int) -> None:
    a, b, groups = sides(rows)

    def results() -> list[Any]:
        return [
            call(macro_f1, a, b, clusters=clusters, resamples=100, seed=seed)
            for call in (stats.resampled_difference, stats.randomisation)
            for clusters in (None, groups)
        ]

    fast = results()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "numpy", None)
        assert results() == fast  # whole counts: not even the last digit


@settings(max_examples=20)
@given(rows=labels, seed=st.integers(0, 99))
def test_neither_order_nor_direction_matters(rows: list[Row], seed: int) -> None:
    a, b, groups = sides(rows)
    moved = list(rows)
    Random(seed).shuffle(moved)
    moved_a, moved_b, moved_groups = sides(moved)
    for here, there in ((None, None), (groups, moved_groups)):
        found = stats.resampled_difference(macro_f1, a, b, clusters=here, resamples=150)
        assert found == stats.resampled_difference(macro_f1, moved_a, moved_b, clusters=there, resamples=150)
        mirror = stats.resampled_difference(macro_f1, b, a, clusters=here, resamples=150).interval
        assert (mirror.low, mirror.high) == (-found.interval.high, -found.interval.low)
        p = stats.randomisation(macro_f1, a, b, clusters=here, resamples=150)
        assert p == stats.randomisation(macro_f1, moved_b, moved_a, clusters=there, resamples=150)


def test_a_better_second_model_is_above_zero() -> None:
    worse, better = ([of_answer(said, "c") for said in row] for row in ("abc" * 50, "cbc" * 50))
    found = stats.resampled_difference(macro_f1, worse, better)
    assert 0.0 < found.interval.low < found.interval.estimate
    assert stats.randomisation(macro_f1, worse, better) < 0.01


def test_data_that_are_the_same_both_ways_give_an_interval_that_is() -> None:
    a, b = (
        [of_answer(*pair) for pair in ("aa", "ba", "cc")],
        [of_answer(*pair) for pair in ("ba", "aa", "cc")],
    )
    found = stats.resampled_difference(macro_f1, a * 40, b * 40).interval
    assert found.estimate == 0.0
    assert found.low == -found.high < 0.0


def test_leaving_out_a_unit_leaves_the_sums_of_the_others() -> None:
    items: list[Counts] = [
        {"nats": 0.1, "items": 1.0},
        {"nats": 0.2, "items": 1.0},
        {"loss": 0.7, "items": 1.0},
    ]
    units = units_of(items)
    for at, kind in enumerate(units.kinds):
        (left,) = units.named(units.without(at))
        others = [item for item in items if tuple(sorted(item.items())) != kind[0]]
        assert left == pytest.approx(
            {
                name: sum(item.get(name, 0.0) for item in others)
                for name in {key for item in others for key in item}
            }
        )


@settings(max_examples=20)
@given(rows=labels)
def test_groups_of_one_item_change_nothing(rows: list[Row]) -> None:
    a, b, _ = sides(rows)
    alone = range(len(rows))
    with_groups = stats.resampled_difference(macro_f1, a, b, clusters=alone, resamples=150)
    assert with_groups.interval == stats.resampled_difference(macro_f1, a, b, resamples=150).interval
    assert stats.randomisation(macro_f1, a, b, clusters=alone, resamples=150) == stats.randomisation(
        macro_f1, a, b, resamples=150
    )


@settings(max_examples=20)
@given(rows=st.lists(st.tuples(*[st.sampled_from(CLASSES)] * 3, st.integers(0, 3)), min_size=1, max_size=7))
def test_few_exchanges_are_counted_exactly(rows: list[Row]) -> None:
    a, b, _ = sides(rows)

    def gap(ways: tuple[int, ...]) -> float:
        total: tuple[dict[str, float], dict[str, float]] = ({}, {})
        for pair, way in zip(zip(a, b, strict=True), ways, strict=True):
            for side, counts in zip(total, pair[:: -1 if way else 1], strict=True):
                for name, value in counts.items():
                    side[name] = side.get(name, 0.0) + value
        return macro_f1(total[1]) - macro_f1(total[0])

    gaps = [abs(gap(ways)) for ways in product((0, 1), repeat=len(rows))]
    expected = sum(found >= gaps[0] - 1e-9 for found in gaps) / len(gaps)
    assert stats.randomisation(macro_f1, a, b) == pytest.approx(expected, abs=1e-12)


def test_randomisation_of_a_mean_is_the_sign_flip_test() -> None:
    random = Random(3)
    a = [random.random() for _ in range(80)]
    b = [value + random.gauss(0.08, 0.3) for value in a]
    found = stats.randomisation(mean, [*map(of_value, a)], [*map(of_value, b)], resamples=9_999)
    flips = stats.sign_flip([new - old for old, new in zip(a, b, strict=True)])
    assert found == pytest.approx(flips, abs=0.02)


def test_groups_widen_what_repeats() -> None:
    items = counts(60, seed=2)
    repeated, groups = items * 5, [*range(60)] * 5
    single, naive = stats.resampled(macro_f1, items), stats.resampled(macro_f1, repeated)
    whole = stats.resampled(macro_f1, repeated, clusters=groups)

    def width(found: stats.Resampled) -> float:
        return found.interval.high - found.interval.low

    assert width(whole) == pytest.approx(width(single), rel=0.1)
    assert width(naive) < 0.6 * width(whole)


@pytest.mark.parametrize("call", [stats.resampled, stats.resampled_difference])
def test_equal_resamples_keep_room_for_items_not_seen(call: Callable[..., stats.Resampled]) -> None:
    right = [of_answer(label, label) for label in CLASSES * 50]
    models = [right] * (1 if call is stats.resampled else 2)
    bounded = call(macro_f1, *models, bounds=(0.0, 1.0), resamples=200)
    assert bounded.method == "bound on the share of items that would differ"
    assert bounded.interval.low == pytest.approx(bounded.interval.estimate - stats.wilson(0, 150).high)
    assert any("all resamples give the same" in said for said in bounded.warnings)
    assert call(macro_f1, *models, resamples=200).interval.low == -math.inf


def test_undefined_on_some_resamples_is_said_and_on_many_bounds_nothing() -> None:
    def needs_rare(counts: Counts) -> float:
        if not counts.get("there c"):
            raise EvaluationError("nothing is c", hint="add one")
        return counts.get("hit c", 0.0) / counts["there c"]

    often = [of_answer("c", "c"), of_answer("a", "c")] * 2 + [of_answer("a", "a")] * 100
    found = stats.resampled(needs_rare, often, resamples=2_000)
    assert any("is undefined on" in said for said in found.warnings)
    assert 0.0 <= found.interval.low <= 0.5 <= found.interval.high <= 1.0
    once = [of_answer("c", "c")] + [of_answer("a", "a")] * 100
    lost = stats.resampled(needs_rare, once, bounds=(0.0, 1.0))
    assert (lost.interval.low, lost.interval.high, lost.method) == (0.0, 1.0, "bounds of the metric")
    with pytest.raises(EvaluationError, match="undefined on these 1 items"):
        stats.resampled(needs_rare, [of_answer("a", "a")])


def test_few_items_and_few_groups_are_said() -> None:
    items = counts(120)
    assert stats.resampled(macro_f1, items, resamples=100).warnings == ()
    assert "99 items are few" in stats.resampled(macro_f1, items[:99], resamples=100).warnings[0]
    few = stats.resampled(macro_f1, items, clusters=[at % 5 for at in range(120)], resamples=100)
    assert "5 groups are few" in few.warnings[0]


def test_the_seed_and_nothing_else_decides() -> None:
    items = counts(120)
    first = stats.resampled(macro_f1, items, seed=1)
    assert first == stats.resampled(macro_f1, items, seed=1)
    assert first != stats.resampled(macro_f1, items, seed=2)
    # The first draws of this seed, on any machine: a change here changes every stored interval.
    units = units_of([of_value(float(at)) for at in range(1, 6)])
    assert [sums["sum"] for (sums,) in resampled_sums(units, resamples=4, seed=7)] == [11.0, 10.0, 11.0, 16.0]


def test_what_cannot_be_resampled_is_refused() -> None:
    with pytest.raises(SpecError, match="0 items"):
        stats.resampled(macro_f1, [])
    with pytest.raises(SpecError, match="2 and 3 items"):
        stats.resampled_difference(macro_f1, counts(2), counts(3))
    with pytest.raises(SpecError, match="3 and 4 items"):
        stats.resampled(macro_f1, counts(4), clusters=[1, 2, 3])
    with pytest.raises(SpecError, match="'sum' must be finite, not nan"):
        stats.resampled(mean, [of_value(math.nan)])
    with pytest.raises(SpecError, match="resamples must be 100"):
        stats.randomisation(mean, [of_value(1.0)], [of_value(2.0)], resamples=10)
    with pytest.raises(SpecError, match="'basic'"):
        stats.resampled(mean, [of_value(1.0)], method="basic")  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="no bounds"):
        stats.resampled(mean, [of_value(1.0)], bounds=(1.0, 0.0))
