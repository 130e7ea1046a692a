"""The clients of one seat, and requests made of calls. The one file that knows httpx.

Each client has a single connection. The pool of httpcore 1.0.9 looks at all its connections for every call, which
made a call three times as dear as it is (docs/performance.md); and whatever it loses by a failure or a cancellation at
the wrong moment (encode/httpcore #830, #961, #1049, #1093) is lost to one seat, which is given up.

Proxies are taken from the environment (HTTPS_PROXY, NO_PROXY) except for hosts on the loopback: a proxy would be sent
the key of a plain http call.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from tunekit._version import __version__
from tunekit.backends.openai.effort import Effort
from tunekit.backends.openai.endpoint import Endpoint, KeyHeader
from tunekit.backends.openai.exchange import Exchange, Response
from tunekit.backends.openai.inflate import OFFERED
from tunekit.backends.openai.secret import Secret
from tunekit.backends.openai.transport import Call, Safety
from tunekit.errors import SpecError

CONNECT_S = 10.0
SILENCE_S = 60.0
"""How long a GET waits for the next byte; what answers anything else may be computing."""


class Clients:
    """A client that keeps its connection, and one that opens a new one for each call.

    A kept connection may be closed by the host at the moment that a call goes out on it, and nobody can tell then
    whether the call was seen. Calls that are ONCE do not run into that doubt.

    Args:
        endpoint: The host and how it is called.
        tls: Whom to trust.
        idle_s: How long a connection is kept that nobody uses.
    """

    def __init__(self, endpoint: Endpoint, tls: ssl.SSLContext, *, idle_s: float) -> None:
        self._key_header = endpoint.key_header
        self._keeping = _client(endpoint, tls, keep_s=idle_s)
        self._fresh = _client(endpoint, tls, keep_s=None)

    async def send(self, exchange: Exchange, effort: Effort, url: str, left_s: float) -> Response:
        """Send a request and wait for the head of the answer; says in the exchange how far it came."""
        client = self._fresh if effort.call.safety is Safety.ONCE else self._keeping
        content = effort.payload.content()
        watch = _Watch(exchange)
        request = client.build_request(
            effort.call.method,
            url,
            headers=effort.payload.headers,
            content=content,
            timeout=_timeout(effort.call, left_s),
            extensions={"trace": watch.note},
        )
        if exchange.secret is not None:
            _sign(request, self._key_header, exchange.secret)
        try:
            response = await client.send(request, stream=True)
        except BaseException:
            await watch.cut()
            raise
        finally:
            # httpx does not where it fails in the middle, and a file would stay open.
            if isinstance(content, AsyncGenerator):
                await content.aclose()
        exchange.location = response.extensions.get("location", "")
        return response

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._keeping.aclose()
        await self._fresh.aclose()


class _Watch:
    """Sees how far a request comes, and which sockets it opens for that."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._opened: list[Any] = []

    async def note(self, event: str, facts: dict[str, Any]) -> None:
        """What httpcore calls at each step."""
        if event.endswith("connect_tcp.complete"):
            self._opened.append(facts["return_value"])
        # What a proxy is asked first (CONNECT) is no byte of the call.
        if event.endswith("send_request_headers.started") and facts["request"].method != b"CONNECT":
            self._exchange.reached = True

    async def cut(self) -> None:
        """Close what was opened: httpcore lets go of a socket unclosed where a TLS handshake is cancelled."""
        for stream in self._opened:
            await stream.aclose()


def _client(endpoint: Endpoint, tls: ssl.SSLContext, *, keep_s: float | None) -> httpx.AsyncClient:
    try:
        return httpx.AsyncClient(
            verify=tls,
            trust_env=not endpoint.is_loopback,
            headers={
                "user-agent": f"tunekit/{__version__}",
                "accept": "*/*",
                "accept-encoding": OFFERED,
                **endpoint.headers,
            },
            # An API has no use for cookies, and they would tie calls together that nobody tied.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            limits=httpx.Limits(
                max_connections=1, max_keepalive_connections=int(keep_s is not None), keepalive_expiry=keep_s
            ),
            event_hooks={"response": [_keep_location]},
        )
    except ImportError:
        hint = "run: pip install 'httpx[socks]', or use a proxy that speaks HTTP"
    except (ValueError, httpx.InvalidURL):  # whose text may show the proxy's password
        hint = "set HTTPS_PROXY and ALL_PROXY to addresses such as http://proxy:3128, or unset them"
    raise SpecError("a proxy that the environment names cannot be used", hint=hint)


def _timeout(call: Call, left_s: float) -> httpx.Timeout:
    """Of single steps. The deadline of the whole is kept outside; these let what was left behind end a little later."""
    last_s = left_s + 1.0
    silence_s = min(last_s, SILENCE_S)
    read_s = silence_s if call.method == "GET" else last_s
    return httpx.Timeout(connect=min(last_s, CONNECT_S), read=read_s, write=silence_s, pool=last_s)


def _sign(request: httpx.Request, header: KeyHeader, secret: Secret) -> None:
    """Put the key where it goes, and into no variable, which a traceback could show."""
    before = "Bearer " if header is KeyHeader.BEARER else ""
    request.headers[header.value] = before + secret.reveal()


def trust(endpoint: Endpoint, ca_file: str | None) -> ssl.SSLContext:
    """Whom to trust; read once for all clients.

    Raises:
        SpecError: `ca_file` cannot be used.
    """
    if not endpoint.base_url.startswith("https:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody: it is not to be used
    try:
        return ssl.create_default_context(cafile=ca_file) if ca_file else httpx.create_ssl_context()
    except (OSError, ssl.SSLError) as error:
        raise SpecError(
            f"ca_file={ca_file!r} cannot be used: {error}", hint="give the path of certificates in PEM format"
        ) from None


async def _keep_location(response: httpx.Response) -> None:
    """Hide where a redirect leads from httpx, which would build the next request and fail on what is no address."""
    response.extensions["location"] = response.headers.pop("location", "")


def described(error: Exception) -> str:
    """What went wrong, in words; many of httpx's own messages are empty, and some quote what the host sent."""
    words = _WORDS.get(type(error), type(error).__name__)
    return f"{words} ({error})" if str(error) else words


_WORDS: dict[type[Exception], str] = {
    httpx.ConnectError: "no connection",
    httpx.ConnectTimeout: "no connection in time",
    httpx.PoolTimeout: "no connection became free",
    httpx.ProxyError: "the proxy refused",
    httpx.ReadError: "the connection broke",
    httpx.ReadTimeout: "silence",
    httpx.WriteError: "the connection broke",
    httpx.WriteTimeout: "it took nothing more",
    httpx.RemoteProtocolError: "it broke off, or spoke no HTTP",
}
