"""The newest rows are held out, moments and groups whole. Knows `Dataset.split_by_time` only."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit import CompletionExample, Dataset, SpecError


def rows(times: list[object], groups: list[object] | None = None) -> Dataset:
    named = groups or list(range(len(times)))
    return Dataset(
        CompletionExample(prompt=f"p{n}", completion="c", id=f"r:{n}", meta={"at": time, "who": named[n]})
        for n, time in enumerate(times)
    )


@given(st.lists(st.integers(0, 20), min_size=2, max_size=60), st.integers(1, 99))
def test_test_is_newer_than_all_of_train(times: list[int], percent: int) -> None:
    data = rows(list(times))
    if len(set(times)) < 2:
        with pytest.raises(SpecError, match="same time"):
            data.split_by_time("at", percent / 100)
        return
    older, newest = data.split_by_time("at", percent / 100)
    assert older
    assert newest
    assert max(row.meta["at"] for row in older) < min(row.meta["at"] for row in newest)
    assert sorted(row.id for row in (*older, *newest)) == sorted(row.id for row in data)


@given(st.lists(st.integers(), min_size=2, max_size=60, unique=True), st.data())
def test_distinct_times_give_the_exact_size(times: list[int], draw: st.DataObject) -> None:
    size = draw.draw(st.integers(1, len(times) - 1))
    assert len(rows(list(times)).split_by_time("at", size)[1]) == size


def test_cut_falls_at_the_nearest_change_of_time() -> None:
    assert len(rows([1, 2, 2, 2, 3]).split_by_time("at", 2)[1]) == 1
    assert len(rows([1, 2, 2, 2, 3]).split_by_time("at", 3)[1]) == 4


def test_groups_stay_whole_on_the_side_of_their_newest_row() -> None:
    older, newest = rows([1, 2, 3, 9], ["a", "b", "c", "a"]).split_by_time("at", 1, groups="who")
    assert [row.id for row in newest] == ["r:0", "r:3"]
    assert [row.id for row in older] == ["r:1", "r:2"]


@pytest.mark.parametrize(
    "times",
    [
        ["2026-01-02", "2026-10-01", "2026-02-28"],
        ["2026-01-02T10:00:00", "2026-10-01", "2026-02-28 11:00"],
        [date(2026, 1, 2), date(2026, 10, 1), date(2026, 2, 28)],
        [
            datetime(2026, 1, 2, tzinfo=UTC),
            datetime(2026, 10, 1, tzinfo=UTC),
            datetime(2026, 2, 28, tzinfo=UTC),
        ],
        ["9", "100", "20"],
        [9.5, 100, 20],
    ],
)
def test_dates_and_numbers_are_ordered_as_such_and_not_as_text(times: list[object]) -> None:
    assert [row.id for row in rows(times).split_by_time("at", 1)[1]] == ["r:1"]


def test_function_gives_the_time() -> None:
    _, newest = rows(["x", "xx"]).split_by_time(lambda row: len(row.meta["at"]), 1)
    assert newest[0].id == "r:1"


@pytest.mark.parametrize(
    ("times", "says"),
    [
        (["soon", "later"], "'soon' for a time"),
        (["2026-01-01", 5], "several ways"),
        (["2026-01-01", "2026-01-02T00:00:00+01:00"], "several ways"),
        ([None, 1], "None for a time"),
        ([float("nan"), 1.0], "nan for a time"),
        ([True, False], "True for a time"),
    ],
)
def test_times_that_cannot_be_compared_are_named(times: list[object], says: str) -> None:
    with pytest.raises(SpecError, match=says) as caught:
        rows(times).split_by_time("at", 1)
    assert caught.value.hint


def test_missing_column_is_named_with_the_nearest() -> None:
    with pytest.raises(SpecError, match="no meta column 'att'") as caught:
        rows([1, 2]).split_by_time("att", 1)
    assert "'at'" in caught.value.hint
