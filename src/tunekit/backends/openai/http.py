"""Calls over HTTP, made again where that is safe. The one file that knows httpx and tenacity; knows no API.

Each event loop has a client of its own (a "lane"), because connections belong to loops. What a lane has begun it ends:
whoever stops waiting leaves a task behind that is drained, so that no cancellation reaches httpcore 1.0.9, whose pool
loses a connection for good to each one that comes at the wrong moment (encode/httpcore #830, #961, #1093). What cannot
be drained in `drain_s` is cancelled after all, and its lane is given up for a new one.

Proxies are taken from the environment (HTTPS_PROXY, NO_PROXY) except for hosts on the loopback: a proxy would be sent
the key of a plain http call.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, NoReturn, TypeVar

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from tunekit._clock import Clock, SystemClock
from tunekit._version import __version__
from tunekit.backends.openai import problems
from tunekit.backends.openai.effort import Effort, Payload, address
from tunekit.backends.openai.endpoint import Endpoint, KeyHeader
from tunekit.backends.openai.exchange import Exchange, Failure, Response, failed, settled
from tunekit.backends.openai.inflate import OFFERED
from tunekit.backends.openai.lanes import Lanes
from tunekit.backends.openai.quota import PROCESS_QUOTA, RetryQuota
from tunekit.backends.openai.retrying import Verdict, decide
from tunekit.backends.openai.secret import Secret
from tunekit.backends.openai.transport import Call, Reply, Safety
from tunekit.errors import SpecError, TunekitError, UnsupportedError

T = TypeVar("T")
_log = logging.getLogger(__name__)

CONNECT_S = 10.0
SILENCE_S = 60.0
"""How long a GET waits for the next byte; what answers anything else may be computing."""
IDLE_S = 30.0
_MOST_OF_A_PROBLEM = 1 << 16
_MOST_REDIRECTS = 5
_REDIRECTS = {301, 302, 303, 307, 308}


class HttpTransport:
    """`Transport` over httpx, for one endpoint. May be used from several threads and event loops, and after a fork.

    Args:
        endpoint: The host and the key.
        backend: The name that errors bear.
        deadline_s: For calls that have none of their own. Of a stream: until its first piece, then between two pieces.
        most_bytes: The largest reply that is read whole, after unpacking.
        connections: How many calls may be under way at once in one event loop; more wait their turn.
        drain_s: How long a call goes on that nobody waits for any more.
        ca_file: Certificates to trust in place of the public ones. There is no way not to check them.
        quota: How much may be made again; the process's own unless told.
        clock: What it waits by.
        draw: Gives a number from 0 to 1 by chance.

    Raises:
        SpecError: `ca_file` cannot be used.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        backend: str = "openai",
        deadline_s: float = 120.0,
        most_bytes: int = 128 << 20,
        connections: int = 100,
        drain_s: float = 5.0,
        ca_file: str | None = None,
        quota: RetryQuota = PROCESS_QUOTA,
        clock: Clock | None = None,
        draw: Callable[[], float] | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._backend = backend
        self._deadline_s = deadline_s
        self._most_bytes = most_bytes
        self._quota = quota
        self._clock = clock or SystemClock()
        self._draw = draw or random.Random().random
        self._connections = connections
        self._tls = _tls(endpoint, ca_file)
        self._lanes = Lanes(self._clients, connections=connections, drain_s=drain_s)

    def __repr__(self) -> str:
        return f"HttpTransport({self._endpoint!r})"

    def __reduce__(self) -> NoReturn:
        raise UnsupportedError(
            "a transport cannot be pickled or copied: it holds a key and connections",
            hint="make one in the process that needs it",
        )

    async def send(self, call: Call) -> Reply:
        """Make a call and wait for the whole answer. Raises what `Transport.send` does, and `SpecError`."""
        return await self._insist(self._effort(call), self._whole)

    async def stream(self, call: Call) -> AsyncIterator[bytes]:
        """Make a call and give its body in pieces as it comes. Raises what `send` does."""
        effort = self._effort(call)
        exchange, piece = await self._insist(effort, self._first)
        try:
            while piece is not None:
                yield piece
                effort.ends = self._clock.monotonic() + effort.deadline_s
                piece, failure = await settled(exchange.piece(self._left_s(effort)))
                if failure is not None:
                    raise self._error(effort, failure, Verdict(wait_s=None))
        finally:
            exchange.close()

    async def aclose(self) -> None:
        """Let go of the connections of every loop."""
        await self._lanes.aclose()

    def _clients(self) -> _Clients:
        return _Clients(self._client(keep=self._connections), self._client(keep=0))

    def _client(self, *, keep: int) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            verify=self._tls,
            trust_env=not self._endpoint.is_loopback,
            headers={
                "user-agent": f"tunekit/{__version__}",
                "accept": "*/*",
                "accept-encoding": OFFERED,
                **self._endpoint.headers,
            },
            # An API has no use for cookies, and they would tie calls together that nobody tied.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            limits=httpx.Limits(
                max_connections=self._connections, max_keepalive_connections=keep, keepalive_expiry=IDLE_S
            ),
            event_hooks={"response": [_keep_location]},
        )

    def _effort(self, call: Call) -> Effort:
        deadline_s = self._deadline_s if call.deadline_s is None else call.deadline_s
        return Effort(
            call=call,
            url=address(self._endpoint.base_url, call),
            payload=Payload(call),
            deadline_s=deadline_s,
            ends=self._clock.monotonic() + deadline_s,
        )

    def _left_s(self, effort: Effort) -> float:
        return max(0.0, effort.ends - self._clock.monotonic())

    async def _insist(self, effort: Effort, use: Callable[[Effort, Exchange], Awaitable[T]]) -> T:
        """Make attempts until one goes well or there must be no more."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(_Again), wait=_pause_s, sleep=self._clock.sleep, reraise=True
        )
        result: T = await retrying(self._attempt, effort, use)
        return result

    async def _attempt(self, effort: Effort, use: Callable[[Effort, Exchange], Awaitable[T]]) -> T:
        effort.tries += 1
        result, failure = await settled(self._exchanged(effort, use))
        if failure is None:
            self._quota.give_back(effort.cost)
            return result  # type: ignore[return-value]  # a T, which may be None
        verdict = decide(
            failure.outcome,
            safety=effort.call.safety,
            tries=effort.tries,
            left_s=self._left_s(effort),
            now_s=self._clock.now(),
            draw=self._draw(),
        )
        if verdict.wait_s is not None and not self._quota.take(verdict.cost):
            why = "this process has made too many calls again lately"
            verdict = Verdict(wait_s=None, told_s=verdict.told_s, why=why)
        if verdict.wait_s is None:
            raise self._error(effort, failure, verdict)
        effort.cost = verdict.cost
        _log.info("%s: %s; again in %.2f s", effort, failure, verdict.wait_s)
        raise _Again(verdict.wait_s)

    async def _exchanged(self, effort: Effort, use: Callable[[Effort, Exchange], Awaitable[T]]) -> T:
        """One attempt: a request, and redirects to the same host where it is a GET."""
        url = effort.url
        for _ in range(_MOST_REDIRECTS + 1):
            exchange = await self._begun(effort, url)
            try:
                if 200 <= exchange.status < 300:
                    return await use(effort, exchange)
                if effort.call.method != "GET" or not exchange.location:
                    raise await self._refusal(effort, exchange)
                url = self._endpoint.follow(url, exchange.location)
            except BaseException:
                exchange.close()
                raise
            exchange.close()
        raise failed("it sends the call in a circle", reached=True, lasting=True)

    async def _begun(self, effort: Effort, url: str) -> Exchange:
        exchange = await self._admitted(effort)
        begun_s = time.monotonic()
        try:
            await exchange.begin(self._sending(exchange, effort, url), self._left_s(effort))
        except BaseException:
            exchange.close()
            raise
        took_s = time.monotonic() - begun_s
        _log.debug("%s: %d in %.3f s, request %s", effort, exchange.status, took_s, exchange.request_id)
        return exchange

    async def _sending(self, exchange: Exchange, effort: Effort, url: str) -> Response:
        async def note(event: str, facts: dict[str, Any]) -> None:
            # What a proxy is asked first (CONNECT) is no byte of the call.
            if event.endswith("send_request_headers.started") and facts["request"].method != b"CONNECT":
                exchange.reached = True

        clients: _Clients = exchange.lane.client
        client = clients.fresh if effort.call.safety is Safety.ONCE else clients.keeping
        content = effort.payload.content()
        request = client.build_request(
            effort.call.method,
            url,
            headers=effort.payload.headers,
            content=content,
            timeout=_timeout(effort.call, self._left_s(effort)),
            extensions={"trace": note},
        )
        if exchange.secret is not None:
            _sign(request, self._endpoint.key_header, exchange.secret)
        try:
            response = await client.send(request, stream=True)
        finally:
            if isinstance(content, AsyncGenerator):
                await (
                    content.aclose()
                )  # httpx does not, where it fails in the middle, and a file would stay open
        exchange.location = response.extensions.get("location", "")
        return response

    async def _admitted(self, effort: Effort) -> Exchange:
        """The key, and one of the connections."""
        lane = await self._lanes.here()
        try:
            async with asyncio.timeout(self._left_s(effort)):
                secret = await self._endpoint.source()
                await lane.slots.acquire()
                return Exchange(lane, secret, _described)
        except TimeoutError:
            pass
        raise failed("no connection became free, or the key did not come", reached=False, late=True)

    async def _whole(self, effort: Effort, exchange: Exchange) -> Reply:
        body = bytearray()
        while (piece := await exchange.piece(self._left_s(effort))) is not None:
            body += piece
            if len(body) > self._most_bytes:
                raise problems.too_large(
                    effort.call, self._most_bytes, host=self._endpoint.host, backend=self._backend
                )
        exchange.close()
        return Reply(status=exchange.status, headers=exchange.headers, body=bytes(body))

    async def _first(self, effort: Effort, exchange: Exchange) -> tuple[Exchange, bytes | None]:
        return exchange, await exchange.piece(self._left_s(effort))

    async def _refusal(self, effort: Effort, exchange: Exchange) -> Exception:
        """What an answer says that is no good one; as much of it as came."""
        body = bytearray()
        while len(body) < _MOST_OF_A_PROBLEM:
            piece, _ = await settled(exchange.piece(min(CONNECT_S, self._left_s(effort))))
            if piece is None:
                break
            body += piece
        found = problems.read_problem(exchange.headers, bytes(body[:_MOST_OF_A_PROBLEM]), exchange.secret)
        if exchange.status in _REDIRECTS and exchange.location:
            found = problems.Problem(message=f"go to {problems.shown(exchange.location, 100)}")
        refusal = problems.Refusal(status=exchange.status, headers=exchange.headers, problem=found)
        return failed(
            f"it answered {exchange.status}", reached=True, lasting=found.is_lasting, refusal=refusal
        )

    def _error(self, effort: Effort, failure: Failure, verdict: Verdict) -> TunekitError:
        """What the caller is told in the end."""
        tried = f"; tried {effort.tries} times" if effort.tries > 1 else ""
        notes = tried + (f"; {verdict.why}" if verdict.why else "")
        facts: dict[str, Any] = {"host": self._endpoint.host, "backend": self._backend}
        if failure.refusal is not None:
            told = failure.refusal.told(verdict.told_s, notes)
            return problems.refused(told, effort.call, **facts)
        facts["reached"] = failure.outcome.reached
        if failure.late:
            return problems.overdue(
                effort.call, deadline_s=effort.deadline_s, reason=f"{failure.reason}{tried}", **facts
            )
        return problems.lost(effort.call, reason=f"{failure.reason}{notes}", **facts)


class _Again(Exception):
    """The last attempt failed, and there may be another."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


def _pause_s(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return error.wait_s if isinstance(error, _Again) else 0.0


@dataclass(frozen=True, slots=True)
class _Clients:
    """A client that keeps connections, and one that opens a new one for each call.

    A kept connection may be closed by the host at the moment that a call goes out on it, and nobody can tell then
    whether the call was seen. Calls that are ONCE do not run into that doubt.
    """

    keeping: httpx.AsyncClient
    fresh: httpx.AsyncClient

    async def aclose(self) -> None:
        await self.keeping.aclose()
        await self.fresh.aclose()


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


def _tls(endpoint: Endpoint, ca_file: str | None) -> ssl.SSLContext:
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


def _described(error: Exception) -> str:
    """What went wrong, for a person; many of httpx's own messages are empty."""
    words = _WORDS.get(type(error), type(error).__name__)
    return f"{words} ({problems.shown(str(error), 100)})" if str(error) else words


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
