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
from tunekit import BackendError, Message, Sampling, Settings, Usage
from tunekit.backends import GenerateRequest, Generation
from tunekit.server import Limits, create_app
from tunekit.testing import ScriptedBackend

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
        ({"tools": ["add"]}, "tools.0"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 65}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"n": 17}, "n"),
        ({"n": 2, "stream": True}, "n"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"logit_bias": {"3": 100}}, "logit_bias"),
        ({"logprobs": True}, "logprobs"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"store": True}, "store"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_is_not_done_is_refused_by_name(serve: Serve, body: dict[str, Any], param: str) -> None:
    model = Model()
    host = serve(model, limits=Limits(answer_tokens=64))
    host.refused(await host.caller.post("/chat/completions", json={**ASKED, **body}), 400, param)
    assert model.asked == []


async def test_what_changes_nothing_is_taken(host: Host) -> None:
    body = {
        "user": "u",
        "metadata": {"a": "b"},
        "service_tier": "auto",
        "store": False,
        "frequency_penalty": 0,
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
