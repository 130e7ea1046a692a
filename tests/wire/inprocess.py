"""A `Transport` without sockets: a call becomes a request to a handler at once. Knows no retries and no time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from tests.wire.exchange import Handler, Request, Response
from tunekit.backends.openai.transport import Call, FilePart, Reply
from tunekit.errors import BackendError, NotFoundError

BOUNDARY = "tests-boundary"


@dataclass(slots=True, kw_only=True)
class InProcess:
    """Carries calls to a handler.

    Attributes:
        handler: Who answers.
        loses: Calls whose reply is lost after the handler has done its work.
        calls: What was made, in order.
        largest_part: Most bytes that one call carried in a file.
    """

    handler: Handler
    loses: Callable[[Call], bool] = lambda call: False
    calls: list[Call] = field(default_factory=list)
    largest_part: int = 0
    at_once: int = 0
    most_at_once: int = 0

    async def send(self, call: Call) -> Reply:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(0)  # others get their turn, as with a real connection
            return self._answer(call)
        finally:
            self.at_once -= 1

    def _answer(self, call: Call) -> Reply:
        self.calls.append(call)
        self.largest_part = max(self.largest_part, call.file.length if call.file else 0)
        response = self.handler(request_of(call))
        if self.loses(call):
            raise BackendError("the connection broke", ambiguous=True, retryable=True, hint="look it up")
        if not 200 <= response.status < 300:
            raise error_of(response)
        return Reply(status=response.status, headers=dict(response.headers), body=response.body)

    async def stream(self, call: Call) -> AsyncIterator[bytes]:
        reply = await self.send(call)
        for start in range(0, len(reply.body), 7):  # an odd size: pieces split lines and characters
            yield reply.body[start : start + 7]

    async def aclose(self) -> None:
        pass


def request_of(call: Call) -> Request:
    """The request that a call becomes on the wire."""
    headers = {name.lower(): value for name, value in call.headers.items()}
    body = b""
    if call.body is not None:
        headers["content-type"], body = "application/json", json.dumps(call.body, allow_nan=False).encode()
    elif call.form or call.file:
        headers["content-type"], body = f"multipart/form-data; boundary={BOUNDARY}", multipart(call)
    return Request(method=call.method, path=f"/v1{call.path}", query=call.query, headers=headers, body=body)


def multipart(call: Call) -> bytes:
    """Form fields and file, as browsers write them."""
    pieces = [
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in call.form
    ]
    if call.file:
        head = f'content-disposition: form-data; name="{call.file.field}"; filename="{call.file.filename}"'
        kind = f"content-type: {call.file.content_type}"
        pieces += [f"--{BOUNDARY}\r\n{head}\r\n{kind}\r\n\r\n".encode(), content(call.file), b"\r\n"]
    return b"".join([*pieces, f"--{BOUNDARY}--\r\n".encode()])


def content(part: FilePart) -> bytes:
    """The bytes of a part."""
    if isinstance(part.source, bytes):
        return part.source[part.start : part.start + part.length]
    with part.source.open("rb") as file:
        file.seek(part.start)
        return file.read(part.length)


def error_of(response: Response) -> BackendError | NotFoundError:
    """The typed error of a bad answer."""
    try:
        error: dict[str, Any] = json.loads(response.body)["error"]
    except (ValueError, KeyError, TypeError):
        error = {}
    details = {"status": response.status, "code": error.get("code"), "param": error.get("param")}
    message = str(error.get("message") or f"the host answered {response.status}")
    if response.status == 404:
        return NotFoundError(message, hint="check the id", details=details)
    broke = response.status >= 500
    return BackendError(message, ambiguous=broke, retryable=broke, hint="see the message", details=details)
