"""Questions by the thousand: handed in once, answered by their place, whatever the order and whatever is lost."""

from __future__ import annotations

import json

import pytest

from tests.unit.backends.openai.backends import backend_of
from tests.wire.exchange import Request, Response
from tests.wire.inprocess import InProcess
from tests.wire.service import Service
from tunekit.backends.base import GenerateRequest, Generation
from tunekit.backends.openai.batches import Batches
from tunekit.backends.openai.transport import Call
from tunekit.errors import BackendError, NotFoundError, SpecError, UnknownOutcomeError
from tunekit.spec import Sampling

QUESTIONS = [GenerateRequest(prompt=f"question {number}") for number in range(20)]


@pytest.fixture
def batches(transport: InProcess) -> Batches:
    return backend_of(transport).batches


def begins(call: Call) -> bool:
    return (call.method, call.path) == ("POST", "/batches")


async def test_answers_stand_in_the_places_of_their_questions(batches: Batches, service: Service) -> None:
    batch_id = await batches.begin("ft:x", QUESTIONS, Sampling(max_tokens=8))
    seen = await batches.of(batch_id)
    assert (seen.has_ended, seen.completed, seen.total) == (True, 20, 20)
    answers = await batches.answers(batch_id)
    assert [answer.text for answer in answers.values() if isinstance(answer, Generation)] == [
        f"answer to question {number}" for number in range(20)
    ]
    assert list(answers) == list(range(20))
    (line, *_) = service.contents[service.batches[batch_id]["input_file_id"]].splitlines()
    assert json.loads(line)["body"]["max_completion_tokens"] == 8


async def test_question_without_an_answer_is_an_error_in_its_place(
    batches: Batches, service: Service
) -> None:
    service.answer = lambda messages: "BLOCKED" if messages[-1]["content"].endswith(" 3") else "fine"
    answers = await batches.answers(await batches.begin("ft:x", QUESTIONS, Sampling()))
    assert isinstance(answers[3], BackendError) and "blocked" in answers[3].message
    assert sum(isinstance(answer, Generation) for answer in answers.values()) == 19


async def test_lost_reply_is_adopted_and_never_another_batch_of_the_same_questions(
    batches: Batches, transport: InProcess, service: Service
) -> None:
    older = await batches.begin("ft:x", QUESTIONS, Sampling())

    def loses(call: Call) -> bool:
        if begins(call):  # and somebody else hands in the same at that very moment
            service.batches["batch_x"] = service.batches[older] | {"id": "batch_x", "metadata": None}
        return begins(call)

    transport.loses = loses
    ours = await batches.begin("ft:x", QUESTIONS, Sampling())
    assert list(service.batches) == [older, ours, "batch_x"]
    assert sum(file["purpose"] == "batch" for file in service.files.values()) == 1, (
        "equal questions are one file"
    )


async def test_outcome_that_nobody_knows_is_said(
    batches: Batches, transport: InProcess, service: Service
) -> None:
    def lost(request: Request) -> Response:
        is_batch = request.path == "/v1/batches" and request.method == "POST"
        return Response.of({}, status=502) if is_batch else service(request)

    transport.handler = lost
    with pytest.raises(UnknownOutcomeError, match="502"):
        await batches.begin("ft:x", QUESTIONS, Sampling())


async def test_batch_that_goes_on_has_no_answers_yet(batches: Batches, service: Service) -> None:
    batch_id = await batches.begin("ft:x", QUESTIONS, Sampling())
    service.batches[batch_id]["status"] = "in_progress"
    with pytest.raises(SpecError, match="in_progress"):
        await batches.answers(batch_id)
    await batches.cancel(batch_id)


async def test_what_cannot_be_a_batch_is_refused(batches: Batches, transport: InProcess) -> None:
    with pytest.raises(SpecError, match="0 questions"):
        await batches.begin("ft:x", [], Sampling())
    with pytest.raises(SpecError, match="50,001 questions"):
        await batches.begin("ft:x", QUESTIONS[:1] * 50_001, Sampling())
    assert transport.calls == []
    with pytest.raises(NotFoundError):
        await batches.of("batch_9")


@pytest.mark.parametrize("content", [b"<html>", b"[]\n", b'{"custom_id": "x"}\n'])
async def test_file_that_holds_no_answers_is_a_typed_error(
    batches: Batches, service: Service, content: bytes
) -> None:
    batch_id = await batches.begin("ft:x", QUESTIONS, Sampling())
    service.contents[service.batches[batch_id]["output_file_id"]] = content
    with pytest.raises(BackendError, match="cannot be read"):
        await batches.answers(batch_id)
