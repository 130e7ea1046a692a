"""Folds: every row tested once, no input on both sides, classes shared out. Knows `Dataset.folds` only."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit import CompletionExample, Dataset, SpecError


def rows(answers: list[str], groups: list[int] | None = None) -> Dataset:
    return Dataset(
        CompletionExample(
            prompt=f"p{n}", completion=answer, id=f"r:{n}", meta={"g": (groups or [n] * 999)[n]}
        )
        for n, answer in enumerate(answers)
    )


@given(st.integers(2, 8), st.lists(st.sampled_from("aab"), min_size=8, max_size=80), st.integers(0, 3))
def test_each_row_is_tested_exactly_once(k: int, answers: list[str], seed: int) -> None:
    data = rows(answers)
    pairs = data.folds(k, seed)
    assert len(pairs) == k
    assert Counter(row.id for _, test in pairs for row in test) == Counter(row.id for row in data)
    for train, test in pairs:
        assert test
        assert sorted(row.id for row in (*train, *test)) == sorted(row.id for row in data)
    sizes = [len(test) for _, test in pairs]
    assert max(sizes) - min(sizes) <= 2 * len(set(answers))


def test_classes_have_their_share_in_every_fold() -> None:
    data = rows(["a"] * 60 + ["b"] * 30 + ["c"] * 10)
    for _, test in data.folds(5):
        assert test.targets() == {"a": 12, "b": 6, "c": 2}


def test_groups_are_never_parted() -> None:
    data = rows(["x"] * 60, [n % 7 for n in range(60)])
    for train, test in data.folds(3, groups="g", stratify=False):
        assert not {row.meta["g"] for row in train} & {row.meta["g"] for row in test}


def test_more_folds_than_inputs_is_refused() -> None:
    with pytest.raises(SpecError, match="cannot be parted in 4 folds"):
        rows(["a", "b", "c"]).folds(4)
    with pytest.raises(SpecError, match="k is 1"):
        rows(["a", "b"]).folds(1)
