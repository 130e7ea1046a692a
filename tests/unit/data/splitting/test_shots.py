"""Examples to show before a question: never the question itself. Knows `Dataset.shots` only."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit import CompletionExample, Dataset, SpecError

TICKETS = Dataset.from_records(
    [
        {"prompt": f"{word} number {n}", "completion": label}
        for word, label in (
            ("parcel late", "delivery"),
            ("invoice wrong", "billing"),
            ("login fails", "account"),
        )
        for n in range(8)
    ]
)


def asked(prompt: str) -> CompletionExample:
    return CompletionExample(prompt=prompt, completion="")


def test_random_shots_are_the_same_for_every_question_and_change_with_the_seed() -> None:
    shots = TICKETS.shots(4)
    assert [row.id for row in shots.of(asked("a"))] == [row.id for row in shots.of(asked("b"))]
    assert [row.id for row in shots.of(asked("a"))] != [
        row.id for row in TICKETS.shots(4, seed=1).of(asked("a"))
    ]


@given(st.integers(0, 23), st.sampled_from(["random", "stratified", "similar"]), st.integers(1, 12))
def test_question_is_never_shown_as_its_own_example(index: int, selection: str, k: int) -> None:
    ticket = TICKETS[index]
    assert isinstance(ticket, CompletionExample)
    question = ticket.replace(completion="?", id="elsewhere")
    found = TICKETS.shots(k, selection).of(question)  # type: ignore[arg-type]
    assert len(found) == k
    assert question.prompt not in [row.prompt for row in found if isinstance(row, CompletionExample)]


def test_stratified_shots_have_every_class_alike() -> None:
    found = TICKETS.shots(7, "stratified").of(asked("?"))
    assert sorted(
        Counter(row.completion for row in found if isinstance(row, CompletionExample)).values()
    ) == [2, 2, 3]


def test_similar_shots_end_with_the_most_alike() -> None:
    found = TICKETS.shots(3, "similar").of(asked("why is the parcel number 5 late?"))
    assert isinstance(found[-1], CompletionExample)
    assert found[-1].prompt == "parcel late number 5"
    assert {row.completion for row in found if isinstance(row, CompletionExample)} == {"delivery"}


def test_function_ranks_by_what_it_gives() -> None:
    found = TICKETS.shots(1, lambda question, row: -abs(len(row.id) - 100) + (row.id == "records:17")).of(
        asked("?")
    )
    assert found[0].id == "records:17"


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(SpecError, match="99 shots of 24 rows"):
        TICKETS.shots(99)
    with pytest.raises(SpecError, match="selection is 'best'"):
        TICKETS.shots(1, "best")  # type: ignore[arg-type]
    free = Dataset.from_records([{"prompt": str(n), "completion": f"answer {n}"} for n in range(9)])
    with pytest.raises(SpecError, match="needs classes"):
        free.shots(2, "stratified")
