"""Whose turn it is to work on a pipeline. Knows leases and their beat; not what is done meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tunekit.errors import StaleLeaseError, TunekitError
from tunekit.store.base import Lease, RunStore

LEASE_S = 60.0
BEAT_S = 5.0
_log = logging.getLogger(__name__)


@asynccontextmanager
async def turn(store: RunStore, pipeline: str) -> AsyncIterator[Lease | None]:
    """The right to work on a pipeline while the block lasts; None while another live process has it.

    A process that is killed loses it at once, to whoever asks on the same host; elsewhere after `LEASE_S`.

    Args:
        store: Who keeps leases.
        pipeline: What it is about.
    """
    taking = asyncio.ensure_future(asyncio.to_thread(store.acquire, f"retrain/{pipeline}", ttl_s=LEASE_S))
    try:
        lease = await asyncio.shield(taking)
    except asyncio.CancelledError:  # the thread takes it all the same, and nobody would give it back
        lease = await taking
        if lease is not None:
            await asyncio.to_thread(_release, store, lease)
        raise
    if lease is None:
        yield None
        return
    beating = asyncio.create_task(_beat(store, lease))
    try:
        yield lease
    finally:
        beating.cancel()
        await asyncio.shield(asyncio.to_thread(_release, store, lease))


async def _beat(store: RunStore, lease: Lease) -> None:
    while True:
        await asyncio.sleep(BEAT_S)
        try:
            await asyncio.to_thread(store.heartbeat, lease)
        except StaleLeaseError as error:
            _log.warning("pipeline %s was taken over: %s", lease.name, error.message)
            return  # the next transition is refused, and that ends the work
        except TunekitError as error:
            _log.warning("could not keep the lease of %s: %s", lease.name, error.message)


def _release(store: RunStore, lease: Lease) -> None:
    try:
        store.release(lease)
    except TunekitError as error:
        _log.warning("could not release the lease of %s, which ends by itself: %s", lease.name, error.message)
