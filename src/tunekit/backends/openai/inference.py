"""Answers and vectors from a host. Knows chat completions and embeddings; trains nothing and grades nothing.

There is no `score`: a chat completion gives log-probabilities of the tokens that the model drew, never of an answer
that somebody else wrote, and the old endpoint that echoed a prompt with its log-probabilities does so for no model
that can be tuned today.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import Any, cast

from tunekit.backends.base import GenerateRequest, Generation, Prompt
from tunekit.backends.openai import wire
from tunekit.backends.openai.side_by_side import each
from tunekit.backends.openai.sse import EventReader
from tunekit.backends.openai.transport import Call, Safety, Transport
from tunekit.data.wording import shown
from tunekit.errors import BackendError
from tunekit.events import Usage
from tunekit.examples import Message, message_to_dict
from tunekit.spec import Sampling

EMBEDDED_AT_ONCE = 2048
EMBEDDED_BYTES_AT_ONCE = 300_000
"""A request may have 300,000 tokens, and a token is a byte at least."""

_TRAINING_ONLY = ("weight", "reasoning_content")


async def generate(
    transport: Transport,
    model: str,
    requests: Sequence[GenerateRequest],
    sampling: Sampling,
    *,
    max_tokens_field: str,
    at_once: int,
) -> list[Generation]:
    """One answer per request, in order; some requests at a time.

    An answer that only calls tools is their calls as JSON, in the shape of a chat completion's `tool_calls`.

    Raises:
        BackendError: The host refused a request, or its answer cannot be read.
        NotFoundError: There is no such model.
    """

    async def one(request: GenerateRequest) -> Generation:
        reply = await transport.send(_call(question(model, request, sampling, max_tokens_field)))
        return answer(reply.json())

    return await each(requests, one, at_once=at_once)


async def stream(
    transport: Transport, model: str, request: GenerateRequest, sampling: Sampling, *, max_tokens_field: str
) -> AsyncGenerator[str | Generation, None]:
    """One answer in pieces as it is written, and last the whole of it.

    Raises:
        BackendError: The host refused, or the stream ended before the answer did.
        NotFoundError: There is no such model.
    """
    body = question(model, request, sampling, max_tokens_field)
    body |= {"stream": True, "stream_options": {"include_usage": True}}
    written: list[str] = []
    reason, usage = "", Usage()
    async with aclosing(_events(transport, _call(body))) as events:
        async for event in events:
            usage = _usage(event) or usage
            piece, ended = _delta(event)
            reason = ended or reason
            if piece:
                written.append(piece)
                yield piece
    if not reason:
        raise BackendError(
            "the stream ended before the answer did",
            hint="ask again; what came of it is not whole",
            retryable=True,
        )
    yield Generation(text="".join(written), finish_reason=reason, usage=usage)


async def _events(transport: Transport, call: Call) -> AsyncGenerator[dict[str, Any], None]:
    """The events of an answer. Leaving it ends the call, and so the computation."""
    reader = EventReader()
    async with aclosing(cast("AsyncGenerator[bytes, None]", transport.stream(call))) as pieces:
        async for piece in pieces:
            for event in reader.feed(piece):
                yield event
            if reader.done:
                return
        for event in reader.end():
            yield event


def question(
    model: str, request: GenerateRequest, sampling: Sampling, max_tokens_field: str
) -> dict[str, Any]:
    """The body of a chat completion."""
    body: dict[str, Any] = {
        "model": model,
        "messages": _messages(request.prompt),
        max_tokens_field: sampling.max_tokens,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "seed": sampling.seed if request.seed is None else request.seed,
    }
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if request.tools:
        body["tools"] = [dict(tool) for tool in request.tools]
    return body


def answer(body: Any) -> Generation:
    """The answer of a chat completion.

    Raises:
        BackendError: There is none in it.
    """
    choices = body.get("choices") if isinstance(body, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise wire.unreadable("a chat completion", f"its choices are {shown(choices)}")
    said = wire.text(message, "content") or wire.text(message, "refusal")
    calls = message.get("tool_calls")
    if not said and isinstance(calls, list) and calls:
        said = json.dumps(calls, ensure_ascii=False)
    return Generation(
        text=said, finish_reason=wire.text(choice, "finish_reason") or "stop", usage=_usage(body) or Usage()
    )


async def embed(transport: Transport, model: str, texts: Sequence[str], *, at_once: int) -> list[list[float]]:
    """One vector per text, in order; in as few calls as the host's limits allow.

    Raises:
        BackendError: The host refused, or did not send a vector for each text.
        NotFoundError: There is no such model.
    """

    async def some(batch: list[str]) -> list[list[float]]:
        body = {"model": model, "input": batch, "encoding_format": "float"}
        call = Call(method="POST", path="/embeddings", safety=Safety.REPEATABLE, body=body)
        return _vectors((await transport.send(call)).json(), len(batch))

    found = await each(list(_batches(texts)), some, at_once=at_once)
    return [vector for vectors in found for vector in vectors]


def _call(body: dict[str, Any]) -> Call:
    # Asked twice, it costs twice and changes nothing.
    return Call(method="POST", path="/chat/completions", safety=Safety.REPEATABLE, body=body)


def _messages(prompt: Prompt) -> list[dict[str, Any]]:
    turns = (Message(role="user", content=prompt),) if isinstance(prompt, str) else prompt
    bodies = [message_to_dict(turn) for turn in turns]
    return [{key: body[key] for key in body if key not in _TRAINING_ONLY} for body in bodies]


def _delta(event: dict[str, Any]) -> tuple[str, str]:
    """What an event of a stream adds to the text, and why the answer ended if it did.

    Raises:
        BackendError: It is an error of the host.
    """
    if event.get("error"):
        said = wire.text(wire.mapping(event, "error"), "message") or shown(event["error"])
        raise BackendError(
            f"the host broke while it answered: {said[:200]}", hint="ask again", retryable=True
        )
    choices = event.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        return "", ""
    delta = wire.mapping(choice, "delta")
    piece = wire.text(delta, "content") or wire.text(delta, "refusal")
    return piece, wire.text(choice, "finish_reason")


def _usage(body: dict[str, Any]) -> Usage | None:
    usage = wire.mapping(body, "usage")
    if not usage:
        return None
    return Usage(
        input_tokens=int(wire.number(usage, "prompt_tokens")),
        output_tokens=int(wire.number(usage, "completion_tokens")),
    )


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    room = EMBEDDED_BYTES_AT_ONCE
    for text in texts:
        size = len(text.encode("utf-8", "surrogatepass"))
        if batch and (size > room or len(batch) == EMBEDDED_AT_ONCE):
            yield batch
            batch, room = [], EMBEDDED_BYTES_AT_ONCE
        batch.append(text)
        room -= size
    if batch:
        yield batch


def _vectors(body: Any, count: int) -> list[list[float]]:
    """The vectors of a reply by the index that each has; a host may send them in any order."""
    data = body.get("data") if isinstance(body, dict) else None
    items = [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []
    found = {item.get("index", at): item.get("embedding") for at, item in enumerate(items)}
    vectors = [found.get(at) for at in range(count)]
    if not all(isinstance(vector, list) and all(map(wire.is_number, vector)) for vector in vectors):
        raise wire.unreadable("embeddings", f"it has no vector for each of {count} texts")
    return [[float(value) for value in vector or ()] for vector in vectors]
