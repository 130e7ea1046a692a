"""Cancelled awaits, several loops, threads and forks: none of them harms a call that comes later."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from random import Random

import pytest

from tests.unit.backends.openai.calls import ok, once, read, transport
from tests.wire import faults
from tests.wire.exchange import Request, Response
from tests.wire.faults import FaultyServer
from tunekit.backends.openai.http import HttpTransport
from tunekit.errors import BackendError


async def until_seen(server: FaultyServer, requests: int) -> None:
    while len(server.seen) < requests:  # noqa: ASYNC110 (it is another thread that appends)
        await asyncio.sleep(0.01)


async def storm(one: HttpTransport, cancels: int, random: Random) -> int:
    """Begin calls and cancel each after a moment; how many were still under way."""

    async def begun_and_cancelled(call_s: float) -> bool:
        task = asyncio.ensure_future(one.send(read(deadline_s=30.0)))
        await asyncio.sleep(call_s)
        return task.cancel()

    cancelled = 0
    for _ in range(0, cancels, 50):
        delays = [random.choice([0.0, random.random() * 0.02]) for _ in range(50)]
        cancelled += sum(await asyncio.gather(*map(begun_and_cancelled, delays)))
    return cancelled


async def served_after_a_storm(cancels: int) -> int:
    random = Random(0)

    def slow(_: Request) -> Response:
        time.sleep(random.random() * 0.002)
        return Response(body=b"{}" * random.choice([1, 50_000]))

    with FaultyServer(slow) as server:
        one = transport(server, connections=2)
        cancelled = await storm(one, cancels, random)
        assert cancelled > cancels / 4
        replies = await asyncio.gather(*(one.send(read()) for _ in range(100)))
        await one.aclose()
    return sum(reply.status == 200 for reply in replies)


async def test_1500_cancelled_awaits_then_100_calls_all_served() -> None:
    assert await served_after_a_storm(1500) == 100


@pytest.mark.soak
async def test_10000_cancelled_awaits_then_100_calls_all_served() -> None:
    assert await served_after_a_storm(10_000) == 100


async def test_calls_left_behind_at_a_silent_host_do_not_hold_the_others_up() -> None:
    with FaultyServer(ok, [faults.STALL] * 5) as server:
        one = transport(server, connections=5, drain_s=0.1)
        left = [asyncio.ensure_future(one.send(read(deadline_s=60.0))) for _ in range(5)]
        await until_seen(server, 5)
        for task in left:
            task.cancel()
        replies = await asyncio.gather(*(one.send(read()) for _ in range(20)))
        await one.aclose()
    assert len(replies) == 20


async def test_a_cancelled_call_gives_its_place_to_the_next_when_it_has_ended() -> None:
    with FaultyServer(ok, [faults.late(0.2)]) as server:
        one = transport(server, connections=1)
        task = asyncio.ensure_future(one.send(read()))
        await until_seen(server, 1)
        task.cancel()
        begun = time.monotonic()
        await one.send(read())
        assert time.monotonic() - begun > 0.1  # it was let end, not cut off
        await one.aclose()


def test_one_transport_in_several_loops_one_after_the_other() -> None:
    with FaultyServer(ok) as server:
        one = transport(server)
        for _ in range(4):
            assert asyncio.run(one.send(read())).status == 200
            assert asyncio.run(one.send(once())).status == 200
    assert server.connections == 8


def test_one_transport_in_several_threads_at_once() -> None:
    done: list[int] = []

    async def some() -> None:
        done.extend([(await one.send(read())).status for _ in range(20)])

    with FaultyServer(ok) as server:
        one = transport(server)
        threads = [threading.Thread(target=asyncio.run, args=(some(),)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert done == [200] * 160
    assert server.connections == 8


async def test_closing_reaches_the_other_loops() -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    with FaultyServer(ok) as server:
        one = transport(server)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(one.send(read()), loop))
        await one.send(read())
        await one.aclose()
        await one.send(read())  # it may be used again
        await one.aclose()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    assert server.connections == 3


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_after_a_fork_both_sides_are_served_on_their_own_connections() -> None:
    with FaultyServer(ok) as server:
        one = transport(server)
        loop = asyncio.new_event_loop()
        loop.run_until_complete(one.send(read()))
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                statuses = [asyncio.run(one.send(read())).status for _ in range(2)]
                os.write(writing, bytes([statuses == [200, 200]]))
            finally:
                os._exit(0)
        assert os.read(reading, 1) == b"\x01"
        os.waitpid(child, 0)
        assert loop.run_until_complete(one.send(read())).status == 200
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        os.close(reading)
        os.close(writing)
    assert server.connections == 3  # one of the parent, used twice, and one for each loop of the child


async def test_a_loop_that_is_full_says_so() -> None:
    with FaultyServer(ok, [faults.late(1.0)]) as server:
        one = transport(server, connections=1)
        first = asyncio.ensure_future(one.send(read()))
        await until_seen(server, 1)
        with pytest.raises(TimeoutError, match="no connection became free"):
            await one.send(once(deadline_s=0.1))
        assert (await first).status == 200
        await one.aclose()
    assert len(server.seen) == 1


async def test_a_transport_that_is_closed_under_a_call_ends_it() -> None:
    with FaultyServer(ok, [faults.STALL]) as server:
        one = transport(server)
        task = asyncio.ensure_future(one.send(once()))
        await until_seen(server, 1)
        await one.aclose()
        with pytest.raises(BackendError) as caught:
            await task
    assert caught.value.ambiguous
