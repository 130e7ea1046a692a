"""The misbehaving server does what it says, as a plain socket sees it."""

from __future__ import annotations

import socket
import time
from random import Random

import pytest

from tests.wire import faults
from tests.wire.exchange import Request, Response
from tests.wire.faults import Fault, FaultyServer
from tests.wire.random_faults import any_fault

REQUEST = b"POST /v1/jobs?a=1&b= HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"


def echo(request: Request) -> Response:
    return Response(body=request.body)


def said(server: FaultyServer, *, patience_s: float = 5.0) -> bytes:
    """All that the server says to one request on a new connection, until it closes or falls silent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=patience_s) as one:
        one.sendall(REQUEST)
        answer = b""
        while chunk := one.recv(1 << 16):
            answer += chunk
        return answer


def test_a_server_without_faults_runs_the_handler_and_remembers_what_came() -> None:
    with FaultyServer(echo) as server:
        assert said(server).endswith(b"\r\n\r\nhello")
    (exchange,) = server.seen
    assert exchange.ran
    assert (exchange.request.method, exchange.request.path) == ("POST", "/v1/jobs")
    assert exchange.request.query == (("a", "1"), ("b", ""))
    assert exchange.request.headers["content-length"] == "5"


@pytest.mark.parametrize(
    ("fault", "ran"),
    [
        (faults.RESET_BEFORE_BODY, False),
        (faults.RESET_IN_BODY, False),
        (faults.RESET_UNSEEN, False),
        (faults.LOST_REPLY, True),
        (faults.RESET_IN_REPLY, True),
    ],
)
def test_resets(fault: Fault, ran: bool) -> None:
    with FaultyServer(echo, [fault]) as server:
        with pytest.raises(ConnectionResetError):
            said(server)
        assert said(server).endswith(b"hello")  # only the first one has a fault
    assert [exchange.ran for exchange in server.seen] == [ran, True]


def test_replies_that_are_not_what_they_say() -> None:
    with FaultyServer(echo, [faults.CLOSED_REPLY, faults.TRUNCATED, faults.TOO_LONG]) as server:
        assert said(server) == b""
        assert said(server).endswith(b"\r\n\r\n")
        assert b"content-length: 1000000" in said(server)
    assert all(exchange.ran for exchange in server.seen)


def test_silence_and_slowness() -> None:
    with FaultyServer(
        echo, [faults.STALL, faults.STALL_IN_REPLY, faults.drip(0.005), faults.late(0.3)]
    ) as server:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                said(server, patience_s=0.2)
        for least_s in (0.2, 0.3):
            begun = time.monotonic()
            assert said(server).endswith(b"hello")
            assert time.monotonic() - begun > least_s


def test_other_answers() -> None:
    told = [
        faults.throttled({"retry-after": "7"}),
        faults.answer(faults.HTML, runs=True),
        faults.redirected("/x"),
    ]
    with FaultyServer(echo, told) as server:
        assert b"429" in (first := said(server)) and b"retry-after: 7" in first
        assert b"<html>" in said(server)
        assert b"location: /x" in said(server)
    assert [exchange.ran for exchange in server.seen] == [False, True, False]


def test_nobody_listens_for_a_while_and_then_the_same_port_answers() -> None:
    with FaultyServer(echo, [Fault(), faults.refused(0.3)]) as server:
        said(server)
        with pytest.raises(ConnectionRefusedError):
            said(server)
        time.sleep(0.4)  # what is tested is that the time passes
        assert said(server).endswith(b"hello")
    assert len(server.seen) == 2


def test_it_listens_again_though_the_exchange_before_hangs() -> None:
    with (
        FaultyServer(echo, [faults.STALL, faults.refused(0.2)]) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=5.0) as hanging,
    ):
        hanging.sendall(REQUEST)
        while not server.seen:
            time.sleep(0.01)
        with pytest.raises(ConnectionRefusedError):
            said(server)
        time.sleep(0.3)  # what is tested is that the time passes
        assert said(server).endswith(b"hello")
        assert server.connected == 1  # the one that hangs


def test_random_faults_are_the_same_for_the_same_seed() -> None:
    first, second = Random(1), Random(1)
    drawn = [any_fault(first) for _ in range(200)]
    assert drawn == [any_fault(second) for _ in range(200)]
    assert len({fault.name for fault in drawn}) > 20
