"""Plain text: a question in a chat, or a text to go on with and to weigh choices behind; as model and host have it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.backends.openai.backends import backend_of
from tests.wire.answers import echo
from tests.wire.exchange import Request, Response
from tests.wire.inprocess import InProcess
from tests.wire.service import Service
from tunekit import generate, stream
from tunekit.backends.base import GenerateRequest, Prompt, ScoreRequest
from tunekit.backends.openai.backend import OpenAIBackend
from tunekit.errors import BackendError, SpecError, UnsupportedError
from tunekit.examples import Message
from tunekit.spec import Sampling

CHAT: Prompt = (Message(role="user", content="hi"),)


def vllm(transport: InProcess) -> OpenAIBackend:
    return backend_of(transport, host="vllm", base_url="http://localhost:8000/v1")


# --- answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["davinci-002", "ft:babbage-002:acme::x", "gpt-3.5-turbo-instruct-0914"])
def test_base_models_go_on_with_a_text(transport: InProcess, service: Service, model: str) -> None:
    sampling = Sampling(max_tokens=2, temperature=0.5, top_p=0.9, seed=7, stop=("END",))
    said = generate(f"openai:{model}", "Once upon", sampling=sampling, backend=backend_of(transport))
    assert (said.text, said.finish_reason, said.usage.output_tokens) == ("answer to", "length", 2)
    assert service.bodies("POST", "/completions") == [
        {
            "model": model,
            "prompt": "Once upon",
            "max_tokens": 2,
            "temperature": 0.5,
            "top_p": 0.9,
            "seed": 7,
            "stop": ["END"],
        }
    ]


def test_text_that_goes_on_comes_piece_by_piece_too(transport: InProcess) -> None:
    backend = backend_of(transport)
    pieces = stream("openai:davinci-002", "Once", backend=backend)
    assert list(pieces) == ["answer", " to", " Once"]
    assert pieces.answer == generate("openai:davinci-002", "Once", backend=backend)


@pytest.mark.parametrize(
    ("plain_text", "prompt", "path"),
    [
        ("auto", "hi", "/chat/completions"),
        ("chat", "hi", "/chat/completions"),
        ("completion", "hi", "/completions"),
        ("completion", CHAT, "/chat/completions"),
    ],
)
async def test_the_caller_may_know_better(
    transport: InProcess, service: Service, plain_text: str, prompt: Prompt, path: str
) -> None:
    backend = backend_of(transport, base_url="http://127.0.0.1:11434/v1", plain_text=plain_text)
    await backend.generate("llama", [GenerateRequest(prompt=prompt)], Sampling())
    assert len(service.bodies("POST", path)) == 1


async def test_chat_is_not_put_to_a_model_that_has_none(transport: InProcess) -> None:
    with pytest.raises(SpecError, match="goes on with plain text") as caught:
        await backend_of(transport).generate("davinci-002", [GenerateRequest(prompt=CHAT)], Sampling())
    assert "plain text as prompt" in caught.value.hint
    assert transport.calls == []
    with pytest.raises(SpecError, match="plain_text is 'prose'"):
        backend_of(transport, plain_text="prose")


# --- choices ------------------------------------------------------------------------------------------


async def test_choices_are_weighed_behind_their_prompt(transport: InProcess, service: Service) -> None:
    request = ScoreRequest(prompt="Is it late?", choices=(" no", " yes sir", "-ish"))
    (scores,) = await vllm(transport).score("m", [request])
    assert (scores.log_probs, scores.tokens) == ((-3.0, -8.0, -4.0), (1, 2, 2))
    (body,) = service.bodies("POST", "/completions")
    assert body["prompt"] == ["Is it late?", "Is it late? no", "Is it late? yes sir", "Is it late?-ish"]


async def test_tokens_before_the_text_and_across_the_border_do_no_harm(transport: InProcess) -> None:
    transport.handler = lambda request: echo(_body(request), begin=("<s>",))
    request = ScoreRequest(prompt="The par", choices=("cel", " is"))
    (scores,) = await vllm(transport).score("m", [request])
    assert (scores.log_probs, scores.tokens) == ((-7.0, -3.0), (1, 1)), "' parcel' is one token, the choice's"


def _body(request: Request) -> Any:
    return json.loads(request.body)


def echoed(text: str, *tokens: tuple[str, float | None]) -> dict[str, Any]:
    told = {"tokens": [token for token, _ in tokens], "token_logprobs": [value for _, value in tokens]}
    return {"text": text, "logprobs": told}


SILENT: list[Any] = [
    {},
    {"choices": None},
    {"choices": [{"index": 0, "text": "", "logprobs": None}]},  # llama.cpp and Ollama, without the echo
    {
        "choices": [
            {"index": at, "text": "drawn", "logprobs": _} for at, _ in enumerate([{"tokens": ["x"]}] * 2)
        ]
    },
    {"choices": [echoed("a", ("a", None)), echoed("ab", ("a", None))]},
    {"choices": [echoed("a", ("a", None)), echoed("ab", ("a", None), ("b", None))]},
    {"choices": [echoed("a", ("a", None)), echoed("ab", ("x", None), ("b", -1.0))]},
    {"choices": [echoed("a", ("a", None)), echoed("else", ("a", None), ("b", -1.0))]},
]


@pytest.mark.parametrize("body", SILENT)
async def test_host_that_does_not_echo_is_an_error_and_no_even_score(transport: InProcess, body: Any) -> None:
    transport.handler = lambda request: Response.of(body)
    with pytest.raises(BackendError, match="did not echo"):
        await vllm(transport).score("m", [ScoreRequest(prompt="a", choices=("b",))])


@pytest.mark.parametrize("prompt", ["", CHAT])
async def test_choices_stand_behind_a_plain_text(transport: InProcess, prompt: Prompt) -> None:
    with pytest.raises(SpecError, match="behind a plain text"):
        await vllm(transport).score("m", [ScoreRequest(prompt=prompt, choices=("b",))])
    assert transport.calls == []


async def test_host_that_cannot_score_says_why(transport: InProcess) -> None:
    with pytest.raises(UnsupportedError, match="only of what the model itself drew") as caught:
        await backend_of(transport).score("m", [])
    assert "vllm" in caught.value.hint


async def test_vllm_trains_nothing(transport: InProcess) -> None:
    assert vllm(transport).capabilities.methods == frozenset()
    without_key = OpenAIBackend(host="vllm", base_url="https://vllm.example/v1")
    assert without_key.capabilities.supports("score")
