"""A key that was given to a transport is in nothing that anybody prints, logs, pickles or catches."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import subprocess
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator

import pytest
from pydantic import SecretStr

from tests.unit.backends.openai.calls import CANARY, ok, once, read, transport
from tests.wire import faults
from tests.wire.exchange import Request, Response
from tests.wire.faults import Fault, FaultyServer
from tunekit.backends.openai.endpoint import Endpoint, KeyHeader
from tunekit.backends.openai.http import HttpTransport
from tunekit.backends.openai.secret import Key, Secret
from tunekit.errors import BackendError, SpecError, TunekitError, UnsupportedError


def echo(request: Request) -> Response:
    """What no host should do: the key, in an error."""
    error = {
        "message": f"wrong key {request.headers.get('authorization', '')}",
        "code": CANARY,
        "type": CANARY,
    }
    return Response.of({"error": error}, status=401)


def told(error: BaseException) -> Iterator[str]:
    """All that the usual tools show of an error: its text, its chain, and the variables of every frame."""
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue:
        one = queue.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield repr(one) + str(one) + repr(vars(one)) + repr(getattr(one, "__notes__", ""))
        # Frames of this test hold the canary on purpose.
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if "tests/" not in frame.f_code.co_filename:
                yield "\n".join(
                    f"{frame.f_code.co_name}.{name}={value!r}" for name, value in frame.f_locals.items()
                )
        queue += [one.__cause__, one.__context__]


FAULTS = [
    faults.NONE,
    faults.LOST_REPLY,
    faults.RESET_BEFORE_BODY,
    faults.TRUNCATED,
    faults.GARBAGE,
    faults.STALL,
    faults.redirected("https://example.invalid/"),
    faults.throttled({"retry-after": "999"}),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("header", list(KeyHeader))
async def test_errors_and_logs_do_not_show_it(
    fault: Fault, header: KeyHeader, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with FaultyServer(echo, [fault] * 50) as server:
        one = HttpTransport(Endpoint(server.url, key=CANARY, key_header=header), deadline_s=0.1, drain_s=0.05)
        for call in (read(), once()):
            with pytest.raises(TunekitError) as caught:
                await one.send(call)
            shown = "\n".join(told(caught.value))
            assert CANARY not in shown
            assert CANARY.encode() not in pickle.dumps(caught.value)
        await one.aclose()
    assert any(CANARY in value for value in server.seen[0].request.headers.values())
    assert caplog.records, "httpcore, httpx and tunekit were to be heard"
    assert CANARY not in caplog.text
    assert not any(CANARY in repr(vars(record)) for record in caplog.records)


async def test_left_behind_calls_do_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with FaultyServer(echo, [faults.STALL] * 5) as server:
        one = transport(server, drain_s=0.05)
        tasks = [asyncio.ensure_future(one.send(read())) for _ in range(5)]
        await asyncio.sleep(0.1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.2)
        await one.aclose()
    assert CANARY not in caplog.text


@pytest.mark.parametrize("holder", [Secret(CANARY), Endpoint("https://a.com", key=CANARY)])
def test_what_holds_it_shows_copies_and_pickles_nothing(holder: object) -> None:
    for one in (holder, HttpTransport(Endpoint("https://a.com", key=CANARY))):
        assert CANARY not in repr(one) + str(one) + repr(getattr(one, "__dict__", ""))
        for copied in (copy.deepcopy, pickle.dumps):
            with pytest.raises(UnsupportedError) as caught:
                copied(one)
            assert CANARY not in "\n".join(told(caught.value))


def test_it_is_in_no_list_of_processes() -> None:
    Endpoint("https://example.com", key=CANARY)
    with open("/proc/self/environ", "rb") as environment, open("/proc/self/cmdline", "rb") as arguments:
        assert CANARY.encode() not in environment.read() + arguments.read()
    child = subprocess.run(
        [sys.executable, "-c", "import os; print(os.environ)"], capture_output=True, check=True
    )
    assert CANARY.encode() not in child.stdout


@pytest.mark.parametrize("slip", [CANARY + "\n", " " + CANARY, CANARY + "\r\nx-evil: 1", "", "kéy" + CANARY])
def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(slip: str) -> None:
    for key in (slip, SecretStr(slip)):
        with pytest.raises(SpecError) as caught:
            Endpoint("https://example.com", key=key)
        assert CANARY not in "\n".join(told(caught.value))


def test_a_wrong_address_does_not_show_the_key_either() -> None:
    with pytest.raises(SpecError) as caught:
        Endpoint("http://example.com", key=CANARY)
    assert CANARY not in "\n".join(told(caught.value))


def given() -> str:
    return CANARY


async def given_later() -> str:
    return CANARY


@pytest.mark.parametrize("key", [CANARY, SecretStr(CANARY), Secret(CANARY), given, given_later])
async def test_all_ways_to_give_it(key: Key) -> None:
    with FaultyServer(ok) as server:
        one = HttpTransport(Endpoint(server.url, key=key))
        await one.send(read())
        await one.aclose()
    assert server.seen[0].request.headers["authorization"] == f"Bearer {CANARY}"


async def test_a_function_is_asked_for_each_attempt() -> None:
    keys = iter(["first", "second"])
    with FaultyServer(ok, [faults.problem(503)]) as server:
        one = HttpTransport(Endpoint(server.url, key=lambda: next(keys)))
        await one.send(read())
        await one.aclose()
    assert [exchange.request.headers["authorization"] for exchange in server.seen] == [
        "Bearer first",
        "Bearer second",
    ]


def broken() -> str:
    secret = CANARY
    raise ValueError(secret)


def with_a_line_break() -> str:
    return CANARY + "\n"


@pytest.mark.parametrize("key", [broken, with_a_line_break])
async def test_a_function_that_fails_is_a_typed_error(key: Callable[[], str | Awaitable[str]]) -> None:
    with FaultyServer(ok) as server:
        one = HttpTransport(Endpoint(server.url, key=key))
        with pytest.raises((BackendError, SpecError)) as caught:
            await one.send(once())
        await one.aclose()
    assert CANARY not in "\n".join(told(caught.value))
    assert not server.seen


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com/v1",
        "http://10.0.0.1",
        "http://127.0.0.1.example.com",
        "http://127.0.0.1@example.com",
        "https://user:pw@example.com",
        "http://localhost.example.com",
        "http://127.0.0.1\\@example.com",
        "https://example.com/v1?a=b",
        "https://example.com/#a",
        "https://example.com:99999",
        "https://",
        "example.com",
        "ftp://example.com",
        "",
        "http://[::ffff:10.0.0.1]",
        "http://2130706433/",
    ],
)
def test_addresses_to_which_no_key_goes(address: str) -> None:
    with pytest.raises(SpecError) as caught:
        Endpoint(address, key=CANARY)
    assert caught.value.hint


@pytest.mark.parametrize(
    "address",
    ["https://api.openai.com/v1/", "http://localhost:8000", "http://127.0.0.1/v1", "http://[::1]:80"],
)
def test_addresses_that_are_good(address: str) -> None:
    assert Endpoint(address, key=CANARY).base_url == address.rstrip("/")


@pytest.mark.parametrize("headers", [{"x-a": "b\r\nx-evil: 1"}, {"x a": "b"}, {"x-a": "ü"}, {"": "b"}])
async def test_headers_that_would_be_others_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(SpecError):
        Endpoint("https://example.com", key=CANARY, headers=headers)
    with FaultyServer(ok) as server:
        one = transport(server)
        with pytest.raises(SpecError):
            await one.send(read(headers=headers))
    assert not server.seen


async def test_a_plain_proxy_of_the_environment_gets_no_key_of_a_loopback_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with FaultyServer(ok) as proxy, FaultyServer(ok) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        one = transport(server)
        await one.send(read())
        await one.aclose()
        # And of another host it is asked for a tunnel, in which everything is encrypted.
        far = HttpTransport(Endpoint("https://example.invalid", key=CANARY), deadline_s=0.5)
        with pytest.raises(TunekitError):
            await far.send(once())
        await far.aclose()
    assert len(server.seen) == 1
    assert proxy.seen and all(exchange.request.method == "CONNECT" for exchange in proxy.seen)
    assert CANARY not in repr(proxy.seen)


@pytest.mark.parametrize(
    "address",
    ["socks5://user:hunter2@127.0.0.1:1", "gopher://user:hunter2@a.org", "http://user:hunter2@ö..org"],
)
async def test_a_proxy_that_cannot_be_used_is_a_typed_error(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", address)
    one = HttpTransport(Endpoint("https://example.invalid", key=CANARY), connections=1)
    for _ in range(2):  # the one place is free again
        with pytest.raises(SpecError, match="proxy") as caught:
            await one.send(once())
        assert "hunter2" not in "\n".join(told(caught.value))
    await one.aclose()
