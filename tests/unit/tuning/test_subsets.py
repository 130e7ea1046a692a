"""Nested parts: a smaller one lies in a larger one, and each has every class in its share. Knows data; no jobs."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tunekit as tk
from tunekit.errors import SpecError
from tunekit.examples import LabelledExample
from tunekit.tuning.subsets import Nested, checked_sizes, default_sizes


def labelled(classes: list[int]) -> tk.Dataset:
    return tk.Dataset(
        LabelledExample(id=f"{at}", text=f"t{at}", label=f"{name}") for at, name in enumerate(classes)
    )


def texts(data: tk.Dataset) -> list[str]:
    return [row.text for row in data if isinstance(row, LabelledExample)]


@settings(max_examples=60)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=60), st.integers(0, 2**40), st.data())
def test_a_smaller_part_lies_in_a_larger_one_and_keeps_the_order(
    classes: list[int], seed: int, data: st.DataObject
) -> None:
    whole = labelled(classes)
    small, large = sorted(data.draw(st.tuples(*[st.integers(1, len(classes))] * 2)))
    nested = Nested(whole, seed=seed)
    inner, outer = texts(nested.part(small)), texts(nested.part(large))
    assert (len(inner), len(outer)) == (small, large)
    assert set(inner) <= set(outer) <= set(texts(whole))
    assert outer == [text for text in texts(whole) if text in set(outer)]


@settings(max_examples=60)
@given(st.lists(st.integers(0, 5), min_size=8, max_size=80), st.integers(0, 2**40), st.data())
def test_every_class_has_its_share_to_within_a_row(
    classes: list[int], seed: int, data: st.DataObject
) -> None:
    of_all = Counter(f"{name}" for name in classes)
    size = data.draw(st.integers(len(of_all), len(classes)))
    part = Nested(labelled(classes), seed=seed).part(size).targets()
    assert set(part) == set(of_all)
    # There is one share of the whole that every class has, rounded, and at least one row.
    low = max(((part[name] - 1) / m for name, m in of_all.items() if part[name] > 1), default=0.0)
    high = min((part[name] + 1) / m for name, m in of_all.items())
    assert low <= high


@given(st.integers(0, 2**40))
@settings(max_examples=20)
def test_which_rows_are_taken_depends_on_content_and_seed_not_on_their_place(seed: int) -> None:
    whole = labelled([at % 3 for at in range(30)])
    turned = tk.Dataset(reversed(list(whole)))
    part, other = Nested(whole, seed=seed).part(10), Nested(turned, seed=seed).part(10)
    assert set(texts(part)) == set(texts(other))


def test_seeds_take_other_rows_and_the_whole_is_the_whole() -> None:
    whole = labelled([at % 3 for at in range(60)])
    parts = {tuple(texts(Nested(whole, seed=seed).part(12))) for seed in range(8)}
    assert len(parts) == 8
    assert Nested(whole, seed=5).part(60) is whole


def test_completions_that_are_no_classes_are_taken_by_chance() -> None:
    whole = tk.Dataset.from_records([{"prompt": f"{n}", "completion": f"answer {n}"} for n in range(40)])
    assert len(Nested(whole, seed=0).part(7)) == 7


def test_sizes() -> None:
    assert checked_sizes([40, 10, 10], 40) == (10, 40)
    assert default_sizes(5) == (5,)
    assert default_sizes(10_000)[-1] == 10_000 and len(default_sizes(10_000)) == 6
    for wrong in ([], [0], [41], [1.5], "12"):
        with pytest.raises(SpecError):
            checked_sizes(wrong, 40)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="a part of 41 rows, of 40 rows"):
        Nested(labelled([0] * 40), seed=0).part(41)
