"""Asking models over the wire: what is passed on, what is refused, and what a stream does when its model breaks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest

from tests.processes import eventually
from tests.unit.server.hosting import KEY, Host, Serve
from tests.wire.serving import serving
from tunekit import BackendError, DataError, InvalidError, Message, Sampling, Settings, TunekitError, Usage
from tunekit.backends import GenerateRequest, Generation, Prompt
from tunekit.backends.base import all_answered
from tunekit.server import Limits, create_app
from tunekit.testing import ScriptedBackend

IMAGE = {"type": "image_url", "image_url": {"url": "http://example.com/a.png"}}
ASKED = {"model": "base", "messages": [{"role": "user", "content": "2+2?"}]}


class Model(ScriptedBackend):
    """A backend that writes in pieces, keeps what it was asked, and may break."""

    def __init__(self, breaks_after: int = 99) -> None:
        super().__init__(generate=lambda prompt: "four")
        self.asked: list[tuple[str, Sequence[GenerateRequest], Sampling]] = []
        self.closed = 0
        self._breaks_after = breaks_after

    async def generate(
        self, model: str, requests: Sequence[GenerateRequest], sampling: Sampling
    ) -> list[Generation]:
        self.asked.append((model, requests, sampling))
        usage = Usage(input_tokens=3, output_tokens=2)
        return [Generation(text="four", finish_reason="stop", usage=usage) for _ in requests]

    async def stream(
        self, model: str, request: GenerateRequest, sampling: Sampling
    ) -> AsyncIterator[str | Generation]:
        try:
            for at, piece in enumerate(("fo", "ur")):
                if at >= self._breaks_after:
                    raise BackendError("the model broke", hint="look at its log", retryable=True)
                yield piece
            yield Generation(text="four", finish_reason="stop", usage=Usage(input_tokens=3, output_tokens=2))
        finally:
            self.closed += 1


def lines(text: str) -> list[Any]:
    found = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    return [line if line == "[DONE]" else json.loads(line) for line in found]


async def test_what_is_asked_reaches_the_model(serve: Serve) -> None:
    model = Model()
    host = serve(model)
    tool = {
        "type": "function",
        "function": {"name": "add", "parameters": {"type": "object", "properties": {}}},
    }
    body = {
        "max_completion_tokens": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 3,
        "stop": "END",
        "tools": [tool],
    }
    answer = host.good(await host.caller.post("/chat/completions", json={**ASKED, **body}))
    assert answer["choices"][0]["message"]["content"] == "four"
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    ((name, (request,), sampling),) = model.asked
    assert (name, request.prompt) == ("base", (Message(role="user", content="2+2?"),))
    assert len(request.tools) == 1
    assert sampling == Sampling(max_tokens=7, temperature=0.5, top_p=0.9, seed=3, stop=("END",))


async def test_several_answers_have_several_seeds(serve: Serve) -> None:
    model = Model()
    host = serve(model)
    body = {"model": "base", "prompt": ["a", "b"], "n": 2, "seed": 3}
    answer = host.good(await host.caller.post("/completions", json=body))
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    asked = [(request.prompt, request.seed) for request in model.asked[0][1]]
    assert asked == [("a", 3), ("a", 4), ("b", 3), ("b", 4)]


async def test_a_stream(serve: Serve) -> None:
    model = Model()
    host = serve(model)
    body = {**ASKED, "stream": True, "stream_options": {"include_usage": True}}
    *chunks, done = lines((await host.caller.post("/chat/completions", json=body)).text)
    assert done == "[DONE]"
    deltas = [chunk["choices"][0]["delta"].get("content") for chunk in chunks[:-1]]
    assert deltas == ["", "fo", "ur", None]
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["total_tokens"] == 5
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert model.closed == 1


async def test_a_stream_that_breaks_says_so_where_the_next_piece_would_be(serve: Serve) -> None:
    model = Model(breaks_after=1)
    host = serve(model)
    answer = await host.caller.post("/chat/completions", json={**ASKED, "stream": True})
    *_, piece, error = lines(answer.text)
    assert (answer.status_code, piece["choices"][0]["delta"]["content"]) == (200, "fo")
    assert "the model broke" in error["error"]["message"]
    assert model.closed == 1


async def test_a_stream_that_breaks_before_its_first_piece_has_a_status(serve: Serve) -> None:
    host = serve(Model(breaks_after=0))
    answer = await host.caller.post("/chat/completions", json={**ASKED, "stream": True})
    assert "the model broke" in host.refused(answer, 502)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": "hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        ({"tools": ["add"]}, "tools[0]"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 65}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"n": 17}, "n"),
        ({"n": 2, "stream": True}, "n"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"logit_bias": {"3": 100}}, "logit_bias"),
        ({"logprobs": True}, "logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}}, "response_format"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"stop": ["a"] * 17}, "stop"),
        ({"stop": ["a", ""]}, "stop[1]"),
        ({"max_completion_tokens": 65}, "max_completion_tokens"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"function_call": "auto"}, "function_call"),
        ({"verbosity": "low"}, "verbosity"),
        ({"audio": {"voice": "a", "format": "wav"}}, "audio"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"tools": [{}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, "tools[0].function.name"),
        ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [IMAGE]}]}, "messages[0].content[0]"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_is_not_done_is_refused_by_name(serve: Serve, body: dict[str, Any], param: str) -> None:
    model = Model()
    host = serve(model, limits=Limits(answer_tokens=64))
    said = host.refused(await host.caller.post("/chat/completions", json={**ASKED, **body}), 400, param)
    assert "train" not in said
    assert model.asked == []


async def test_a_refusal_is_what_the_assistant_said(serve: Serve) -> None:
    host = serve(model := Model())
    question = {"role": "user", "content": "why?"}
    for refusal in (
        {"content": None, "refusal": "I will not."},
        {"refusal": "I will not."},
        {"content": [{"type": "refusal", "refusal": "I will not."}]},
    ):
        messages = [question, {"role": "assistant", **refusal}, question]
        host.good(await host.caller.post("/chat/completions", json={**ASKED, "messages": messages}))
    prompts = [request.prompt for _, (request,), _ in model.asked]
    assert [prompt[1].content for prompt in prompts if not isinstance(prompt, str)] == ["I will not."] * 3


@pytest.mark.parametrize(
    ("path", "body", "param", "said"),
    [
        ("/completions", {"prompt": [1, 2]}, "prompt", "tokens"),
        ("/completions", {"prompt": [[1, 2]]}, "prompt", "tokens"),
        ("/completions", {"prompt": []}, "prompt", "at least 1 item"),
        ("/completions", {"prompt": 3}, "prompt", "valid string"),
        ("/embeddings", {"input": []}, "input", "at least 1 item"),
        ("/embeddings", {"input": [1, 2]}, "input", "tokens"),
        ("/chat/completions", {"messages": [3]}, "messages[0]", "dictionary"),
    ],
)
async def test_the_message_is_about_what_was_sent(
    host: Host, path: str, body: dict[str, Any], param: str, said: str
) -> None:
    answer = await host.caller.post(path, json={"model": "base", **body})
    assert said in host.refused(answer, 400, param)


async def test_a_completion_is_as_long_as_at_the_original(serve: Serve) -> None:
    host = serve(model := Model(), limits=Limits(default_answer_tokens=99))
    host.good(await host.caller.post("/completions", json={"model": "base", "prompt": "a"}))
    host.good(await host.caller.post("/chat/completions", json=ASKED))
    assert [sampling.max_tokens for _, _, sampling in model.asked] == [16, 99]


async def test_a_completion_goes_on_with_the_text_unless_the_model_was_tuned_on_pairs(serve: Serve) -> None:
    host = serve(model := Model())
    pair = b'{"prompt": "2+2=", "completion": "4"}\n'
    pairs = await host.ended(await host.create(training_file=(await host.upload(pair * 3))["id"]))
    chats = await host.ended(await host.create())
    for name in ("base", chats["fine_tuned_model"], pairs["fine_tuned_model"]):
        host.good(await host.caller.post("/completions", json={"model": name, "prompt": "a"}))
    host.good(await host.caller.post("/chat/completions", json=ASKED))
    assert [request.continues for _, (request,), _ in model.asked] == [True, True, False, False]


async def test_what_the_dialect_knows_is_not_called_unknown(host: Host) -> None:
    refused: list[dict[str, Any]] = [
        {"functions": [{"name": "f"}]},
        {"verbosity": "low"},
        {"web_search_options": {}},
    ]
    for body in refused:
        answer = await host.caller.post("/chat/completions", json={**ASKED, **body})
        assert answer.json()["error"]["code"] == "unsupported_parameter"


async def test_codes_are_those_that_products_look_at(serve: Serve) -> None:
    too_long = InvalidError(
        "a prompt of 9 tokens", hint="shorten it", details={"code": "context_length_exceeded"}
    )

    def generate(prompt: Prompt) -> str:
        raise too_long

    host = serve(ScriptedBackend(generate=generate))
    unknown = await host.caller.post("/chat/completions", json={**ASKED, "model": "nope"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")
    for path, body, param in (
        ("/chat/completions", ASKED, "messages"),
        ("/chat/completions", {**ASKED, "stream": True}, "messages"),
        ("/completions", {"model": "base", "prompt": "a"}, "prompt"),
    ):
        answer = await host.caller.post(path, json=body)
        host.refused(answer, 400, param)
        assert answer.json()["error"]["code"] == "context_length_exceeded"


class PartlyRefusing(ScriptedBackend):
    """Answers all but one request of a call, and says so of each."""

    refusal: TunekitError = InvalidError(
        "a prompt of 9 tokens", hint="shorten it", details={"code": "context_length_exceeded"}
    )

    async def generate(
        self, model: str, requests: Sequence[GenerateRequest], sampling: Sampling
    ) -> list[Generation]:
        given = await super().generate(model, requests, sampling)
        return all_answered([*given[:-1], self.refusal])


async def test_of_several_prompts_the_first_that_has_no_answer_is_told(serve: Serve) -> None:
    backend = PartlyRefusing(generate=lambda prompt: "four")
    host = serve(backend)
    asked = {"model": "base", "prompt": ["a", "b"]}
    answer = await host.caller.post("/completions", json=asked)
    host.refused(answer, 400, "prompt")
    assert answer.json()["error"]["code"] == "context_length_exceeded"
    backend.refusal = BackendError("the model is loading", hint="try again", retryable=True)
    answer = await host.caller.post("/completions", json=asked)
    assert (answer.status_code, "requests have no answer" in answer.text) == (502, False)


async def test_a_message_that_cannot_be_asked_is_named(serve: Serve) -> None:
    def generate(prompt: Prompt) -> str:
        raise DataError("it holds '<|im_end|>'", field="messages[0].content", hint="remove it")

    host = serve(ScriptedBackend(generate=generate))
    host.refused(await host.caller.post("/chat/completions", json=ASKED), 400, "messages[0].content")


async def test_what_changes_nothing_is_taken(host: Host) -> None:
    body = {
        "user": "u",
        "metadata": {"a": "b"},
        "service_tier": "auto",
        "store": True,
        "frequency_penalty": 0,
        "verbosity": "medium",
        "prediction": {"type": "content", "content": "x"},
        "prompt_cache_retention": "24h",
    }
    host.good(
        await host.caller.post(
            "/chat/completions", json={**ASKED, **body, "response_format": {"type": "text"}}
        )
    )


async def test_a_backend_that_cannot_embed(host: Host) -> None:
    answer = await host.caller.post("/embeddings", json={"model": "base", "input": "a"})
    host.refused(answer, 400, "model")


@pytest.mark.parametrize("body", [{"input": [[1, 2]]}, {"input": ["a", ""]}, {"input": ["a"] * 3}])
async def test_embeddings_are_of_texts(serve: Serve, body: dict[str, Any]) -> None:
    host = serve(limits=Limits(texts=2))
    host.refused(await host.caller.post("/embeddings", json={"model": "base", **body}), 400, "input")


async def test_a_path_of_this_machine_is_no_model(host: Host) -> None:
    for name in ("scripted:base", "/etc", "local:/etc", "../base", "ft:base:support::00000000"):
        host.refused(await host.caller.post("/chat/completions", json={**ASKED, "model": name}), 404)


class Endless(Model):
    """Writes until nobody reads."""

    async def stream(
        self, model: str, request: GenerateRequest, sampling: Sampling
    ) -> AsyncIterator[str | Generation]:
        try:
            while True:
                yield "and "
                await asyncio.sleep(0.001)
        finally:
            self.closed += 1


def test_a_reader_that_leaves_ends_the_computation(settings: Settings) -> None:
    model = Endless()
    app = create_app({"base": "scripted:base"}, keys={KEY: "a"}, backends=[model], settings=settings)
    headers = {"authorization": f"Bearer {KEY}"}
    with (
        serving(app) as url,
        httpx.stream(
            "POST", f"{url}/chat/completions", json={**ASKED, "stream": True}, headers=headers
        ) as answer,
    ):
        assert next(answer.iter_bytes())
        answer.close()
        eventually(lambda: model.closed == 1)


async def test_what_nobody_expected_is_logged_and_tells_nothing(
    host: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*arguments: object) -> list[Generation]:
        raise RuntimeError("/srv/secret/path")

    monkeypatch.setattr(host.backend, "generate", broken)
    answer = await host.caller.post("/chat/completions", json=ASKED)
    assert "secret" not in host.refused(answer, 500)
    assert answer.headers["x-request-id"]
    assert "/srv/secret/path" in caplog.text
