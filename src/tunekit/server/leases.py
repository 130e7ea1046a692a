"""Turns of processes: whoever holds a lease is at work, and the others leave it alone. Knows nothing of the work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tunekit.server.service import Service, blocking
from tunekit.store.base import Lease

_LEASE_S = 60.0
_LOOK_AGAIN_S = 1.0


@asynccontextmanager
async def turn(service: Service, name: str) -> AsyncIterator[bool]:
    """Whether it is our turn; while the block lasts, it is nobody else's. Where it is not, a second passes first."""
    lease = await blocking(lambda: service.store.acquire(name, ttl_s=_LEASE_S))
    if lease is None:
        await asyncio.sleep(_LOOK_AGAIN_S)  # and write nothing: that would be in its way
        yield False
        return
    beating = asyncio.create_task(_beat(service, lease))
    try:
        yield True
    finally:
        beating.cancel()
        await blocking(service.store.release, lease)


async def _beat(service: Service, lease: Lease) -> None:
    while True:
        await asyncio.sleep(_LEASE_S / 4)
        await blocking(service.store.heartbeat, lease)
