"""Arms end to end: functions and objects under test, templates that reach the backend, draws, what is written down."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.unit.evaluation.fakes import TableBackend, right_on, tickets, truth
from tunekit.backends.base import Generation
from tunekit.data.dataset import Dataset
from tunekit.errors import EvaluationError, SpecError, UnsupportedError
from tunekit.evaluation.arms.arm import Arm
from tunekit.evaluation.arms.constructors import few_shot, zero_shot
from tunekit.evaluation.evaluator import Evaluator
from tunekit.evaluation.items import Item
from tunekit.evaluation.results import Evaluation
from tunekit.evaluation.running.runner import Progress
from tunekit.evaluation.scorers import Accuracy, ExactMatch
from tunekit.events import Usage
from tunekit.examples import CompletionExample

N = 40
TRAIN = [CompletionExample(prompt=f"q{number}", completion=truth(f"q{number}")) for number in range(100, 130)]


def evaluator(**options: Any) -> Evaluator:
    return Evaluator(tickets(N), **options)


def last_line(prompt: str) -> str:
    """The question that stands last in a prompt such as "Q: q7"."""
    return prompt.rsplit("\n\n")[-1].removeprefix("Q: ")


def table() -> TableBackend:
    """One model, right on the first 30 questions however they are put."""
    return TableBackend(models={"base": lambda prompt: right_on(range(30))(last_line(prompt))})


class Client:
    """An object of the host's with a method `generate`."""

    def generate(self, prompt: str) -> str:
        return truth(prompt)


class AsyncClient:
    async def generate(self, prompt: str) -> str:
        await asyncio.sleep(0)
        return truth(prompt)


class Called:
    async def __call__(self, prompt: str) -> Generation:
        return Generation(text=truth(prompt), finish_reason="stop", usage=Usage(input_tokens=5))


async def awaited(prompt: str) -> str:
    await asyncio.sleep(0)
    return truth(prompt)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (truth, "truth"),
        (awaited, "awaited"),
        (lambda prompt: awaited(prompt), "<lambda>"),
        (Client(), "Client"),
        (AsyncClient(), "AsyncClient"),
        (Called(), "Called"),
    ],
    ids=["function", "coroutine", "lambda", "client", "async client", "callable"],
)
def test_functions_and_objects_are_models(model: Any, name: str) -> None:
    evaluation = evaluator().run(model)
    assert evaluation["exact_match"].value.estimate == 1.0
    assert evaluation.arm is not None
    assert (evaluation.model, evaluation.arm.name, evaluation.arm.kind) == (
        f"function:{name}",
        name,
        "function",
    )
    assert evaluation.arm.calls == N


def test_a_function_is_compared_with_a_model() -> None:
    report = evaluator().compare("table:base", truth, backend=table())
    assert (report["exact_match"].wins, report["exact_match"].verdict) == (10, "better")


def test_a_chat_reaches_a_function_in_openai_s_shape() -> None:
    seen: list[object] = []
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    test = Dataset.from_records([{"messages": chat}])

    def answer(messages: list[dict[str, str]]) -> str:
        seen.append(messages)
        return "Hello"

    assert Evaluator(test).run(answer)["exact_match"].value.estimate == 1.0
    assert seen == [[{"role": "user", "content": "Hi"}]]


def test_a_function_that_never_saw_the_tools_says_so() -> None:
    tool = {"type": "function", "function": {"name": "lookup", "parameters": {"type": "object"}}}
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    test = Dataset.from_records([{"messages": chat, "tools": [tool]}])
    assert any("not shown the tools" in text for text in Evaluator(test).run(lambda _: "Hello").warnings)


@pytest.mark.parametrize(
    "found", [None, 3, b"delivery", ["delivery"], KeyError("x"), SystemExit(1)], ids=repr
)
@pytest.mark.parametrize("is_async", [False, True])
def test_what_a_function_raises_or_returns_instead_of_text_is_an_error_of_the_item(
    found: object, is_async: bool
) -> None:
    calls: list[str] = []

    def answer(prompt: str) -> Any:
        calls.append(prompt)
        if prompt != "q3":
            return truth(prompt)
        if isinstance(found, BaseException):
            raise found
        return found

    async def answer_async(prompt: str) -> Any:
        return answer(prompt)

    evaluation = evaluator().run(answer_async if is_async else answer)
    assert (evaluation["exact_match"].n_errors, evaluation["exact_match"].value.n) == (1, N - 1)
    (failed,) = [item for item in evaluation.items if item.errors]
    assert failed.id == "tickets:4"
    expected = type(found).__name__ if isinstance(found, BaseException) else "answered with"
    assert expected in failed.errors["exact_match"]
    assert sorted(calls) == sorted(set(calls)), "nothing is asked twice"


def test_a_function_that_always_fails_is_given_up() -> None:
    calls: list[str] = []

    def broken(prompt: str) -> str:
        calls.append(prompt)
        raise RuntimeError("no network")

    with pytest.raises(EvaluationError, match="RuntimeError: no network"):
        evaluator(concurrency=1).run(broken)
    assert len(calls) == 10


def test_a_function_cannot_weigh_choices() -> None:
    with pytest.raises(UnsupportedError, match="a function cannot score"):
        evaluator(scorers=[Accuracy()]).run(truth)


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(SpecError, match="is a backend and not a model"):
        evaluator().run(table())  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="is not a model"):
        evaluator().run(Client)  # type: ignore[arg-type]


def test_a_sync_function_is_asked_one_question_at_a_time_in_a_thread_of_its_own() -> None:
    inside, most, threads = 0, 0, set()

    def answer(prompt: str) -> str:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        threads.add(threading.current_thread().name)
        inside -= 1
        return truth(prompt)

    evaluator(concurrency=4).run(answer)
    assert most == 1
    assert all(name.startswith("tunekit-function") for name in threads)


def test_an_async_function_is_asked_as_many_at_once_as_allowed() -> None:
    inside, most = 0, 0

    async def answer(prompt: str) -> str:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.001)
        inside -= 1
        return truth(prompt)

    evaluator(concurrency=3).run(answer)
    assert most == 3


async def test_a_cancelled_evaluation_calls_the_function_no_more() -> None:
    called: list[str] = []
    here, on = threading.Event(), threading.Event()

    def slow(prompt: str) -> str:
        called.append(prompt)
        here.set()
        on.wait(timeout=30)
        return prompt

    work = asyncio.create_task(evaluator().run_async(slow))
    await asyncio.to_thread(here.wait)
    (thread,) = [each for each in threading.enumerate() if each.name.startswith("tunekit-function")]
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    on.set()
    await asyncio.to_thread(thread.join)
    assert called == ["q0"]


def test_progress_of_a_function_is_told_item_by_item() -> None:
    seen: list[Progress] = []
    evaluator(concurrency=1).run(truth, on_progress=seen.append)
    assert [progress.done for progress in seen] == list(range(1, N + 1))
    assert seen[-1].model == "function:truth"


def test_templates_reach_the_backend_and_scorers_see_the_question_of_the_test() -> None:
    backend, asked = table(), []

    def watching(item: Item, answer: str) -> bool:
        asked.append(item.prompt)
        return answer == item.reference

    judge = evaluator(scorers=[ExactMatch(), watching])
    evaluation = judge.run(zero_shot("table:base", "Name the team.\n\nQ: {prompt}"), backend=backend)
    prompts = {str(request.prompt) for _, requests in backend.asked for request in requests}
    assert prompts == {f"Name the team.\n\nQ: q{number}" for number in range(N)}
    assert asked == [f"q{number}" for number in range(N)]
    assert evaluation["exact_match"].value.estimate == 0.75


def test_a_wrong_template_costs_nothing() -> None:
    backend = table()
    with pytest.raises(SpecError, match="no field 'text'"):
        evaluator().run(zero_shot("table:base", "{text}"), backend=backend)
    assert backend.asked == []


def test_choices_are_weighed_after_the_same_template() -> None:
    backend = table()
    evaluation = evaluator(scorers=[Accuracy()]).run(zero_shot("table:base", "Q: {prompt}"), backend=backend)
    assert evaluation["accuracy"].value.estimate == 0.75
    assert str(backend.asked[0][1][0].prompt).startswith("Q: ")


def arm_of_draws(draws: int) -> Arm:
    """Right on most questions in draws whose first example is odd, on fewer in others."""
    return few_shot("table:base", TRAIN, k=1, template="Q: {prompt}", draws=draws, seed=3)


def luck(prompt: str) -> str:
    shown, question = prompt.removeprefix("Q: ").split("\n", 1)[0], last_line(prompt)
    return right_on(range(36 if int(shown[1:]) % 2 else 20))(question)


def test_several_draws_are_averaged_item_by_item() -> None:
    backend = TableBackend(models={"base": luck})
    one_by_one = [
        evaluator().run(few_shot("table:base", TRAIN, 1, template="Q: {prompt}", seed=seed), backend=backend)
        for seed in (3, 4, 5)
    ]
    evaluation = evaluator().run(arm_of_draws(3), backend=backend)
    assert evaluation.arm is not None
    alone = tuple(each["exact_match"].value.estimate for each in one_by_one)
    assert len(set(alone)) > 1, "the draws of this test must differ"
    assert evaluation.arm.by_draw == {"exact_match": alone}
    assert evaluation["exact_match"].value.estimate == pytest.approx(sum(alone) / 3)
    assert evaluation["exact_match"].kind == "mean"
    for item, *others in zip(evaluation.items, *(each.items for each in one_by_one), strict=True):
        scores = [other.scores["exact_match"] for other in others]
        assert item.scores["exact_match"] == pytest.approx(sum(scores) / 3)
    assert evaluation.input_tokens == 3 * one_by_one[0].input_tokens
    assert (evaluation.arm.draws, evaluation.arm.calls) == (3, 3 * N)
    assert any("over 3 draws of examples" in text for text in evaluation.warnings)
    assert evaluator().compare(one_by_one[0], evaluation)["exact_match"].n_paired == N


def test_an_item_that_failed_in_any_draw_is_an_error() -> None:
    asked: list[str] = []

    def unlucky(prompt: str) -> str | Exception:
        if last_line(prompt) == "q5":
            asked.append(prompt)
            if len(asked) == 2:
                return ValueError("a bad moment")
        return truth(last_line(prompt))

    backend = TableBackend(models={"base": unlucky})
    evaluation = evaluator(batch_size=1).run(arm_of_draws(3), backend=backend)
    assert evaluation["exact_match"].n_errors == 1
    assert "a bad moment" in evaluation.items[5].errors["exact_match"]


def test_the_evaluation_remembers_its_arm_without_forbidding_comparisons() -> None:
    backend = table()
    arms = [
        Arm(model="table:base"),
        zero_shot("table:base", "Q: {prompt}"),
        few_shot("table:base", TRAIN, 2, template="Q: {prompt}"),
        few_shot("table:base", TRAIN[:20], 2, template="Q: {prompt}"),
    ]
    found = [evaluator().run(arm, backend=backend) for arm in arms]
    records = [each.arm for each in found]
    assert [record.kind for record in records if record] == ["model", "zero_shot", "few_shot", "few_shot"]
    assert len({record.prompts_hash for record in records if record}) == 4
    assert [bool(record.template_hash) for record in records if record] == [False, True, True, True]
    shown = [record.shown_hash for record in records if record]
    assert shown[:2] == ["", ""]
    assert shown[2] != shown[3]
    again = evaluator().run(arms[2], backend=backend)
    assert again.arm is not None and records[2] is not None
    assert again.arm.prompts_hash == records[2].prompts_hash
    assert Evaluation.from_json(again.to_json()) == again
    assert evaluator().compare(found[0], found[2])["exact_match"].wins == 0


def test_two_arms_of_one_model_are_told_apart_in_every_report() -> None:
    report = evaluator().compare("table:base", zero_shot("table:base", "Q: {prompt}"), backend=table())
    assert report.titles == ("table:base", "zero_shot (table:base)")
    assert str(report).startswith("a  table:base\nb  zero_shot (table:base)\n")
    assert str(report.evaluations[1]).startswith("zero_shot (table:base)\n")
    assert evaluator().run(truth).title == "function:truth"
