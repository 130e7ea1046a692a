"""Listings of hosts that page as they should, and of hosts that do not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wire.exchange import Request, Response
from tests.wire.inprocess import InProcess
from tunekit.backends.openai import listing
from tunekit.errors import BackendError


def in_circles(length: int) -> InProcess:
    """A host that leads from page to page and back to the first."""

    def handler(request: Request) -> Response:
        after = int(dict(request.query).get("after", 0))
        item = {"id": str(after % length + 1)}
        return Response.of({"data": [item], "has_more": True, "last_id": item["id"]})

    return InProcess(handler=handler)


def item_id(item: Any) -> str:
    return str(item["id"])


async def test_pages_are_read_to_the_end() -> None:
    def handler(request: Request) -> Response:
        after = int(dict(request.query).get("after", 0))
        return Response.of({"data": [{"id": str(after + 1)}], "has_more": after < 4})

    transport = InProcess(handler=handler)
    assert await listing.everything(transport, "/files", item_id) == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("length", [1, 2, 7])
async def test_a_host_that_pages_in_a_circle_is_refused_where_it_begins_again(length: int) -> None:
    transport = in_circles(length)
    with pytest.raises(BackendError, match="no id to go on from"):
        await listing.everything(transport, "/files", item_id)
    assert len(transport.calls) == length + 1


@pytest.mark.parametrize("heeds_after", [True, False])
async def test_a_full_page_of_a_host_that_does_not_say_whether_there_is_more_is_not_the_last(
    heeds_after: bool,
) -> None:
    def handler(request: Request) -> Response:
        query = dict(request.query)
        start = int(query.get("after", 0)) if heeds_after else 0
        stop = min(start + int(query["limit"]), 250 if heeds_after else 10**9)
        return Response.of({"data": [{"id": str(number + 1)} for number in range(start, stop)]})

    transport = InProcess(handler=handler)
    found = await listing.everything(transport, "/files", item_id)
    assert len(set(found)) == (250 if heeds_after else listing.PAGE_SIZE)
    assert len(transport.calls) == (3 if heeds_after else 2)


@pytest.mark.parametrize(
    "body", [{}, {"data": None}, {"error": {"message": "over capacity"}}, {"object": "list", "error": "x"}]
)
async def test_what_is_no_list_is_not_an_empty_one(body: Any) -> None:
    transport = InProcess(handler=lambda request: Response.of(body))
    with pytest.raises(BackendError, match=r"cannot be read"):
        await listing.everything(transport, "/files", item_id)


async def test_an_empty_list_may_be_null() -> None:
    body = {"object": "list", "data": None, "has_more": False}
    assert (
        await listing.everything(InProcess(handler=lambda request: Response.of(body)), "/files", item_id)
        == []
    )
