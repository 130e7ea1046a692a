"""An ASGI application on a real loopback socket, whose answers are held to OpenAI's description. Knows no route."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from tests.processes import eventually
from tests.wire.openai_spec import Description, description

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_CHUNKS = {
    "/chat/completions": "CreateChatCompletionStreamResponse",
    "/completions": "CreateCompletionResponse",
}


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """The application on a port of its own, for as long as the block lasts; gives its base URL."""
    config = uvicorn.Config(
        app, port=0, log_level="warning", lifespan="on", ws="none", timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        eventually(lambda: server.started or not thread.is_alive())
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        assert not thread.is_alive(), "the server did not end"


class Described:
    """The application, with a list of what its answers have that OpenAI's description does not.

    Errors are held to the description's error; of answers that are no JSON, streams are looked into and files are not.
    Where the description is not at hand, nothing is found.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._description = _at_hand()
        self.problems: list[str] = []
        self.looked_at = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._description is None:
            await self._app(scope, receive, send)
            return
        seen: list[Message] = []

        async def noted(message: Message) -> None:
            seen.append(message)
            await send(message)

        await self._app(scope, receive, noted)
        self._look(self._description, scope["method"], scope["path"].removeprefix("/v1"), seen)

    def _look(self, described: Description, method: str, path: str, seen: list[Message]) -> None:
        headers = {name.decode(): value.decode() for name, value in seen[0]["headers"]}
        body = b"".join(message.get("body", b"") for message in seen[1:])
        status, kind = seen[0]["status"], headers.get("content-type", "").partition(";")[0]
        found: list[str] = []
        if status >= 400:
            found = described.problems("ErrorResponse", json.loads(body))
        elif kind == "application/json":
            found = described.response_problems(method, path, json.loads(body))
        elif kind == "text/event-stream":
            for chunk in _chunks(body):
                found += described.problems("ErrorResponse" if "error" in chunk else _CHUNKS[path], chunk)
        self.looked_at += 1
        self.problems += [f"{method} {path} {status}: {problem}" for problem in found]


def _chunks(body: bytes) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in body.decode().split("\n\n") if line]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def _at_hand() -> Description | None:
    try:
        return description()
    except pytest.skip.Exception:
        return None
