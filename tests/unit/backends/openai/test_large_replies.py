"""A reply of many megabytes is read beside the event loop, which goes on meanwhile."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tunekit.backends.openai import listing, wire
from tunekit.backends.openai.transport import LARGE_BYTES, Call, Reply
from tunekit.errors import BackendError


class Ready:
    """A transport with one reply that is there at once."""

    def __init__(self, body: bytes) -> None:
        self.reply = Reply(status=200, headers={}, body=body)

    async def send(self, call: Call) -> Reply:
        return self.reply


def models(count: int) -> bytes:
    items = [{"id": f"ft:{at}", "object": "model", "created": 1, "x": "y" * 300} for at in range(count)]
    return json.dumps({"object": "list", "data": items}).encode()


async def turns_during(work: Any) -> int:
    """How often others have their turn while it is done."""
    turns, task = 0, asyncio.ensure_future(work)
    while not task.done():
        turns += 1
        await asyncio.sleep(0.001)
    await task
    return turns


async def test_the_loop_goes_on_while_a_large_listing_is_read() -> None:
    transport: Any = Ready(models(60_000))
    assert await turns_during(listing.everything(transport, "/models", wire.model)) > 10


@pytest.mark.parametrize("size", [10, LARGE_BYTES + 10])
async def test_a_reply_is_read_alike_whatever_its_size(size: int) -> None:
    reply = Reply(status=200, headers={}, body=b'\xef\xbb\xbf{"a": [{"b": "%s"}]}' % (b"x" * size))
    assert await reply.read(lambda body: len(body["a"][0]["b"])) == size
    broken = Reply(status=200, headers={}, body=b"{" + b"x" * size)
    with pytest.raises(BackendError, match="not JSON") as caught:
        await broken.read(lambda body: body)
    assert caught.value.ambiguous
