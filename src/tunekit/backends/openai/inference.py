"""Answers from a host. Knows how they are asked for and read; not how a question is worded."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, cast

from tunekit.backends.base import GenerateRequest, Generation
from tunekit.backends.openai import wire
from tunekit.backends.openai.questions import Asking, Question, answer, as_text, refuse_error, usage
from tunekit.backends.openai.side_by_side import outcome_of_each
from tunekit.backends.openai.sse import EventReader
from tunekit.backends.openai.transport import Call, Safety, Transport
from tunekit.errors import BackendError, TunekitError
from tunekit.events import Usage
from tunekit.spec import Sampling


async def outcomes(
    transport: Transport,
    model: str,
    requests: Sequence[GenerateRequest],
    sampling: Sampling,
    *,
    asking: Asking,
    at_once: int,
) -> list[Generation | TunekitError]:
    """An answer or an error per request, in order; some requests at a time.

    Raises:
        SpecError: A request is a chat, and the model has none.
        NotFoundError: There is no such model.
    """

    async def one(request: GenerateRequest) -> Generation:
        question = asking.question(model, request, sampling)
        return answer(question.path, (await transport.send(_call(question))).json())

    return await outcome_of_each(requests, one, at_once=at_once)


async def stream(
    transport: Transport, model: str, request: GenerateRequest, sampling: Sampling, *, asking: Asking
) -> AsyncGenerator[str | Generation, None]:
    """One answer in pieces as it is written, and last the whole of it.

    Raises:
        SpecError: The request is a chat, and the model has none.
        BackendError: The host refused, or the stream ended before the answer did.
        NotFoundError: There is no such model.
    """
    call = _call(
        asking.question(model, request, sampling), stream=True, stream_options={"include_usage": True}
    )
    written: list[str] = []
    tools = Tools()
    reason, spent = "", Usage()
    async with aclosing(_events(transport, call)) as events:
        async for event in events:
            spent = usage(event) or spent
            choice = _choice(event)
            tools.add(wire.mapping(choice, "delta"))
            reason = wire.text(choice, "finish_reason") or reason
            if piece := _piece(choice):
                written.append(piece)
                yield piece
    if not reason:
        raise BackendError(
            "the stream ended before the answer did",
            hint="ask again; what came of it is not whole",
            retryable=True,
        )
    if not written and tools.calls:
        written.append(as_text(tools.calls))
        yield written[0]
    yield Generation(text="".join(written), finish_reason=reason, usage=spent)


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


class Tools:
    """Calls of tools in a streamed answer, which come in pieces."""

    def __init__(self) -> None:
        self._calls: dict[int, dict[str, Any]] = {}

    @property
    def calls(self) -> list[dict[str, Any]]:
        """In the shape that a whole answer has them."""
        return list(self._calls.values())

    def add(self, delta: Mapping[str, Any]) -> None:
        """Put the pieces of an event where they belong."""
        for piece in wire.items(delta, "tool_calls"):
            if isinstance(piece, dict):
                self._put(wire.count(piece, "index"), wire.text(piece, "id"), wire.mapping(piece, "function"))

    def _put(self, index: int, call_id: str, function: Mapping[str, Any]) -> None:
        call: dict[str, Any] = {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        call = self._calls.setdefault(index, call)
        call["id"] = call["id"] or call_id
        call["function"]["name"] += wire.text(function, "name")
        call["function"]["arguments"] += wire.text(function, "arguments")


def _call(question: Question, **more: Any) -> Call:
    # Asked twice, it costs twice and changes nothing.
    return Call(method="POST", path=question.path, safety=Safety.REPEATABLE, body={**question.body, **more})


def _choice(event: dict[str, Any]) -> Mapping[str, Any]:
    """What an event of a stream says of the answer.

    Raises:
        BackendError: It is an error of the host.
    """
    refuse_error(event)
    return wire.first(event, "choices")


def _piece(choice: Mapping[str, Any]) -> str:
    """What an event adds to the text: of a chat, or of a text that is gone on with."""
    delta = wire.mapping(choice, "delta")
    return wire.words(delta, "content") or wire.text(delta, "refusal") or wire.text(choice, "text")
