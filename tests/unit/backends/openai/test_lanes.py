"""Seats are given and taken back in any order, and every client is closed in the end. Knows no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tunekit.backends.openai.lanes import Lane


class Client:
    def __init__(self) -> None:
        self.closed = 0

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.closed += 1


async def a_lane(clients: Iterator[Client | Exception], *, connections: int = 2) -> Lane[Client]:
    def make() -> Client:
        made = next(clients)
        if isinstance(made, Exception):
            raise made
        return made

    lane = Lane(make, connections=connections, drain_s=0.1, idle_s=30.0)
    await lane.open()
    return lane


async def test_a_seat_that_comes_back_while_the_lane_begins_to_close_is_closed_too() -> None:
    clients = [Client(), Client()]
    lane = await a_lane(iter(clients))
    first, second = await lane.take(), await lane.take()
    assert first and second
    lane.give_back(first)
    ending = lane.end()
    lane.give_back(second)
    await ending
    assert [client.closed for client in clients] == [1, 1]
    assert await lane.take() is None


async def test_the_last_seat_that_came_back_is_the_next_that_is_taken() -> None:
    lane = await a_lane(iter([Client(), Client()]))
    first, second = await lane.take(), await lane.take()
    assert first and second
    lane.give_back(first)
    lane.give_back(second)
    assert await lane.take() is second
    await lane.aclose()


async def test_a_spoilt_client_is_closed_and_a_new_one_made() -> None:
    old, new = Client(), Client()
    lane = await a_lane(iter([old, new]), connections=1)
    seat = await lane.take()
    assert seat
    seat.spoilt = True
    lane.give_back(seat)
    again = await lane.take()
    assert again and again.client is new
    await lane.aclose()
    assert (old.closed, new.closed) == (1, 1)


async def test_a_client_that_cannot_be_made_takes_no_seat() -> None:
    lane = await a_lane(iter([ValueError("no"), Client()]), connections=1)
    with pytest.raises(ValueError, match="no"):
        await lane.take()
    async with asyncio.timeout(1.0):
        assert await lane.take()
    await lane.aclose()


async def test_whoever_waits_for_a_seat_hears_that_there_will_be_none() -> None:
    lane = await a_lane(iter([Client()]), connections=1)
    seat = await lane.take()
    assert seat
    waiting = [asyncio.ensure_future(lane.take()) for _ in range(3)]
    await asyncio.sleep(0)
    ending = lane.end()
    lane.give_back(seat)
    async with asyncio.timeout(1.0):
        assert await asyncio.gather(*waiting) == [None, None, None]
    await ending


@pytest.mark.parametrize("closes_first", [True, False])
def test_a_loop_that_ends_closes_once_whatever_was_closed_before(closes_first: bool) -> None:
    client = Client()

    async def main() -> None:
        lane = await a_lane(iter([client]))
        assert await lane.take()
        if closes_first:
            lane.end()  # and the loop ends in the middle of it

    asyncio.run(main())
    assert client.closed == 1
