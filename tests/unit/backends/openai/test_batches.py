"""Questions by the thousand: handed in once, answered by their place, whatever the order and whatever is lost."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from unittest.mock import patch

import pytest

from tests.unit.backends.openai.backends import NOW, backend_of
from tests.wire.exchange import Request, Response
from tests.wire.inprocess import InProcess
from tests.wire.service import Service
from tunekit.backends.base import GenerateRequest, Generation
from tunekit.backends.openai import contents
from tunekit.backends.openai.batches import Batches
from tunekit.backends.openai.transport import Call
from tunekit.errors import BackendError, NotFoundError, SpecError, UnknownOutcomeError
from tunekit.events import Usage
from tunekit.examples import Message
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


async def test_question_without_an_answer_is_an_error_in_its_place(batches: Batches) -> None:
    questions = [*QUESTIONS[:3], GenerateRequest(prompt="BLOCK this"), *QUESTIONS[4:]]
    answers = await batches.answers(await batches.begin("ft:x", questions, Sampling()))
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


async def test_listing_that_lags_behind_is_waited_for(transport: InProcess, service: Service) -> None:
    backend = backend_of(transport)

    def late(request: Request) -> Response:
        is_list = request.path == "/v1/batches" and request.method == "GET"
        return Response.of({"data": []}) if is_list and backend.clock.now() < NOW + 8 else service(request)

    transport.handler, transport.loses = late, begins
    assert await backend.batches.begin("ft:x", QUESTIONS, Sampling()) in service.batches
    assert len(service.batches) == 1


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


async def test_vectors_come_in_a_batch_too(batches: Batches, service: Service) -> None:
    texts = [f"text {number}" for number in range(7)]
    batch_id = await batches.begin_embeddings("e", [*texts, "BLOCK this"])
    assert (await batches.of(batch_id)).endpoint == "/v1/embeddings"
    vectors = await batches.vectors(batch_id)
    assert isinstance(vectors.pop(7), BackendError)
    assert list(vectors.values()) == await backend_of(InProcess(handler=service)).embed("e", texts)


async def test_plain_texts_come_in_a_batch_of_their_own(batches: Batches, service: Service) -> None:
    batch_id = await batches.begin("davinci-002", QUESTIONS, Sampling(max_tokens=2))
    assert service.batches[batch_id]["endpoint"] == "/v1/completions"
    assert (await batches.answers(batch_id))[0] == Generation(
        text="answer to", finish_reason="length", usage=Usage(input_tokens=2, output_tokens=2)
    )


async def test_chats_and_plain_texts_are_two_batches(transport: InProcess) -> None:
    batches = backend_of(transport, plain_text="completion").batches
    chat = GenerateRequest(prompt=(Message(role="user", content="hi"),))
    with pytest.raises(SpecError, match="question 20 is asked at /chat/completions"):
        await batches.begin("m", [*QUESTIONS, chat], Sampling())
    assert transport.calls == []


async def test_answer_that_cannot_be_read_is_an_error_in_its_place(
    batches: Batches, service: Service
) -> None:
    batch_id = await batches.begin("ft:x", QUESTIONS[:2], Sampling())
    file_id = service.batches[batch_id]["output_file_id"]
    second, first = service.contents[file_id].splitlines()
    broken = json.loads(second) | {"response": {"status_code": 200, "body": {"choices": None}}}
    service.contents[file_id] = b"\xef\xbb\xbf" + json.dumps(broken).encode() + b"\r\n" + first
    answers = await batches.answers(batch_id)
    assert isinstance(answers[0], Generation) and isinstance(answers[1], BackendError)


async def test_what_cannot_be_a_batch_is_refused(batches: Batches, transport: InProcess) -> None:
    with pytest.raises(SpecError, match="0 questions"):
        await batches.begin("ft:x", [], Sampling())
    with pytest.raises(SpecError, match="50,001 questions"):
        await batches.begin("ft:x", QUESTIONS[:1] * 50_001, Sampling())
    assert transport.calls == []
    with pytest.raises(NotFoundError):
        await batches.of("batch_9")
    with pytest.raises(SpecError, match="batch_from is 0"):
        backend_of(transport, batch_from=0)


async def test_answers_are_read_line_by_line_whatever_their_size(
    batches: Batches, transport: InProcess
) -> None:
    """The file comes as a stream, and one that breaks off is read again without a gap."""
    batch_id = await batches.begin("ft:x", QUESTIONS, Sampling())
    whole, reads = transport.stream, []

    async def breaking(call: Call) -> AsyncIterator[bytes]:
        reads.append(call.path)
        given = 0
        async for piece in whole(call):
            given += len(piece)
            if len(reads) < 3 and given > 500 * len(reads):
                raise BackendError("it broke off", retryable=True, hint="again")
            yield piece

    with patch.object(InProcess, "stream", lambda self, call: breaking(call)):
        answers = await batches.answers(batch_id)
    assert [answer.text for answer in answers.values() if isinstance(answer, Generation)] == [
        f"answer to question {number}" for number in range(20)
    ]
    assert len(reads) == 3


async def test_line_without_an_end_is_not_gathered_for_ever(
    batches: Batches, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_id = await batches.begin("ft:x", QUESTIONS, Sampling())
    service.contents[service.batches[batch_id]["output_file_id"]] = b"x" * 5000
    monkeypatch.setattr(contents, "MAX_LINE_BYTES", 1000)
    with pytest.raises(BackendError, match="more than 1,000 bytes"):
        await batches.answers(batch_id)


@pytest.mark.parametrize("content", [b"<html>", b"[]\n", b'{"custom_id": "x"}\n', b'{"custom_id": 1e999}'])
async def test_file_that_holds_no_answers_is_a_typed_error(
    batches: Batches, service: Service, content: bytes
) -> None:
    batch_id = await batches.begin("ft:x", QUESTIONS, Sampling())
    service.contents[service.batches[batch_id]["output_file_id"]] = content
    with pytest.raises(BackendError, match="cannot be read"):
        await batches.answers(batch_id)
