"""What hosts bring along: scorers that block or ask another model, callbacks that follow the progress."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar

import pytest

from tests.unit.evaluation.fakes import TableBackend, right_on, tickets
from tunekit.errors import NotFoundError
from tunekit.evaluation.evaluator import Evaluator
from tunekit.evaluation.items import Item
from tunekit.evaluation.running.runner import Progress
from tunekit.evaluation.scorers import Custom
from tunekit.inference import generate
from tunekit.testing import ScriptedBackend

N = 100


def backend() -> TableBackend:
    return TableBackend(models={"base": right_on(range(40)), "tuned": right_on(range(5, 90))})


def evaluator(**options: object) -> Evaluator:
    return Evaluator(tickets(N), **options)  # type: ignore[arg-type]


def test_a_scorer_may_ask_another_model() -> None:
    judge_model = ScriptedBackend(generate=lambda prompt: "yes" if "billing" in str(prompt) else "no")

    def judge(item: Item, answer: str) -> bool:
        verdict = generate("scripted:judge", f"Is {answer!r} about money?", backend=judge_model)
        return verdict.text == "yes"

    evaluation = evaluator(scorers=[judge]).run("table:base", backend=backend())
    assert (evaluation["judge"].n_errors, evaluation["judge"].value.estimate) == (0, 0.5)


async def test_a_scorer_that_blocks_leaves_the_callers_loop_free() -> None:
    free = threading.Event()

    def blocks(item: Item, answer: str) -> bool:
        return free.wait(timeout=30)

    async def open_the_door() -> None:
        free.set()

    odd = Evaluator(tickets(3), scorers=[blocks])
    evaluation, _ = await asyncio.gather(odd.run_async("table:base", backend=backend()), open_the_door())
    assert evaluation["blocks"].value.estimate == 1.0


def test_a_sync_scorer_sees_one_item_at_a_time_and_the_callers_context() -> None:
    threads: set[str] = set()
    inside, most = 0, 0
    tenant: ContextVar[str] = ContextVar("tenant")

    def watched(item: Item, answer: str) -> float:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        threads.add(threading.current_thread().name)
        inside -= 1
        return float(tenant.get() == "acme")

    tenant.set("acme")
    evaluation = evaluator(scorers=[watched]).run("table:base", backend=backend())
    assert evaluation["watched"].value.estimate == 1.0
    assert most == 1
    assert len(threads) == 1
    assert next(iter(threads)).startswith("tunekit-scorer")


class Together:
    """An async scorer, as an object with `async def __call__`, that counts how many of it run at once."""

    def __init__(self) -> None:
        self.running = self.most = 0

    async def __call__(self, item: Item, answer: str) -> bool:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        return answer == item.reference


def test_async_scorers_see_several_items_at_once_but_no_more_than_allowed() -> None:
    together = Together()
    scorers = [Custom(function=together, name="together")]
    evaluation = evaluator(scorers=scorers, concurrency=3).run("table:base", backend=backend())
    assert together.most == 3
    assert [item.scores["together"] for item in evaluation.items] == [1.0] * 40 + [0.0] * 60


async def test_a_cancelled_evaluation_calls_its_scorer_no_more() -> None:
    called: list[str] = []
    here, on = threading.Event(), threading.Event()

    def slow(item: Item, answer: str) -> bool:
        called.append(item.id)
        here.set()
        return on.wait(timeout=30)

    work = asyncio.create_task(evaluator(scorers=[slow]).run_async("table:base", backend=backend()))
    await asyncio.to_thread(here.wait)
    (thread,) = [each for each in threading.enumerate() if each.name.startswith("tunekit-scorer")]
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    on.set()
    await asyncio.to_thread(thread.join, 30)
    assert called == ["tickets:1"]


@pytest.mark.parametrize("sync", [True, False])
def test_a_scorer_that_exits_makes_an_error_and_ends_nothing(sync: bool) -> None:
    def leaves(item: Item, answer: str) -> float:
        if item.id == "tickets:2":
            exec("raise SystemExit(3)")  # what a model may write
        return 1.0

    async def leaves_later(item: Item, answer: str) -> float:
        return leaves(item, answer)

    odd = Custom(function=leaves if sync else leaves_later, name="odd")
    evaluation = evaluator(scorers=[odd]).run("table:base", backend=backend())
    assert evaluation["odd"].n_errors == 1
    assert "SystemExit(3)" in evaluation.items[1].errors["odd"]


def test_progress_is_told_in_the_calling_thread_which_may_block() -> None:
    told: list[tuple[int, str]] = []

    def watch(progress: Progress) -> None:
        answer = generate("scripted:x", "hello", backend=ScriptedBackend(generate=lambda prompt: "there"))
        told.append((threading.get_ident(), answer.text))

    report = evaluator(batch_size=50).compare(
        "table:base", "table:tuned", backend=backend(), on_progress=watch
    )
    assert told == [(threading.get_ident(), "there")] * 4
    assert report["exact_match"].verdict == "better"


def test_a_failed_run_is_raised_to_a_caller_that_follows_it() -> None:
    with pytest.raises(NotFoundError, match="'nobody'"):
        evaluator().run("table:nobody", backend=backend(), on_progress=lambda progress: None)


def test_an_interrupt_in_the_callback_ends_the_work_too() -> None:
    table, told = backend(), []
    finished = threading.Event()

    async def waits(item: Item, answer: str) -> float:
        try:
            await asyncio.Event().wait()
        finally:
            finished.set()
        return 1.0

    def watch(progress: Progress) -> None:
        told.append(progress)
        if progress.done == N:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluator(scorers=[waits]).run("table:base", backend=table, on_progress=watch)
    assert finished.wait(timeout=30)
