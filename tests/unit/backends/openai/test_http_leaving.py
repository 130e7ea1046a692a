"""Transports that are closed, dropped or cut off at any moment: no socket stays open, and no call waits for ever.

Warnings are errors here: a socket that only the garbage collector closes fails the test that left it.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tests.unit.backends.openai.calls import CANARY, Hasty, ok, once, read, transport
from tests.wire import faults
from tests.wire.faults import FaultyServer
from tunekit.backends.openai.endpoint import Endpoint
from tunekit.backends.openai.http import HttpTransport
from tunekit.errors import BackendError, DeadlineError, TunekitError


async def until(true: Callable[[], bool], *, patience_s: float = 5.0) -> None:
    async with asyncio.timeout(patience_s):
        while not true():  # noqa: ASYNC110 (it is another thread that it waits for)
            await asyncio.sleep(0.01)


async def until_nobody_is_connected(server: FaultyServer) -> None:
    gc.collect()
    await until(lambda: not server.connected)


class Deaf:
    """Takes connections, has a few words for what it hears first, and then says nothing."""

    def __init__(self, *words: bytes) -> None:
        self.words = words
        self.accepted = self.left = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        words = iter(self.words)
        try:
            while await reader.read(1000):
                writer.write(next(words, b""))
        except ConnectionError:
            pass
        finally:
            self.left += 1
            writer.close()


@asynccontextmanager
async def deaf(*words: bytes) -> AsyncIterator[tuple[Deaf, str]]:
    one = Deaf(*words)
    async with await asyncio.start_server(one.serve, "127.0.0.1", 0) as server:
        yield one, f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await until(lambda: one.left == one.accepted)


async def test_a_transport_that_is_dropped_closes_what_it_opened() -> None:
    with FaultyServer(ok) as server:
        one = transport(server)
        await asyncio.gather(*(one.send(read()) for _ in range(5)))
        assert server.connected == 5
        del one
        await until_nobody_is_connected(server)


async def test_a_transport_that_is_dropped_with_a_call_left_behind() -> None:
    with FaultyServer(ok, [faults.STALL]) as server:
        one = transport(server, drain_s=0.1)
        with pytest.raises(DeadlineError):
            await one.send(once(deadline_s=0.1))
        del one
        await until_nobody_is_connected(server)


def test_a_loop_that_does_not_run_closes_it_when_it_runs_again() -> None:
    loop = asyncio.new_event_loop()
    with FaultyServer(ok) as server:
        one = transport(server)
        loop.run_until_complete(one.send(read()))
        del one
        gc.collect()
        loop.run_until_complete(until_nobody_is_connected(server))
        two = transport(server)
        loop.run_until_complete(two.send(read()))
        asyncio.run(two.aclose())  # from another loop
        del two
        gc.collect()
        loop.run_until_complete(until_nobody_is_connected(server))
    loop.close()


@pytest.mark.parametrize("leave", [HttpTransport.aclose, None], ids=["closed", "at its deadline"])
async def test_a_handshake_that_is_cut_leaves_no_socket(
    leave: Callable[[HttpTransport], Awaitable[None]] | None,
) -> None:
    async with deaf() as (host, address):
        one = HttpTransport(Endpoint(f"https://{address}", key=CANARY), drain_s=0.05)
        call = asyncio.ensure_future(one.send(read(deadline_s=30.0 if leave else 0.1)))
        await until(lambda: host.accepted == 1)
        if leave:
            await leave(one)
        with pytest.raises(TunekitError) as caught:
            await call
        assert isinstance(caught.value, BackendError if leave else DeadlineError)
        await until(lambda: host.left == 1)
        await one.aclose()


async def test_handshakes_that_fail_behind_a_proxy_take_no_connection_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with deaf(b"HTTP/1.1 200 OK\r\n\r\n", b"this is no handshake") as (proxy, address):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{address}")
        endpoint = Endpoint("https://example.invalid", key=CANARY)
        one = HttpTransport(endpoint, connections=1, deadline_s=0.5, draw=lambda: 0.0, clock=Hasty())
        with pytest.raises(TunekitError, match="WRONG_VERSION_NUMBER") as caught:
            await one.send(once())
        assert not caught.value.details["reached"]
        assert proxy.accepted > 1  # each attempt had a connection
        await one.aclose()


async def test_closing_ends_calls_and_they_are_not_made_again() -> None:
    with FaultyServer(ok, [faults.STALL]) as server:
        one = transport(server, connections=1)
        under_way = asyncio.ensure_future(one.send(read()))
        await until(lambda: len(server.seen) == 1)
        waiting = asyncio.ensure_future(one.send(read()))
        await asyncio.sleep(0)
        await one.aclose()
        for call in (under_way, waiting):
            with pytest.raises(BackendError, match="the transport was closed"):
                await call
        await until_nobody_is_connected(server)
        assert len(server.seen) == 1
        await one.send(read())  # it may be used again
        await one.aclose()


async def test_closing_ends_a_call_that_waits_to_be_made_again() -> None:
    with FaultyServer(ok, [faults.throttled({"retry-after": "10"})]) as server:
        one = transport(server, deadline_s=60.0)
        call = asyncio.ensure_future(one.send(read()))
        await until(lambda: len(server.seen) == 1)
        await one.aclose()
        with pytest.raises(BackendError, match="the transport was closed"):
            await call
        assert len(server.seen) == 1


async def test_closing_ends_a_stream_that_somebody_reads() -> None:
    with FaultyServer(ok, [faults.STALL_IN_REPLY]) as server:
        one = transport(server)
        stream = one.stream(read())
        await anext(stream)
        await one.aclose()
        with pytest.raises(BackendError):
            await anext(stream)
        await until_nobody_is_connected(server)


async def test_whoever_stops_waiting_for_the_end_does_not_stop_it() -> None:
    with FaultyServer(ok, [faults.STALL]) as server:
        one = transport(server)
        call = asyncio.ensure_future(one.send(once()))
        await until(lambda: len(server.seen) == 1)
        closing = asyncio.ensure_future(one.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(BackendError):
            await call
        await until_nobody_is_connected(server)


async def test_clients_that_nobody_uses_are_let_go() -> None:
    with FaultyServer(ok, [faults.late(0.1)] * 4) as server:
        one = transport(server, idle_s=0.3)
        await asyncio.gather(*(one.send(read()) for _ in range(4)))
        assert server.connected == 4
        async with asyncio.timeout(5.0):
            while server.connected > 1:
                await asyncio.sleep(0.05)
                await one.send(read())
        assert server.connections == 4  # one of them served all the later calls
        await one.aclose()


@pytest.mark.parametrize("drain_s", [0.0, 0.005])
async def test_calls_cut_at_any_moment_leave_no_socket_and_no_seat(drain_s: float) -> None:
    with FaultyServer(ok) as server:
        one = transport(server, connections=3, drain_s=drain_s)
        for after_s in [0.0005 * at for at in range(40)]:
            calls = [
                asyncio.ensure_future(one.send(each(deadline_s=5.0))) for each in (read, once, read, once)
            ]
            await asyncio.sleep(after_s)
            for call in calls:
                call.cancel()
        replies = await asyncio.gather(*(one.send(read()) for _ in range(10)))
        assert len(replies) == 10
        await one.aclose()
        await until_nobody_is_connected(server)
