"""In front of every route: who calls, and the headers of every answer. Knows keys and headers; not what is asked."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tunekit.server.problems import refused, response_of
from tunekit.server.rows import new_id
from tunekit.server.service import Service

if TYPE_CHECKING:
    from tunekit.server.background import Background

_VERSION = "2020-10-01"  # what the original answers
_NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth"
    " (i.e. Authorization: Bearer YOUR_KEY)."
)
_LOCAL_HOST = re.compile(r"(localhost|127\.[0-9]+\.[0-9]+\.[0-9]+|\[::1\]|testserver)(:[0-9]+)?\Z")


class Guard:
    """ASGI middleware: looks at the key, names the tenant, and signs the answer with the original's headers.

    Args:
        app: What it stands before.
        service: Whose keys.
        background: Begun with the first request, where no lifespan began it.
    """

    def __init__(self, app: ASGIApp, service: Service, background: Background) -> None:
        self._app, self._service, self._background = app, service, background

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._background.ensure_running()
        state, request_id = scope.setdefault("state", {}), new_id("req_")
        signed = _Signed(send, request_id)
        state["request_id"] = request_id
        try:
            state["tenant"] = self._tenant(Headers(scope=scope))
            await self._app(scope, receive, signed)
        except Exception as error:
            if signed.began:
                raise
            await response_of(error, request_id)(scope, receive, signed)

    def _tenant(self, headers: Headers) -> str:
        keys = self._service.keys
        if not keys.are_asked and not _LOCAL_HOST.match(headers.get("host", "")):
            # A page in a browser can give this machine another name, and then read what it answers.
            raise refused(
                403, "Without API keys, this server answers to local names only.", code="forbidden_host"
            )
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if keys.are_asked and (scheme.lower() != "bearer" or not key):
            raise refused(401, _NO_KEY)
        tenant = keys.tenant_of(key.strip())
        if tenant is None:
            raise refused(401, "Incorrect API key provided.", code="invalid_api_key")
        return tenant


class _Signed:
    """Sends an answer with the original's headers."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send, self._request_id, self._at = send, request_id, time.monotonic()
        self.began = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.began = True
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = self._request_id
            headers["openai-processing-ms"] = str(round((time.monotonic() - self._at) * 1000))
            headers["openai-version"] = _VERSION
        await self._send(message)
