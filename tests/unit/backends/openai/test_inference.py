"""Answers, whole or as they are written; each request held to OpenAI's description."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.exchange import Request, Response
from tests.wire.inprocess import InProcess
from tests.wire.service import Service
from tunekit import Dataset, Evaluator, generate, stream
from tunekit.backends.base import GenerateRequest, Generation, PartialError
from tunekit.backends.openai.backend import OpenAIBackend
from tunekit.backends.openai.questions import CHAT, answer
from tunekit.backends.openai.sse import MAX_EVENT_BYTES, EventReader
from tunekit.backends.openai.transport import Call, Transport
from tunekit.errors import BackendError, InvalidError, NotFoundError
from tunekit.examples import Message, ToolCall
from tunekit.spec import Sampling

TOOL = {
    "type": "function",
    "function": {"name": "lookup", "parameters": {"type": "object", "properties": {}}},
}


@pytest.fixture
def backend(transport: InProcess) -> OpenAIBackend:
    return OpenAIBackend(transport=transport)


def completion(**message: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", **message}, "finish_reason": "stop"}]}


def test_question_is_answered(backend: OpenAIBackend, service: Service) -> None:
    sampling = Sampling(max_tokens=2, temperature=0.5, top_p=0.9, seed=7, stop=("END",))
    said = generate("openai:ft:x", "what is it", sampling=sampling, backend=backend)
    assert (said.text, said.finish_reason) == ("answer to", "length")
    assert (said.usage.input_tokens, said.usage.output_tokens) == (3, 2)
    assert service.bodies("POST", "/chat/completions") == [
        {
            "model": "ft:x",
            "messages": [{"role": "user", "content": "what is it"}],
            "max_completion_tokens": 2,
            "temperature": 0.5,
            "top_p": 0.9,
            "seed": 7,
            "stop": ["END"],
        }
    ]


async def test_chats_go_with_their_tools_and_without_what_is_for_training(
    backend: OpenAIBackend, service: Service
) -> None:
    call = ToolCall(id="c1", name="lookup", arguments="{}")
    turns = (
        Message(role="user", content="hi"),
        Message(role="assistant", tool_calls=(call,), weight=0.0, reasoning="hm"),
        Message(role="tool", content="7", tool_call_id="c1"),
    )
    await backend.generate("ft:x", [GenerateRequest(prompt=turns, tools=(TOOL,), seed=3)], Sampling())
    (body,) = service.bodies("POST", "/chat/completions")
    assert body["messages"][1].keys() == {"role", "content", "tool_calls"}
    assert (body["tools"], body["seed"]) == ([TOOL], 3)


async def test_many_questions_keep_their_order_and_go_a_few_at_a_time(
    backend: OpenAIBackend, transport: InProcess
) -> None:
    requests = [GenerateRequest(prompt=str(number)) for number in range(40)]
    answers = await backend.generate("ft:x", requests, Sampling())
    assert [answer.text for answer in answers] == [f"answer to {number}" for number in range(40)]
    assert 1 < transport.most_at_once <= 8
    assert await backend.generate("ft:x", [], Sampling()) == []


def refusing(service: Service, *words: bytes, status: int = 400) -> Callable[[Request], Response]:
    return lambda request: (
        Response.of({"error": {"message": "blocked"}}, status=status)
        if any(word in request.body for word in words)
        else service(request)
    )


async def test_refused_question_costs_itself_alone(transport: InProcess, service: Service) -> None:
    transport.handler = refusing(service, b'"3"', b'"33"')
    requests = [GenerateRequest(prompt=str(number)) for number in range(40)]
    with pytest.raises(PartialError, match=r"2 of 40 requests.*blocked") as caught:
        await OpenAIBackend(transport=transport).generate("ft:x", requests, Sampling())
    assert [at for at, found in enumerate(caught.value.outcomes) if isinstance(found, BackendError)] == [
        3,
        33,
    ]
    assert len(transport.calls) == 40


def test_evaluation_asks_nothing_twice_that_was_answered(transport: InProcess, service: Service) -> None:
    transport.handler = refusing(service, *(b'"%d"' % number for number in range(0, 60, 10)))
    rows = Dataset.from_records([{"prompt": f"{n}", "completion": f"answer to {n}"} for n in range(60)])
    report = Evaluator(rows).run("openai:ft:x", backend=OpenAIBackend(transport=transport))
    assert (report["exact_match"].n_errors, report["exact_match"].value.estimate) == (6, 1.0)
    assert len(transport.calls) == 60


@pytest.mark.parametrize("status", [401, 404])
async def test_host_that_answers_nothing_is_not_asked_everything(
    transport: InProcess, service: Service, status: int
) -> None:
    transport.handler = refusing(service, b"", status=status)
    requests = [GenerateRequest(prompt=str(number)) for number in range(1000)]
    with pytest.raises((PartialError, NotFoundError), match="blocked"):
        await OpenAIBackend(transport=transport).generate("ft:x", requests, Sampling())
    assert len(transport.calls) < 30 and transport.at_once == 0


async def test_question_that_does_not_fit_costs_itself_alone(transport: InProcess, service: Service) -> None:
    def handler(request: Request) -> Response:
        if b'"0"' in request.body:
            raise InvalidError("it is too long", hint="shorten it", details={"code": "too-long"})
        return service(request)

    transport.handler = handler
    requests = [GenerateRequest(prompt=str(number)) for number in range(40)]
    backend = OpenAIBackend(transport=transport)
    with pytest.raises(PartialError, match="1 of 40") as caught:
        await backend.generate("ft:x", requests, Sampling())
    assert isinstance(caught.value.first, InvalidError) and caught.value.details == {"code": "too-long"}
    with pytest.raises(InvalidError, match="it is too long"):
        await backend.generate("ft:x", requests[:1], Sampling())


async def test_model_that_has_answered_is_not_lost_at_one_404(transport: InProcess, service: Service) -> None:
    transport.handler = refusing(service, b'"33"', status=404)
    requests = [GenerateRequest(prompt=str(number)) for number in range(40)]
    with pytest.raises(PartialError, match="1 of 40"):
        await OpenAIBackend(transport=transport).generate("ft:x", requests, Sampling())


def test_answer_that_only_calls_tools_is_its_calls() -> None:
    calls = [{"id": "c1", "type": "function", "function": {"name": "lookup", "arguments": "{}"}}]
    assert json.loads(answer(CHAT, completion(content=None, tool_calls=calls)).text) == calls
    assert answer(CHAT, completion(content=None, refusal="I cannot")).text == "I cannot"
    assert answer(CHAT, completion(content=None)).text == ""
    parts = [{"type": "text", "text": "a"}, {"type": "image"}, None, {"type": "text", "text": "b"}]
    assert answer(CHAT, completion(content=parts)).text == "ab"


@pytest.mark.parametrize(
    "body", [None, [], {}, {"choices": []}, {"choices": None}, {"choices": [{"text": "x"}]}]
)
def test_what_is_no_answer_is_a_typed_error(body: Any) -> None:
    with pytest.raises(BackendError, match="cannot be read"):
        answer(CHAT, body)


# --- piece by piece -----------------------------------------------------------------------------------


def test_answer_comes_piece_by_piece_and_is_the_same(backend: OpenAIBackend, service: Service) -> None:
    service.answer = lambda messages: "gr\u00fc\u00dfe \U0001f600 und mehr"
    pieces = stream("openai:ft:x", "hi", backend=backend)
    told = list(pieces)
    assert len(told) == 4 and "".join(told) == "gr\u00fc\u00dfe \U0001f600 und mehr"
    assert pieces.answer == generate("openai:ft:x", "hi", backend=backend)


class Endless(InProcess):
    """A host that never ends its answer."""

    ended = False

    async def stream(self, call: Call) -> AsyncIterator[bytes]:
        try:
            while True:
                yield b'data: {"choices": [{"delta": {"content": "x"}}]}\n\n'
        finally:
            type(self).ended = True


async def test_stream_that_is_left_early_ends_the_call(service: Service) -> None:
    backend = OpenAIBackend(transport=Endless(handler=service))
    pieces = cast(
        "AsyncGenerator[str | Generation, None]",
        backend.stream("m", GenerateRequest(prompt="hi"), Sampling()),
    )
    async with aclosing(pieces):
        assert await anext(pieces) == "x"
    assert Endless.ended


def streamed(*lines: str) -> Transport:
    body = "".join(f"{line}\n\n" for line in lines).encode()
    return InProcess(handler=lambda request: Response(body=body))


async def read(transport: Transport) -> list[str | Generation]:
    backend = OpenAIBackend(transport=transport)
    return [piece async for piece in backend.stream("m", GenerateRequest(prompt="hi"), Sampling())]


PIECE = 'data: {"choices": [{"delta": {"content": "x"}, "finish_reason": null}]}'
END = 'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}'


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([PIECE], "ended before the answer did"),
        ([], "ended before the answer did"),
        ([PIECE, 'data: {"error": {"message": "overloaded"}}'], "overloaded"),
        ([PIECE, 'data: {"error": "boom"}'], "answered: boom$"),
        ([PIECE, 'data: {"error": {"code": 7}}'], "answered: an object$"),
        ([PIECE, "data: <html>"], "cannot be read"),
    ],
)
async def test_stream_that_breaks_is_an_error_and_no_short_answer(lines: list[str], said: str) -> None:
    with pytest.raises(BackendError) as caught:
        await read(streamed(*lines))
    assert re.search(said, caught.value.message)


async def test_streamed_calls_of_tools_are_the_same_as_those_that_come_at_once() -> None:
    def event(*pieces: Any) -> str:
        return f"data: {json.dumps({'choices': [{'delta': {'tool_calls': [*pieces]}}]})}"

    lines = [
        event({"index": 0, "id": "c1", "type": "function", "function": {"name": "find", "arguments": ""}}),
        event({"index": 1, "id": "c2", "function": {"name": "look"}}, 7),
        event({"index": 0, "function": {"arguments": '{"a"'}}),
        event({"index": 0, "function": {"arguments": ": 1}"}}),
        END,
    ]
    first, whole = await read(streamed(*lines))
    assert isinstance(first, str) and isinstance(whole, Generation) and whole.text == first
    assert [(call["id"], call["function"]) for call in json.loads(first)] == [
        ("c1", {"name": "find", "arguments": '{"a": 1}'}),
        ("c2", {"name": "look", "arguments": ""}),
    ]


async def test_mark_at_the_beginning_hides_no_piece() -> None:
    assert await read(streamed(f"\ufeff{PIECE}", PIECE, END)) == [
        "x",
        "x",
        Generation(text="xx", finish_reason="stop"),
    ]


async def test_hosts_may_leave_out_usage_and_the_last_word() -> None:
    assert await read(streamed(PIECE, END)) == ["x", Generation(text="x", finish_reason="stop")]
    odd = ["event: ping", 'data: {"choices": null}', PIECE, END, "data: [DONE]", "data: never read"]
    assert await read(streamed(*odd)) == ["x", Generation(text="x", finish_reason="stop")]


@given(
    texts=st.lists(st.text(), max_size=6), cuts=st.lists(st.integers(1, 9), min_size=1), crlf=st.booleans()
)
@settings(max_examples=60, deadline=None)
def test_events_are_the_same_however_the_bytes_are_cut(texts: list[str], cuts: list[int], crlf: bool) -> None:
    end = "\r\n" if crlf else "\n"
    body = "".join(f": hi{end}data: {json.dumps({'t': text})}{end}{end}" for text in texts).encode()
    reader, found, at, turn = EventReader(), [], 0, 0
    while at < len(body):
        size = cuts[turn % len(cuts)]
        found += list(reader.feed(body[at : at + size]))
        at, turn = at + size, turn + 1
    assert [event["t"] for event in [*found, *reader.end()]] == texts


def test_event_without_an_end_is_not_gathered_for_ever() -> None:
    reader = EventReader()
    assert list(reader.feed(b"x" * MAX_EVENT_BYTES)) == []
    with pytest.raises(BackendError, match="more than"):
        list(reader.feed(b"x"))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "quota used up", "code": "insufficient_quota"}}, "quota used up"),
        ({"error": "upstream timed out", "choices": None}, "upstream timed out"),
        ({"error": {}, "choices": []}, "its choices are"),
        (completion(content=5), "its choices are"),
        (completion(content={"text": "a"}), "its choices are"),
        ({"choices": [{"finish_reason": "stop"}]}, "its choices are"),
    ],
)
def test_what_is_no_answer_is_an_error_and_no_empty_text(body: dict[str, Any], said: str) -> None:
    with pytest.raises(BackendError, match=said):
        answer(CHAT, body)


def test_parts_of_an_answer_are_one_text() -> None:
    parts = [{"type": "text", "text": "on its "}, {"type": "text", "text": "way"}]
    assert answer(CHAT, completion(content=parts)).text == "on its way"
    assert answer(CHAT, completion(content=None, refusal="no")).text == "no"
