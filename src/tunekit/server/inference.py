"""Routes that ask a model: chat completions, completions, embeddings. Knows answers on the wire; computes none."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tunekit.backends.base import Backend, GenerateRequest, Generation, PartialError
from tunekit.errors import TOO_LONG, BackendError, TunekitError
from tunekit.refs import ModelRef
from tunekit.server.problems import invalid, request_id_of, response_of, unsupported
from tunekit.server.questions import ChatBody, CompletionBody, Drawing, EmbeddingBody
from tunekit.server.reading import checked, json_body
from tunekit.server.rows import new_id
from tunekit.server.service import Service, blocking, service_of, tenant_of
from tunekit.server.telling import told

_FINISHED = ("stop", "length", "content_filter", "tool_calls", "function_call")


async def chat(request: Request) -> Response:
    """Answer a chat."""
    service = service_of(request)
    body = await json_body(request, ChatBody, service.limits)
    return await _answered(request, service, body, _Chat(body.model, int(service.now())))


async def completions(request: Request) -> Response:
    """Go on with a text."""
    service = service_of(request)
    body = await json_body(request, CompletionBody, service.limits)
    return await _answered(request, service, body, _Text(body.model, int(service.now())))


async def embeddings(request: Request) -> Response:
    """Vectors of texts."""
    service = service_of(request)
    body = await json_body(request, EmbeddingBody, service.limits)
    return JSONResponse(await _embedded(service, tenant_of(request), body))


async def answer_of(service: Service, tenant: str, endpoint: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a question that did not come over its own route, as that would give it.

    Raises:
        HTTPException: It is wrong in itself.
        TunekitError: The model cannot answer it.
    """
    if endpoint == "/v1/embeddings":
        return await _embedded(service, tenant, checked(EmbeddingBody, given))
    is_chat = endpoint == "/v1/chat/completions"
    body = checked(ChatBody, given) if is_chat else checked(CompletionBody, given)
    if body.stream:
        raise unsupported("stream", "There are no streams in a batch.")
    body.require_sense(service.limits)
    shape = (_Chat if isinstance(body, ChatBody) else _Text)(body.model, int(service.now()))
    return shape.whole(await _generated(service, tenant, body))


async def _embedded(service: Service, tenant: str, body: EmbeddingBody) -> dict[str, Any]:
    texts = body.texts(service.limits)
    backend, reference = await _model(service, body.model, tenant, "embed")
    with _fitting("input"):
        vectors = await backend.embed(reference.id, texts)
    encode = _base64 if body.encoding_format == "base64" else list
    data = [
        {"object": "embedding", "index": at, "embedding": encode(vector)} for at, vector in enumerate(vectors)
    ]
    # The seam does not say how many tokens a vector took.
    usage = {"prompt_tokens": 0, "total_tokens": 0}
    return {"object": "list", "data": data, "model": body.model, "usage": usage}


class _Shape(Protocol):
    """How answers of one route look."""

    def whole(self, answers: Sequence[Generation]) -> dict[str, Any]: ...

    def first(self) -> dict[str, Any] | None: ...

    def piece(self, text: str, finish_reason: str | None) -> dict[str, Any]: ...

    def usage(self, answer: Generation) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class _Frame:
    """What is around every answer."""

    model: str
    created: int

    def of(self, kind: str, prefix: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": prefix,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }


class _Chat:
    """Chat completions."""

    def __init__(self, model: str, created: int) -> None:
        self._frame, self._id = _Frame(model, created), new_id("chatcmpl-")

    def whole(self, answers: Sequence[Generation]) -> dict[str, Any]:
        choices = [
            {
                "index": at,
                "message": {"role": "assistant", "content": answer.text, "refusal": None},
                "logprobs": None,
                "finish_reason": _finish(answer),
            }
            for at, answer in enumerate(answers)
        ]
        return {**self._frame.of("chat.completion", self._id, choices), "usage": _usage(answers)}

    def first(self) -> dict[str, Any] | None:
        return self._chunk({"role": "assistant", "content": ""}, None)

    def piece(self, text: str, finish_reason: str | None) -> dict[str, Any]:
        return self._chunk({} if finish_reason else {"content": text}, finish_reason)

    def usage(self, answer: Generation) -> dict[str, Any]:
        return {**self._frame.of("chat.completion.chunk", self._id, []), "usage": _usage([answer])}

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._frame.of("chat.completion.chunk", self._id, [choice])


class _Text:
    """Completions."""

    def __init__(self, model: str, created: int) -> None:
        self._frame, self._id = _Frame(model, created), new_id("cmpl-")

    def whole(self, answers: Sequence[Generation]) -> dict[str, Any]:
        choices = [self._choice(at, answer.text, _finish(answer)) for at, answer in enumerate(answers)]
        return {**self._frame.of("text_completion", self._id, choices), "usage": _usage(answers)}

    def first(self) -> dict[str, Any] | None:
        return None

    def piece(self, text: str, finish_reason: str | None) -> dict[str, Any]:
        return self._frame.of("text_completion", self._id, [self._choice(0, text, finish_reason)])

    def usage(self, answer: Generation) -> dict[str, Any]:
        return {**self._frame.of("text_completion", self._id, []), "usage": _usage([answer])}

    def _choice(self, at: int, text: str, finish_reason: str | None) -> dict[str, Any]:
        return {"index": at, "text": text, "logprobs": None, "finish_reason": finish_reason}


async def _answered(
    request: Request, service: Service, body: ChatBody | CompletionBody, shape: _Shape
) -> Response:
    body.require_sense(service.limits)
    if not body.stream:
        return JSONResponse(shape.whole(await _generated(service, tenant_of(request), body)))
    backend, reference = await _model(service, body.model, tenant_of(request), "generate")
    (prompt, *_) = await _prompts(service, tenant_of(request), body)
    pieces = backend.stream(reference.id, prompt, body.sampling(service.limits))
    # Whatever is wrong with the model shows at the first piece, while there can still be a status for it.
    with _fitting(body.text_param):
        first = await anext(pieces, None)
    if first is None:
        raise BackendError("the stream ended before it began", backend=backend.name, hint="try again")
    lines = _lines(_chained(first, pieces), body, shape, request_id_of(request))
    return StreamingResponse(lines, media_type="text/event-stream")


async def _generated(service: Service, tenant: str, body: ChatBody | CompletionBody) -> list[Generation]:
    backend, reference = await _model(service, body.model, tenant, "generate")
    prompts = await _prompts(service, tenant, body)
    with _fitting(body.text_param):
        return await backend.generate(reference.id, prompts, body.sampling(service.limits))


async def _prompts(
    service: Service, tenant: str, body: ChatBody | CompletionBody
) -> Sequence[GenerateRequest]:
    """What the model is asked. A text goes on as it is, unless the model was trained on texts written otherwise."""
    if isinstance(body, ChatBody):
        return body.prompts()
    tuned = await blocking(service.tuned, body.model, tenant)
    return body.prompts(continues=tuned is None or not tuned.has_pairs)


@contextmanager
def _fitting(param: str) -> Iterator[None]:
    """Say of a text that does not fit the model what the original says, for clients look at that code.

    Of several texts, one that has no answer is enough: the request has none, for the reason of the first of them.
    """
    try:
        yield
    except TunekitError as error:
        error = error.first if isinstance(error, PartialError) else error
        if error.details.get("code") != TOO_LONG:
            raise error from None
        raise invalid(told(error), param=param, code=TOO_LONG) from None


async def _chained(
    first: str | Generation, rest: AsyncIterator[str | Generation]
) -> AsyncGenerator[str | Generation, None]:
    try:
        yield first
        async for piece in rest:
            yield piece
    finally:
        if isinstance(rest, AsyncGenerator):
            await rest.aclose()


async def _lines(
    pieces: AsyncGenerator[str | Generation, None], body: Drawing, shape: _Shape, request_id: str
) -> AsyncIterator[bytes]:
    """Server-sent events: the pieces, how it ended, what it consumed if asked for, and the end mark."""
    if (first := shape.first()) is not None:
        yield _event(first)
    async with aclosing(pieces):
        try:
            async for piece in pieces:
                if isinstance(piece, str):
                    yield _event(shape.piece(piece, None))
                    continue
                yield _event(shape.piece("", _finish(piece)))
                if body.reports_usage:
                    yield _event(shape.usage(piece))
        except Exception as error:
            # The status is sent, so the error goes where the next piece would have been; clients know it there.
            yield b"data: " + bytes(response_of(error, request_id).body) + b"\n\n"
            return
    yield b"data: [DONE]\n\n"


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


async def _model(service: Service, name: str, tenant: str, verb: str) -> tuple[Backend, ModelRef]:
    reference = await blocking(service.model, name, tenant)
    backend = await blocking(service.backend, reference.backend)
    if not backend.capabilities.supports(verb):
        raise unsupported("model", f"The backend of this model cannot {verb}.")
    return backend, reference


def _finish(answer: Generation) -> str:
    return answer.finish_reason if answer.finish_reason in _FINISHED else "stop"


def _usage(answers: Sequence[Generation]) -> dict[str, int]:
    prompt = sum(answer.usage.input_tokens for answer in answers)
    written = sum(answer.usage.output_tokens for answer in answers)
    return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}


def _base64(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


ROUTES = [
    Route("/chat/completions", chat, methods=["POST"]),
    Route("/completions", completions, methods=["POST"]),
    Route("/embeddings", embeddings, methods=["POST"]),
]
