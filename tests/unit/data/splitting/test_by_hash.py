"""A row's side depends on its own content only. Knows `Dataset.split_by_hash` only."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit import CompletionExample, Dataset, SpecError

PINNED = ["r:0", "r:7", "r:18", "r:25", "r:28"]


def rows(count: int, customers: int = 10) -> Dataset:
    return Dataset(
        CompletionExample(prompt=f"p{n}", completion="c", id=f"r:{n}", meta={"customer": n % customers})
        for n in range(count)
    )


@given(st.integers(2, 80), st.integers(0, 80), st.integers(0, 5))
def test_rows_keep_their_sides_as_data_grow(count: int, more: int, seed: int) -> None:
    small = {row.id for row in rows(count).split_by_hash(0.3, seed)[1]}
    large = {row.id for row in rows(count + more).split_by_hash(0.3, seed)[1]}
    assert small == {row_id for row_id in large if int(row_id[2:]) < count}


def test_sides_are_the_same_on_every_machine() -> None:
    assert [row.id for row in rows(30).split_by_hash(0.2, seed=7)[1]] == PINNED


def test_share_is_met_on_average() -> None:
    assert 1800 < len(rows(10_000).split_by_hash(0.2)[1]) < 2200


def test_equal_inputs_and_equal_groups_share_a_side() -> None:
    double = rows(50) + Dataset(row.replace(completion="other") for row in rows(50))
    _, test = double.split_by_hash(0.3)
    assert all(count == 2 for count in Counter(row.id for row in test).values())
    train, test = rows(200).split_by_hash(0.3, groups="customer")
    assert not {row.meta["customer"] for row in train} & {row.meta["customer"] for row in test}


def test_three_parts_are_stable_too() -> None:
    def parts(count: int) -> list[set[str]]:
        train, test = rows(count).split_by_hash(0.2)
        train, validation = train.split_by_hash(0.2, seed=1)
        return [{row.id for row in part} for part in (train, validation, test)]

    for before, after in zip(parts(40), parts(400), strict=True):
        assert before <= after


@pytest.mark.parametrize("test", [0, 1, 1.0, -0.1, True, float("nan"), "0.2"])
def test_only_shares_are_taken(test: object) -> None:
    with pytest.raises(SpecError, match="test is"):
        rows(5).split_by_hash(test)  # type: ignore[arg-type]
