"""Calls over HTTP, made again where that is safe. The one file that knows tenacity; knows no API, and no HTTP library.

Each event loop has clients of its own (a "lane" with "seats"), because connections belong to loops. What has begun is
let end: whoever stops waiting leaves a task behind that is drained, so that its connection can be used again. What
cannot be drained in `drain_s` is cancelled after all, and its seat gets a new client.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, NoReturn, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from tunekit._clock import Clock, SystemClock
from tunekit.backends.openai import problems
from tunekit.backends.openai.clients import CONNECT_S, Clients, described, trust
from tunekit.backends.openai.effort import Effort, Payload, address
from tunekit.backends.openai.endpoint import Endpoint
from tunekit.backends.openai.exchange import CLOSED, Exchange, Failure, failed, settled
from tunekit.backends.openai.lanes import Lanes
from tunekit.backends.openai.quota import PROCESS_QUOTA, RetryQuota
from tunekit.backends.openai.retrying import Verdict, decide
from tunekit.backends.openai.transport import LARGE_BYTES, Call, Reply, Safety
from tunekit.errors import TunekitError, UnsupportedError

T = TypeVar("T")
_log = logging.getLogger(__name__)

CONNECTIONS = 100
"""As many as httpx opens. A call costs the same with 16 and with 100 of them, so that more only shortens the queue at a
slow host (docs/performance.md); many thousands of jobs share them."""
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
        idle_s: How long a connection is kept that nobody uses.
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
        connections: int = CONNECTIONS,
        drain_s: float = 5.0,
        idle_s: float = 30.0,
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
        self._draw = draw or random.SystemRandom().random  # which a fork does not double
        make = partial(Clients, endpoint, trust(endpoint, ca_file), idle_s=idle_s)
        self._lanes = Lanes(make, connections=connections, drain_s=drain_s, idle_s=idle_s)
        # Where nobody closes it, what it has opened is closed all the same, by the loops that it was opened in.
        weakref.finalize(self, self._lanes.let_go).atexit = False

    def __repr__(self) -> str:
        return f"HttpTransport({self._endpoint!r})"

    def __reduce__(self) -> NoReturn:
        raise UnsupportedError(
            "a transport cannot be pickled or copied: it holds a key and connections",
            hint="make one in the process that needs it",
        )

    async def send(self, call: Call) -> Reply:
        """Make a call and wait for the whole answer. Raises what `Transport.send` does, and `SpecError`."""
        return await self._insist(await self._effort(call), self._whole)

    async def stream(self, call: Call) -> AsyncIterator[bytes]:
        """Make a call and give its body in pieces as it comes. Raises what `send` does."""
        effort = await self._effort(call)
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

    async def _effort(self, call: Call) -> Effort:
        deadline_s = self._deadline_s if call.deadline_s is None else call.deadline_s
        return Effort(
            call=call,
            url=address(self._endpoint.base_url, call),
            payload=Payload(call),
            lane=await self._lanes.here(),
            deadline_s=deadline_s,
            ends=self._clock.monotonic() + deadline_s,
        )

    def _left_s(self, effort: Effort) -> float:
        return max(0.0, effort.ends - self._clock.monotonic())

    async def _insist(self, effort: Effort, use: Callable[[Effort, Exchange], Awaitable[T]]) -> T:
        """Make attempts until one goes well or there must be no more."""
        await asyncio.sleep(
            0
        )  # where a thousand calls are begun at once, others come in between their two halves
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
        effort.cost, effort.before = verdict.cost, failure.reason
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
                url = self._endpoint.follow(url, exchange.location) or self._elsewhere(exchange)
            except BaseException:
                exchange.close()
                raise
            exchange.close()
        raise failed("it sends the call in a circle", reached=True, lasting=True)

    async def _begun(self, effort: Effort, url: str) -> Exchange:
        exchange = await self._admitted(effort)
        begun_s = time.monotonic()
        try:
            left_s = self._left_s(effort)
            await exchange.begin(exchange.seat.client.send(exchange, effort, url, left_s), left_s)
        except BaseException:
            exchange.close()
            raise
        took_s = time.monotonic() - begun_s
        _log.debug("%s: %d in %.3f s, request %s", effort, exchange.status, took_s, exchange.request_id)
        return exchange

    async def _admitted(self, effort: Effort) -> Exchange:
        """The key, and one of the connections."""
        try:
            async with asyncio.timeout(self._left_s(effort)):
                secret = await self._endpoint.source()
                if (seat := await effort.lane.take()) is not None:
                    return Exchange(effort.lane, seat, secret, described)
        except TimeoutError:
            failure = failed("no connection became free, or the key did not come", reached=False, late=True)
        else:
            failure = failed(CLOSED, reached=False, lasting=True)
        raise failure

    async def _whole(self, effort: Effort, exchange: Exchange) -> Reply:
        pieces, size = [], 0
        while (piece := await exchange.piece(self._left_s(effort))) is not None:
            pieces.append(piece)
            size += len(piece)
            if size > self._most_bytes:
                raise problems.too_large(
                    effort.call, self._most_bytes, host=self._endpoint.host, backend=self._backend
                )
        # To put many megabytes together takes longer than others may have to wait, and needs no lock of Python's.
        body = b"".join(pieces) if size < LARGE_BYTES else await asyncio.to_thread(b"".join, pieces)
        reply = Reply(status=exchange.status, headers=exchange.headers, body=body)
        if effort.call.safety is Safety.READ and not effort.call.takes_bytes and not reply.may_be_json:
            raise self._page(exchange, reply.body)
        exchange.close()
        return reply

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
        found = problems.read_problem(exchange.headers, bytes(body[:_MOST_OF_A_PROBLEM]))
        if exchange.status in _REDIRECTS and exchange.location:
            found = problems.Problem(message=f"go to {problems.shown(exchange.headers['location'], 100)}")
        return _refused(exchange, found)

    def _page(self, exchange: Exchange, body: bytes) -> Exception:
        """What a good status says whose body is none: often a proxy's page for the moment."""
        found = problems.read_problem(exchange.headers, body[:_MOST_OF_A_PROBLEM])
        return _refused(exchange, found if found.message else problems.Problem(message="nothing"))

    def _elsewhere(self, exchange: Exchange) -> NoReturn:
        raise problems.elsewhere(
            exchange.headers["location"], host=self._endpoint.host, backend=self._backend
        )

    def _error(self, effort: Effort, failure: Failure, verdict: Verdict) -> TunekitError:
        """What the caller is told in the end."""
        tried = f"; tried {effort.tries} times" if effort.tries > 1 else ""
        if failure.late and effort.before:
            tried += f", and before that: {effort.before}"
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


def _refused(exchange: Exchange, problem: problems.Problem) -> Exception:
    refusal = problems.Refusal(status=exchange.status, headers=exchange.headers, problem=problem)
    return failed(f"it answered {exchange.status}", reached=True, lasting=problem.is_lasting, refusal=refusal)


class _Again(Exception):
    """The last attempt failed, and there may be another."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


def _pause_s(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return error.wait_s if isinstance(error, _Again) else 0.0
