"""Asking many questions: order, bounds, failures."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.backends.base import PartialError
from tunekit.errors import BackendError, EvaluationError, NotFoundError, SpecError, UnsupportedError
from tunekit.evaluation.running.runner import Bounds, Failed, ask_all

Answers = list[int | Failed]


class Doubler:
    """Doubles numbers; fails on a batch that holds a bad one."""

    def __init__(self, bad: set[int] | None = None) -> None:
        self.bad = bad or set()
        self.batches: list[list[int]] = []
        self.progress: list[tuple[int, int]] = []
        self.running = 0
        self.most = 0

    async def ask(self, numbers: Sequence[int]) -> list[int]:
        self.batches.append(list(numbers))
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        if self.bad & set(numbers):
            raise BackendError(f"cannot double {sorted(self.bad & set(numbers))}")
        return [2 * number for number in numbers]

    def run(self, count: int, **bounds: int) -> Answers:
        async def main() -> Answers:
            return await ask_all(
                self.ask,
                range(count),
                bounds=Bounds(**bounds),
                on_progress=lambda done, failed: self.progress.append((done, failed)),
            )

        return asyncio.run(main())


@given(count=st.integers(1, 60), size=st.integers(1, 20), concurrency=st.integers(1, 6), data=st.data())
def test_every_question_has_its_own_answer_or_its_own_failure(
    count: int, size: int, concurrency: int, data: st.DataObject
) -> None:
    bad = data.draw(st.sets(st.integers(0, count - 1), max_size=max(0, min(5, count - 1))))
    doubler = Doubler(bad)
    answers = doubler.run(count, batch_size=size, concurrency=concurrency)
    assert len(answers) == count
    for number, answer in enumerate(answers):
        assert isinstance(answer, Failed) if number in bad else answer == 2 * number
    assert doubler.most <= concurrency
    assert doubler.progress[-1] == (count, len(bad))
    assert doubler.progress == sorted(doubler.progress)


def test_only_a_batch_that_failed_is_asked_again() -> None:
    doubler = Doubler({5})
    doubler.run(8, batch_size=4, concurrency=1)
    assert doubler.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [4], [5], [6], [7]]


def test_what_a_backend_says_of_each_item_is_left_at_that() -> None:
    calls = []

    async def ask(batch: Sequence[int]) -> list[int]:
        calls.append(batch)
        if 5 not in batch:
            return list(batch)
        raise PartialError([BackendError("refused") if number == 5 else number for number in batch])

    async def main() -> Answers:
        return await ask_all(
            ask, range(8), bounds=Bounds(batch_size=4), on_progress=lambda done, failed: None
        )

    *answers, refused, six, seven = asyncio.run(main())
    assert answers == [0, 1, 2, 3, 4] and (six, seven) == (6, 7)
    assert str(refused) == "BackendError: refused"
    assert len(calls) == 2


def test_outcomes_that_are_too_few_are_found_out() -> None:
    async def ask(batch: Sequence[int]) -> list[int]:
        raise PartialError([BackendError("refused")])

    async def main() -> None:
        await ask_all(ask, range(4), bounds=Bounds(), on_progress=lambda done, failed: None)

    with pytest.raises(BackendError, match="1 answers to 4 questions"):
        asyncio.run(main())


def test_a_failure_says_what_it_was() -> None:
    answers = Doubler({1}).run(3, batch_size=1)
    assert str(answers[1]) == "BackendError: cannot double [1]"


def test_what_no_item_can_change_ends_the_run_at_once() -> None:
    calls = []

    async def ask(batch: Sequence[int]) -> list[int]:
        calls.append(batch)
        raise UnsupportedError("backend 'x' cannot score")

    async def main() -> None:
        await ask_all(ask, range(100), bounds=Bounds(concurrency=2), on_progress=lambda done, failed: None)

    with pytest.raises(UnsupportedError, match="cannot score"):
        asyncio.run(main())
    assert len(calls) <= 2


@pytest.mark.parametrize("missed", [0, 5])
def test_a_model_that_has_answered_is_there(missed: int) -> None:
    """One "not found" in the middle, as hosts say it of a deployment that moves, costs its item alone."""

    async def ask(batch: Sequence[int]) -> list[int]:
        if missed in batch:
            raise NotFoundError("no such model")
        return list(batch)

    async def main() -> Answers:
        bounds = Bounds(batch_size=1, concurrency=1)
        return await ask_all(ask, range(8), bounds=bounds, on_progress=lambda done, failed: None)

    if missed == 0:
        with pytest.raises(NotFoundError):
            asyncio.run(main())
    else:
        assert [isinstance(answer, Failed) for answer in asyncio.run(main())] == [at == 5 for at in range(8)]


def test_an_outage_is_not_paid_for_item_by_item() -> None:
    doubler = Doubler(set(range(500)))
    with pytest.raises(EvaluationError, match="first 10 of 500 items all failed: cannot double") as caught:
        doubler.run(500, batch_size=1, concurrency=1)
    assert isinstance(caught.value.__cause__, BackendError)
    assert len(doubler.batches) == 10


def test_an_outage_in_the_middle_leaves_what_was_answered() -> None:
    answers = Doubler(set(range(3, 100))).run(100, batch_size=1, concurrency=1)
    assert answers[:3] == [0, 2, 4]
    assert all(isinstance(answer, Failed) for answer in answers[3:])


def test_a_backend_that_loses_answers_is_found_out() -> None:
    async def ask(batch: Sequence[int]) -> list[int]:
        return [0]

    async def main() -> None:
        await ask_all(ask, range(4), bounds=Bounds(), on_progress=lambda done, failed: None)

    with pytest.raises(BackendError, match="1 answers to 4 questions"):
        asyncio.run(main())


async def test_cancelling_stops_what_is_in_flight() -> None:
    started, stopped = asyncio.Event(), asyncio.Event()

    async def ask(batch: Sequence[int]) -> list[int]:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        raise AssertionError

    work = asyncio.create_task(ask_all(ask, range(4), bounds=Bounds(), on_progress=lambda done, failed: None))
    await started.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert stopped.is_set()


@pytest.mark.parametrize("bounds", [{"batch_size": 0}, {"concurrency": -1}, {"batch_size": 1.5}])
def test_bounds_that_bound_nothing(bounds: dict[str, int]) -> None:
    with pytest.raises(SpecError, match=repr(next(iter(bounds.values())))):
        Bounds(**bounds)
