"""Mixing tasks: shares as the formula has them, stated repeats, an order that hashes decide. Knows `Dataset.mix`."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit import CompletionExample, Dataset, SpecError


def task(name: str, count: int) -> Dataset:
    return Dataset(
        CompletionExample(prompt=f"{name} {n}", completion="c", id=f"{name}.csv:{n}", meta={"n": n})
        for n in range(count)
    )


def taken(parts: dict[str, Dataset], **options: object) -> dict[str, int]:
    mixed, report = Dataset.mix(parts, **options)  # type: ignore[arg-type]
    counts = Counter(row.meta["task"] for row in mixed)
    assert {part.task: part.taken for part in report if part.taken} == counts
    return {part.task: part.taken for part in report}


PARTS = {"big": task("big", 1000), "mid": task("mid", 100), "small": task("small", 10)}


def test_temperature_one_takes_everything_once() -> None:
    assert taken(PARTS) == {"big": 1000, "mid": 100, "small": 10}


def test_temperature_two_takes_by_square_roots() -> None:
    assert taken(PARTS, size=100, temperature=2.0) == {"big": 71, "mid": 22, "small": 7}


def test_cap_counts_a_large_task_as_smaller() -> None:
    assert taken(PARTS, size=120, cap=10, max_repeats=4) == {"big": 40, "mid": 40, "small": 40}


def test_weights_replace_sizes_and_leave_out_who_has_none() -> None:
    assert taken(PARTS, weights={"big": 3, "small": 1}) == {"big": 30, "mid": 0, "small": 10}


def test_repeats_must_be_allowed_and_are_stated() -> None:
    with pytest.raises(SpecError, match="use each 2 times") as caught:
        taken(PARTS, size=30, weights={"small": 1, "mid": 1})
    assert "max_repeats=2" in caught.value.hint
    mixed, report = Dataset.mix(PARTS, size=30, weights={"small": 1, "mid": 1}, max_repeats=2)
    [small] = [part for part in report if part.task == "small"]
    assert (small.available, small.taken, small.repeats, small.unused) == (10, 15, 2, 0)
    uses = Counter(row.id.partition("#")[0] for row in mixed if row.meta["task"] == "small")
    assert sorted(uses.values()) == [1] * 5 + [2] * 5


def test_ids_are_unique_and_lead_back() -> None:
    mixed, _ = Dataset.mix(PARTS, size=50, weights={"small": 1, "mid": 1}, max_repeats=3)
    ids = [row.id for row in mixed]
    assert len(set(ids)) == len(ids)
    assert {row_id.partition("/")[2].partition("#")[0] for row_id in ids} <= {
        row.id for part in PARTS.values() for row in part
    }
    assert mixed[0].meta["n"] in range(100)


def test_order_and_draw_depend_on_content_and_seed_only() -> None:
    backwards = dict(reversed(PARTS.items()))
    one, _ = Dataset.mix(PARTS, size=60, temperature=3.0)
    other, _ = Dataset.mix(backwards, size=60, temperature=3.0)
    assert [row.id for row in one] == [row.id for row in other]
    assert [row.id for row in one] != [
        row.id for row in Dataset.mix(PARTS, size=60, temperature=3.0, seed=1)[0]
    ]
    tasks = [row.meta["task"] for row in one]
    assert tasks != sorted(tasks), "the tasks stand in blocks"


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 50), min_size=1),
    st.integers(1, 200),
    st.floats(0.5, 10),
)
def test_counts_add_up_and_stay_within_one_of_the_formula(
    sizes: dict[str, int], size: int, temperature: float
) -> None:
    parts = {name: task(name, count) for name, count in sizes.items()}
    counts = taken(parts, size=size, temperature=temperature, max_repeats=10**6)
    rates = {name: count ** (1 / temperature) for name, count in sizes.items()}
    assert sum(counts.values()) == size
    for name, count in counts.items():
        assert abs(count - size * rates[name] / sum(rates.values())) < 1 + 1e-9


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"cap": 0}, "cap is 0"),
        ({"size": 0}, "size is 0"),
        ({"weights": {"bigg": 1}}, "no such part"),
        ({"weights": {"big": -1, "mid": 2}}, "weights are"),
        ({"weights": {}}, "weights are"),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, object], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        taken(PARTS, **options)


def test_nothing_to_mix_is_refused() -> None:
    with pytest.raises(SpecError, match="nothing to mix"):
        Dataset.mix({})
    with pytest.raises(SpecError, match="'none' has no rows"):
        Dataset.mix({"none": Dataset(), "some": task("s", 1)})
