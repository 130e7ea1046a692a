"""Listings read page by page to their end. Knows `after` and `has_more`; not what is listed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any, TypeVar

from tunekit.backends.openai import wire
from tunekit.backends.openai.transport import Call, Query, Safety, Transport

T = TypeVar("T")

PAGE_SIZE = 100
MAX_PAGES = 10_000
"""A host that lists for ever is broken; a million items is more than any account has."""


async def pages(
    transport: Transport,
    path: str,
    read: Callable[[Any], T],
    *,
    query: Query = (),
    size: int | None = PAGE_SIZE,
) -> AsyncGenerator[wire.Page[T], None]:
    """The pages of a listing, one call for each.

    An item may come twice where the list grows while it is read; whoever reads must expect that.

    Args:
        transport: Carries the calls.
        path: Of the listing.
        read: Makes an item of its JSON.
        query: Narrows it.
        size: Items of a page; None leaves that to the host.

    Raises:
        BackendError: A page is none, or there are more of them and no way on: what is missing nobody would know.
    """
    after, seen = "", {""}
    for _ in range(MAX_PAGES):
        asked = (*query, *((("limit", str(size)),) if size else ()), *((("after", after),) if after else ()))
        reply = await transport.send(Call(method="GET", path=path, safety=Safety.READ, query=asked))
        page = await reply.read(lambda body: wire.page(body, read))
        yield page
        if page.has_more is None:  # a full page of a host that never says so may not be the last
            has_more = bool(size) and len(page.items) == size and page.last_id not in seen
        else:
            has_more = page.has_more
        if not has_more:
            return
        if page.last_id in seen:
            raise wire.unreadable(f"the list {path}", "there is more of it, and no id to go on from")
        after = page.last_id
        seen.add(after)
    raise wire.unreadable(f"the list {path}", f"it has more than {MAX_PAGES} pages")


async def everything(
    transport: Transport,
    path: str,
    read: Callable[[Any], T],
    *,
    query: Query = (),
    size: int | None = PAGE_SIZE,
) -> list[T]:
    """All items of a listing, in its order.

    Raises:
        BackendError: As `pages`.
    """
    return [
        item async for page in pages(transport, path, read, query=query, size=size) for item in page.items
    ]
