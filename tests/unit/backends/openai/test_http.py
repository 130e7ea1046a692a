"""What a call over HTTP comes to, against a loopback server that misbehaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest

from tests.unit.backends.openai.calls import CANARY, cancel, ok, once, read, transport
from tests.wire import faults
from tests.wire.exchange import Request, Response
from tests.wire.faults import Fault, FaultyServer
from tunekit.backends import registry
from tunekit.backends.openai.endpoint import Endpoint, KeyHeader
from tunekit.backends.openai.http import HttpTransport
from tunekit.backends.openai.quota import RetryQuota
from tunekit.backends.openai.retrying import PAGE_TRIES
from tunekit.backends.openai.transport import Call, Reply
from tunekit.errors import BackendError, DeadlineError, NotFoundError, SpecError, TunekitError
from tunekit.testing import FakeClock


async def sent(server: FaultyServer, call: Call, **options: Any) -> Reply:
    one = transport(server, **options)
    try:
        return await one.send(call)
    finally:
        await one.aclose()


async def raised(server: FaultyServer, call: Call, **options: Any) -> TunekitError:
    with pytest.raises(TunekitError) as caught:
        await sent(server, call, **options)
    return caught.value


async def test_a_call_and_its_reply() -> None:
    with FaultyServer(ok) as server:
        reply = await sent(
            server, once(query=(("a", "1 &"), ("metadata[k]", "ü")), headers={"X-Extra": "yes"})
        )
    (exchange,) = server.seen
    request = exchange.request
    assert (reply.status, reply.json(), reply.request_id) == (200, {"ok": True}, "req_1")
    assert (request.method, request.path) == ("POST", "/v1/fine_tuning/jobs")
    assert request.query == (("a", "1 &"), ("metadata[k]", "ü"))
    assert request.body == b'{"model":"m"}'
    assert request.headers["authorization"] == f"Bearer {CANARY}"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-extra"] == "yes"
    assert request.headers["user-agent"].startswith("tunekit/")


async def test_other_ways_to_say_who_is_calling() -> None:
    with FaultyServer(ok) as server:
        endpoint = Endpoint(
            server.url,
            key="k1",
            key_header=KeyHeader.API_KEY,
            organization="org-1",
            project="proj-1",
            headers={"X-A": "b"},
        )
        none = Endpoint(server.url, key=None)
        for one in (endpoint, none):
            carrier = HttpTransport(one)
            await carrier.send(read())
            await carrier.aclose()
    first, second = (exchange.request.headers for exchange in server.seen)
    assert first["api-key"] == "k1" and "authorization" not in first
    assert (first["openai-organization"], first["openai-project"], first["x-a"]) == ("org-1", "proj-1", "b")
    assert "api-key" not in second and "authorization" not in second


PASSING = [
    *faults.BROKEN,
    faults.answer(faults.HTML),
    faults.problem(500),
    faults.problem(409),
    faults.problem(408),
    faults.throttled(),
]


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: fault.name)
@pytest.mark.parametrize("call", [read(), cancel()], ids=["read", "repeatable"])
async def test_what_may_be_made_again_is(fault: Fault, call: Call) -> None:
    with FaultyServer(ok, [fault]) as server:
        assert (await sent(server, call)).json() == {"ok": True}
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    "fault", [fault for fault in PASSING if "429" not in fault.name], ids=lambda fault: fault.name
)
async def test_what_may_have_taken_effect_is_not_made_again_and_says_so(fault: Fault) -> None:
    with FaultyServer(ok, [fault]) as server:
        error = await raised(server, once())
    assert isinstance(error, BackendError) and error.ambiguous
    assert "look" in error.hint
    assert len(server.seen) == 1


async def test_a_call_that_is_once_waits_out_what_did_not_let_it_in() -> None:
    told = [faults.throttled({"retry-after-ms": "10"}), faults.throttled(), faults.refused(0.2)]
    with FaultyServer(ok, told) as server:
        await sent(server, once())
        assert len(server.runs) == 1
        await sent(server, once())
    assert len(server.runs) == 2


async def test_a_host_that_is_not_there_is_no_doubt() -> None:
    one = HttpTransport(Endpoint(f"http://127.0.0.1:{faults.closed_port()}", key=CANARY), deadline_s=0.3)
    with pytest.raises(BackendError, match="no connection") as caught:
        await one.send(once())
    assert not caught.value.ambiguous and caught.value.retryable
    await one.aclose()


@pytest.mark.parametrize("fault", [faults.STALL, faults.STALL_IN_REPLY, faults.drip(0.05), faults.late(2.0)])
@pytest.mark.parametrize("call", [read(deadline_s=0.2), once(deadline_s=0.2)], ids=["read", "once"])
async def test_every_call_ends_by_its_deadline(fault: Fault, call: Call) -> None:
    with FaultyServer(ok, [fault]) as server:
        begun = time.monotonic()
        error = await raised(server, call)
        took_s = time.monotonic() - begun
    assert isinstance(error, DeadlineError)
    assert 0.15 < took_s < 1.0
    assert "within 0.2 s" in error.message


@pytest.mark.parametrize(
    "hint", [{"retry-after": "600"}, {"retry-after": "inf"}, {"retry-after-ms": "6000000"}]
)
async def test_a_host_that_asks_for_too_long_is_not_waited_for(hint: dict[str, str]) -> None:
    with FaultyServer(ok, [faults.throttled(hint)]) as server:
        error = await raised(server, read())
    assert isinstance(error, BackendError) and error.retryable
    assert error.details["retry_after_s"] >= 600
    assert "asks to wait" in error.message


async def test_what_the_host_says_of_trying_again_counts() -> None:
    never = faults.answer(Response(status=503, headers={"x-should-retry": "false"}))
    do = faults.answer(Response(status=400, headers={"x-should-retry": "true"}))
    with FaultyServer(ok, [never, do]) as server:
        assert (await raised(server, read())).details["status"] == 503
        await sent(server, read())
    assert len(server.seen) == 3


async def test_an_empty_account_is_not_waited_for() -> None:
    with FaultyServer(
        ok, [faults.problem(429, code="insufficient_quota", message="You exceeded it")]
    ) as server:
        error = await raised(server, read())
    assert "no money" in error.hint and not error.retryable
    assert len(server.seen) == 1


async def test_a_closed_shop_names_who_else_is_installed() -> None:
    fault = faults.problem(403, code="training_not_available", message="winding down")
    with FaultyServer(ok, [fault]) as server:
        error = await raised(server, once())
    assert isinstance(error, BackendError) and not error.ambiguous and not error.retryable
    assert registry.others("openai") and all(name in error.hint for name in registry.others("openai"))
    assert error.details["code"] == "training_not_available"


async def test_what_is_not_there() -> None:
    gone = faults.answer(faults.error_response(404, "No such file", hints={"x-request-id": "req_9"}))
    with FaultyServer(ok, [gone]) as server:
        error = await raised(server, read("/files/file-1"))
    assert isinstance(error, NotFoundError)
    assert "No such file" in error.message and "req_9" in error.message
    assert error.details["request_id"] == "req_9"


async def test_the_quota_of_the_process_ends_trying() -> None:
    quota = RetryQuota(30)
    with FaultyServer(ok, [faults.problem(500)] * 5) as server:
        error = await raised(server, read(), quota=quota)
        assert len(server.seen) == 3 and "too many calls again" in error.message
        for _ in range(5):
            error = await raised(server, read(), quota=quota) if len(server.seen) < 5 else error
        await sent(server, read(), quota=quota)
    assert quota.left == 3  # what went well at once gives back 1


async def test_redirects_within_the_host_are_followed_for_get_alone() -> None:
    with FaultyServer(ok, [faults.redirected("/v1/b"), faults.NONE, faults.redirected("/v1/b")]) as server:
        await sent(server, read("/a"))
        error = await raised(server, once())
        assert [exchange.request.path for exchange in server.seen] == [
            "/v1/a",
            "/v1/b",
            "/v1/fine_tuning/jobs",
        ]
    assert isinstance(error, BackendError) and not error.ambiguous and "/v1/b" in error.message


async def test_a_redirect_to_another_host_gets_no_key() -> None:
    with FaultyServer(ok) as other, FaultyServer(ok, [faults.redirected(other.url + "/v1/a")] * 2) as server:
        for call in (read(), cancel()):
            assert isinstance(await raised(server, call), BackendError)
    assert other.connections == 0


async def test_a_redirect_in_a_circle_ends() -> None:
    with FaultyServer(ok, [faults.redirected("/v1/models")] * 100) as server:
        assert "circle" in (await raised(server, read())).message
    assert len(server.seen) == 6


@pytest.mark.parametrize(
    "fault", [faults.gzip_bomb(), faults.answer(Response(body=bytes(3_000_000)), runs=True)]
)
async def test_a_reply_without_end_is_not_read(fault: Fault) -> None:
    with FaultyServer(ok, [fault]) as server:
        error = await raised(server, read(), most_bytes=2_000_000)
        assert isinstance(error, BackendError) and "2,000,000 bytes" in error.message
        await sent(server, read())


def gzip_in_drops(drop: bytes) -> Response:
    """A gzip header, and then blocks of deflate that hold nothing."""
    head = bytes.fromhex("1f8b0800000000000003")
    return Response(headers={"content-encoding": "gzip"}, body=head + drop * 1000)


@pytest.mark.parametrize("as_stream", [False, True])
async def test_packed_bytes_that_hold_nothing_do_not_put_the_deadline_off(as_stream: bool) -> None:
    with FaultyServer(lambda _: gzip_in_drops(b"\0\0\0\xff\xff"), [faults.drip(0.02)]) as server:
        one = transport(server, drain_s=0.1)
        call, begun = read(deadline_s=0.3), time.monotonic()
        with pytest.raises(DeadlineError):
            await (pieces(one, call) if as_stream else one.send(call))
        assert time.monotonic() - begun < 1.0
        await one.aclose()


async def test_a_packing_that_nobody_asked_for_is_not_asked_for_again() -> None:
    with FaultyServer(lambda _: Response(headers={"content-encoding": "br"}, body=b"{}")) as server:
        assert "'br'" in (await raised(server, read())).message
    assert len(server.seen) == 1


async def test_a_late_end_says_what_went_wrong_before() -> None:
    with FaultyServer(ok, [faults.problem(503), faults.STALL]) as server:
        error = await raised(server, read(deadline_s=1.5), drain_s=0.1)
    assert isinstance(error, DeadlineError)
    assert "tried 2 times, and before that: it answered 503" in error.message


ODD = [
    b"",
    b"null",
    b"[]",
    b"7",
    b'"no"',
    b'{"error": 7}',
    b'{"error": {}}',
    b'{"error": [[[',
    b"\xff\xfe\x00",
]


@pytest.mark.parametrize("body", [*ODD, b"[" * 60_000, b'{"error": {"message": {"a": 1}, "code": [1]}}'])
async def test_errors_with_odd_bodies_are_typed(body: bytes) -> None:
    with FaultyServer(ok, [faults.answer(Response(status=400, body=body))]) as server:
        error = await raised(server, read())
    assert isinstance(error, BackendError) and error.details["status"] == 400 and error.hint


async def pieces(one: HttpTransport, call: Call) -> Sequence[bytes]:
    return [piece async for piece in one.stream(call)]


async def test_a_stream_gives_what_comes_when_it_comes() -> None:
    def events(_: Request) -> Response:
        return Response(headers={"content-type": "text/event-stream"}, body=b"data: 1\n\n" * 10)

    with FaultyServer(events, [faults.problem(503), faults.LOST_REPLY, faults.drip(0.001)]) as server:
        one = transport(server)
        got = await pieces(one, cancel())
        assert b"".join(got) == b"data: 1\n\n" * 10 and len(got) > 3
        await one.aclose()
    assert len(server.seen) == 3


async def test_a_stream_that_breaks_after_its_first_piece_is_not_begun_again() -> None:
    with FaultyServer(ok, [faults.TRUNCATED]) as server:
        one = transport(server)
        stream = one.stream(read())
        assert await anext(stream) == b'{"ok": '
        with pytest.raises(BackendError):
            await anext(stream)
        await one.aclose()
    assert len(server.seen) == 1


async def test_a_stream_that_falls_silent_ends() -> None:
    with FaultyServer(ok, [faults.STALL_IN_REPLY]) as server:
        one = transport(server, drain_s=0.1)
        with pytest.raises(DeadlineError):
            await pieces(one, read(deadline_s=0.2))
        await one.aclose()


async def test_a_reader_may_leave_a_stream() -> None:
    with FaultyServer(lambda _: Response(body=bytes(5_000_000))) as server:
        one = transport(server, connections=1)
        for _ in range(3):
            stream = one.stream(read())
            assert await anext(stream)
            await stream.aclose()  # type: ignore[attr-defined]
        await asyncio.wait_for(one.send(read(deadline_s=5.0, takes_bytes=True)), 6)
        await one.aclose()


@pytest.mark.parametrize("body", [{"a": float("nan")}, {"a": object()}, {"a": "\ud800"}])
async def test_a_body_that_is_no_json_is_not_sent(body: dict[str, Any]) -> None:
    with FaultyServer(ok) as server:
        assert isinstance(await raised(server, once(body=body)), SpecError)
    assert not server.seen


@pytest.mark.parametrize(
    "call",
    [
        read("/files/../models"),
        read("/files/."),
        read("models"),
        read("/a b"),
        read("/a\nb"),
        read("/a?b"),
        read("/a%2"),
        read("/ü"),
        read("/a", query=(("a", "\ud800"),)),
        read("/a", query=(("a", "b" * 70_000),)),
        cancel("/a", form=(("a", "\ud800"),)),
    ],
)
async def test_an_address_that_leads_elsewhere_is_not_called(call: Call) -> None:
    with FaultyServer(ok) as server:
        assert isinstance(await raised(server, call), SpecError)
    assert not server.seen


async def test_a_page_in_place_of_what_is_read_is_there_for_a_moment() -> None:
    page = faults.answer(faults.PAGE, runs=True)
    with FaultyServer(ok, [page, faults.answer(Response())]) as server:
        assert (await sent(server, read())).json() == {"ok": True}
    assert len(server.seen) == 3


async def test_a_page_that_stays_is_an_error_that_may_pass_and_comes_soon() -> None:
    with FaultyServer(lambda _: faults.PAGE) as server:
        error = await raised(server, read(deadline_s=60.0))
        assert len(server.seen) == PAGE_TRIES
    assert isinstance(error, BackendError) and error.retryable and not error.ambiguous
    assert "web page" in error.message and "base_url" in error.hint


async def test_a_file_may_hold_a_page() -> None:
    with FaultyServer(lambda _: faults.PAGE) as server:
        assert (await sent(server, read(takes_bytes=True))).body == faults.PAGE.body
    assert len(server.seen) == 1


async def test_a_host_that_asks_for_no_pause_makes_nobody_hurry() -> None:
    quota = RetryQuota()
    with FaultyServer(lambda _: Response(status=429, headers={"retry-after": "0"})) as server:
        error = await raised(server, read(), clock=FakeClock(), deadline_s=120.0, quota=quota)
    assert error.retryable and len(server.seen) < 30
    assert quota.left > 0, "other hosts of this process may still be asked again"
