"""Spaces and how they are covered: values within their bounds, fields of a spec, even points. Trains nothing."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tunekit as tk
from tunekit.errors import SpecError
from tunekit.tuning import Choice, IntUniform, LogUniform, Uniform
from tunekit.tuning.halving import promoted, rungs
from tunekit.tuning.proposing import proposals
from tunekit.tuning.space import Space, applied, checked_space

SHARES = st.floats(0, 1, exclude_max=True)
NUMBERS = st.floats(1e-8, 1e8)


@given(SHARES, st.lists(NUMBERS, min_size=2, max_size=2, unique=True))
def test_a_number_lies_within_its_bounds_and_says_the_same_on_every_machine(
    share: float, ends: list[float]
) -> None:
    low, high = sorted(ends)
    for dimension in (Uniform(low=low, high=high), LogUniform(low=low, high=high)):
        value = dimension.at(share)
        assert low <= value <= high
        assert value in (low, high) or float(f"{value:.6g}") == value


@given(SHARES, st.integers(-50, 50), st.integers(1, 100))
def test_a_whole_number_lies_within_its_bounds(share: float, low: int, more: int) -> None:
    assert low <= IntUniform(low=low, high=low + more).at(share) <= low + more


def test_every_whole_number_and_every_option_is_as_likely() -> None:
    shares = [(at + 0.5) / 600 for at in range(600)]
    drawn = [IntUniform(low=1, high=6).at(share) for share in shares]
    chosen = [Choice(["a", None, 3]).at(share) for share in shares]
    assert [drawn.count(value) for value in range(1, 7)] == [100] * 6
    assert [chosen.count(value) for value in ("a", None, 3)] == [200] * 3


def test_choices_of_whole_methods_and_adapters() -> None:
    space = checked_space({"method.adapter": Choice([tk.LoRA(rank=4), tk.FullWeights()])}, tk.TuneSpec())
    specs = [
        applied(tk.TuneSpec(), {"method.adapter": space["method.adapter"].at(share)}) for share in (0, 0.9)
    ]
    assert [spec.method.adapter for spec in specs] == [tk.LoRA(rank=4), tk.FullWeights()]  # type: ignore[union-attr]
    assert Choice.model_validate_json(space["method.adapter"].model_dump_json()) == space["method.adapter"]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "an empty space"),
        ({"learning_rte": Choice([1])}, "did you mean 'learning_rate'?"),
        ({"method.adapter.rang": Choice([1])}, "did you mean 'rank'?"),
        ({"method.adaptr.rank": Choice([1])}, "'method.adaptr.rank' is no field of this spec"),
        ({"learning_rate": Uniform(low=-1.0, high=1.0)}, "learning_rate is -1.0"),
        ({"epochs": Choice([1, 0])}, "epochs is 0"),
        ({"method": Choice([tk.SFT()]), "method.adapter.rank": Choice([1])}, "lies within 'method'"),
        ({"epochs": [1, 2]}, "space['epochs'] is [1, 2]"),
        ([1], "space is [1]"),
    ],
)
def test_a_space_that_does_not_fit_the_spec_is_refused(space: Any, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        checked_space(space, tk.TuneSpec())
    assert message in caught.value.message and caught.value.hint


@pytest.mark.parametrize(
    "make",
    [
        lambda: Uniform(low=1.0, high=1.0),
        lambda: LogUniform(low=0.0, high=1.0),
        lambda: IntUniform(low=3, high=2),
        lambda: Choice([]),
        lambda: Choice("abc"),
    ],
)
def test_a_dimension_that_is_none_is_refused(make: Any) -> None:
    with pytest.raises(SpecError):
        make()


WIDE: Space = {f"{name}": Uniform(low=0.0, high=1.0) for name in "abcdefgh"}


@settings(max_examples=25)
@given(st.integers(0, 2**40), st.sampled_from(["halton", "random"]))
def test_the_same_seed_proposes_the_same_and_another_seed_something_else(seed: int, method: Any) -> None:
    first, again = (list(islice(proposals(WIDE, method, seed), 10)) for _ in range(2))
    assert first == again and first != list(islice(proposals(WIDE, method, seed + 1), 10))
    assert len({tuple(values.values()) for values in first}) == 10


@settings(max_examples=25)
@given(st.integers(0, 2**40))
def test_halton_puts_as_many_points_in_each_part_of_a_dimension(seed: int) -> None:
    points = list(islice(proposals(WIDE, "halton", seed), 36))
    for name, base, parts in (("a", 2, 4), ("b", 3, 9), ("c", 5, 5)):
        drawn = [int(point[name] * parts) for point in points[: 36 - 36 % base]]  # type: ignore[operator,arg-type]
        counts = [drawn.count(part) for part in range(parts)]
        assert max(counts) - min(counts) <= 1, (name, counts)


def test_halton_covers_a_plane_better_than_chance() -> None:
    def empty(method: Any) -> float:
        total = 0
        for seed in range(20):
            points = islice(proposals(WIDE, method, seed), 16)
            cells = {(int(4 * p["g"]), int(4 * p["h"])) for p in points}  # type: ignore[operator,arg-type]
            total += 16 - len(cells)
        return total / 20

    # Of 16 cells, chance leaves 16 * (15/16)**16 = 5.7 empty. These are the bases 17 and 19, the worst of eight.
    assert empty("random") == pytest.approx(5.7, abs=0.7) and empty("halton") < empty("random") - 0.5


def test_rungs_grow_and_those_that_decide_nothing_are_left_out() -> None:
    def told(epochs: float, trials: int, eta: int) -> list[tuple[float | None, int]]:
        return [(step.epochs, step.trials) for step in rungs(tk.TuneSpec(epochs=epochs), trials, eta)]

    assert told(4, 16, 4) == [(1.0, 16), (4.0, 4)]
    assert told(3, 8, 2) == [(2.0, 8), (3.0, 4)]
    assert told(2.5, 8, 2) == [(1.25, 8), (2.5, 4)]
    assert told(9, 3, 3) == [(1.0, 3), (9.0, 1)]
    assert told(9, 1, 3) == [(9.0, 1)]


@given(st.dictionaries(st.integers(0, 50), st.sampled_from([0.1, 0.2, 0.3]), max_size=20), st.integers(1, 20))
def test_the_best_go_on(scores: dict[int, float], n: int) -> None:
    for higher in (True, False):
        chosen = promoted(scores, n, higher_is_better=higher)
        assert len(chosen) == min(n, len(scores)) and chosen == sorted(chosen)
        left = [scores[number] for number in scores if number not in chosen]
        if chosen and left:
            taken = [scores[number] for number in chosen]
            assert min(taken) >= max(left) if higher else max(taken) <= min(left)
