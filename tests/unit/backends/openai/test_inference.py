"""Answers, whole or as they are written, and vectors; each request held to OpenAI's description."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.exchange import Response
from tests.wire.inprocess import InProcess
from tests.wire.service import Service
from tunekit import generate, stream
from tunekit.backends.base import GenerateRequest, Generation
from tunekit.backends.openai import inference
from tunekit.backends.openai.backend import OpenAIBackend
from tunekit.backends.openai.sse import MAX_EVENT_BYTES, EventReader
from tunekit.backends.openai.transport import Call, Transport
from tunekit.errors import BackendError
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
    answer = generate("openai:ft:x", "what is it", sampling=sampling, backend=backend)
    assert (answer.text, answer.finish_reason) == ("answer to", "length")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (3, 2)
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


async def test_first_failure_ends_the_others(transport: InProcess, service: Service) -> None:
    transport.handler = lambda request: (
        Response.of({"error": {"message": "blocked"}}, status=400)
        if b'"3"' in request.body
        else service(request)
    )
    requests = [GenerateRequest(prompt=str(number)) for number in range(1000)]
    with pytest.raises(BackendError, match="blocked"):
        await OpenAIBackend(transport=transport).generate("ft:x", requests, Sampling())
    assert len(transport.calls) < 50 and transport.at_once == 0


def test_answer_that_only_calls_tools_is_its_calls() -> None:
    calls = [{"id": "c1", "type": "function", "function": {"name": "lookup", "arguments": "{}"}}]
    assert json.loads(inference.answer(completion(content=None, tool_calls=calls)).text) == calls
    assert inference.answer(completion(content=None, refusal="I cannot")).text == "I cannot"
    assert inference.answer(completion(content=None)).text == ""


@pytest.mark.parametrize(
    "body", [None, [], {}, {"choices": []}, {"choices": None}, {"choices": [{"text": "x"}]}]
)
def test_what_is_no_answer_is_a_typed_error(body: Any) -> None:
    with pytest.raises(BackendError, match="cannot be read"):
        inference.answer(body)


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
        ([PIECE, "data: <html>"], "cannot be read"),
    ],
)
async def test_stream_that_breaks_is_an_error_and_no_short_answer(lines: list[str], said: str) -> None:
    with pytest.raises(BackendError, match=said):
        await read(streamed(*lines))


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


# --- vectors ------------------------------------------------------------------------------------------


async def test_vectors_come_in_order_and_in_few_calls(backend: OpenAIBackend, transport: InProcess) -> None:
    texts = [str(number) for number in range(3000)]
    vectors = await backend.embed("e", texts)
    assert len(transport.calls) == 2
    assert vectors[2500] == (await backend.embed("e", ["2500"]))[0]
    assert await backend.embed("e", []) == []


async def test_long_texts_are_shared_out_among_calls(backend: OpenAIBackend, transport: InProcess) -> None:
    await backend.embed("e", ["\u00fc" * 100_000] * 3 + ["x"])
    assert [len(call.body["input"]) for call in transport.calls if call.body] == [1, 1, 2]


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        [{"index": 1, "embedding": [1.0]}],
        [{"index": 0, "embedding": None}],
        [{"index": 0, "embedding": ["x"]}],
    ],
)
async def test_missing_vector_is_an_error(transport: InProcess, data: Any) -> None:
    transport.handler = lambda request: Response.of({"data": data})
    with pytest.raises(BackendError, match="no vector"):
        await OpenAIBackend(transport=transport).embed("e", ["a"])
