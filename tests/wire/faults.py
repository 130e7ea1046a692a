"""A server on the loopback that misbehaves as it is told. Knows HTTP/1.1 and how it breaks; no API, no client.

    with FaultyServer(handler, faults=[LOST_REPLY, throttled({"retry-after": "1"})]) as server:
        ...                                   # use server.url
    assert [exchange.ran for exchange in server.seen] == [True, False, True]

Each request takes the next fault, in the order in which requests arrive; when there are none left, all is well.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Self, TypeAlias
from urllib.parse import parse_qsl

from tests.wire.exchange import Handler, Request, Response

Connection: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong with one exchange; as it stands, nothing does.

    Attributes:
        name: For the messages of a failed test.
        refuse_s: Nobody listens for so long after the request before this one has come. Idle connections are closed.
        read: How many bytes of the request's body are read before the connection is reset, or before `instead` is
            answered; None reads it all. Unless it is None, the handler does not run.
        runs: Whether the handler runs: whether the call takes effect.
        wait_s: How long the answer takes.
        instead: What is answered in place of the handler's response.
        raw: These bytes are sent in place of any response.
        length: What the response says its length is.
        cut: How many bytes of the response, head and all, are sent before the connection ends; None sends it all.
        drip_s: How long there is between two bytes of the response.
        ending: How the connection ends after a cut: "reset", "close", or "hang", which keeps it open in silence.
    """

    name: str = "none"
    refuse_s: float = 0.0
    read: int | None = None
    runs: bool = True
    wait_s: float = 0.0
    instead: Response | None = None
    raw: bytes | None = None
    length: int | None = None
    cut: int | None = None
    drip_s: float = 0.0
    ending: str = "reset"


NONE = Fault()
RESET_BEFORE_BODY = Fault(name="reset before the body", read=0)
RESET_IN_BODY = Fault(name="reset in the body", read=1)
RESET_UNSEEN = Fault(name="reset after the body, nothing done", runs=False, cut=0)
LOST_REPLY = Fault(name="done, and the reply is lost", cut=0)
CLOSED_REPLY = Fault(name="done, and the connection closes without a reply", cut=0, ending="close")
RESET_IN_REPLY = Fault(name="done, and reset in the reply", cut=30)
TRUNCATED = Fault(name="done, and the reply is cut short", cut=-5, ending="close")
TOO_LONG = Fault(name="the reply says that it is longer than it is", length=1_000_000, cut=-1, ending="close")
STALL = Fault(name="done, and silence", cut=0, ending="hang")
STALL_IN_REPLY = Fault(name="done, and silence in the reply", cut=-5, ending="hang")
STALL_UNSEEN = Fault(name="silence, and nothing done", runs=False, cut=0, ending="hang")
GARBAGE = Fault(name="no HTTP", raw=b"\x16\x03\x01 what is this\r\n\r\n")
BAD_CHUNK = Fault(
    name="a bad chunk", raw=b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n"
)
HUGE_HEADER = Fault(
    name="a huge header",
    raw=b"HTTP/1.1 200 OK\r\nx-big: " + b"a" * 300_000 + b"\r\ncontent-length: 2\r\n\r\n{}",
)
BROKEN = (
    RESET_BEFORE_BODY,
    RESET_IN_BODY,
    RESET_UNSEEN,
    LOST_REPLY,
    CLOSED_REPLY,
    RESET_IN_REPLY,
    TRUNCATED,
    TOO_LONG,
    GARBAGE,
    BAD_CHUNK,
    HUGE_HEADER,
)
"""No whole answer comes, and nobody has to wait for that."""
HTML = Response(
    status=502,
    headers={"content-type": "text/html"},
    body=b"<html><head><title>502 Bad Gateway</title></head><body><h1>nginx</h1></body></html>",
)
PAGE = replace(HTML, status=200)
"""What a proxy says while it has maintenance, as if it were the answer."""


def refused(seconds: float = 0.05) -> Fault:
    """Nobody listens for a while."""
    return Fault(name="refused", refuse_s=seconds)


def late(seconds: float) -> Fault:
    """Done at once, and answered late."""
    return Fault(name=f"{seconds} s late", wait_s=seconds)


def drip(seconds: float) -> Fault:
    """Done, and answered byte by byte."""
    return Fault(name=f"a byte each {seconds} s", drip_s=seconds)


def answer(response: Response, *, runs: bool = False) -> Fault:
    """Another answer than the handler's, which by default does not even run."""
    done = "done, and " if runs else ""
    return Fault(name=f"{done}{response.status} {response.body[:20]!r}", instead=response, runs=runs)


def problem(status: int, *, message: str = "no", code: str | None = None, runs: bool = False) -> Fault:
    """An error as the API writes them."""
    return answer(error_response(status, message, code), runs=runs)


def error_response(
    status: int, message: str, code: str | None = None, hints: Mapping[str, str] | None = None
) -> Response:
    """The API's body of an error."""
    error = {"message": message, "type": "error", "param": None, "code": code}
    return Response.of({"error": error}, status=status, **(hints or {}))


def throttled(hints: Mapping[str, str] | None = None) -> Fault:
    """429 with hints, as in `throttled({"retry-after-ms": "20"})`."""
    return answer(error_response(429, "slow down", "rate_limit_exceeded", hints))


def redirected(location: str, *, status: int = 307) -> Fault:
    """Somebody else should be asked."""
    return answer(Response(status=status, headers={"location": location}))


def gzip_bomb(megabytes: int = 200) -> Fault:
    """A small reply that is a large one."""
    body = gzip.compress(bytes(1_000_000), 9) * megabytes
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    return answer(Response(headers=headers, body=body), runs=True)


def closed_port() -> int:
    """A port of the loopback at which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass(slots=True, kw_only=True)
class Exchange:
    """What came of one request.

    Attributes:
        request: As much of it as was read.
        fault: What went wrong.
        ran: Whether the handler ran.
        length: Bytes of the body that were read.
    """

    request: Request
    fault: Fault
    ran: bool = False
    length: int = 0


class FaultyServer:
    """Serves a handler on the loopback, in a thread of its own, with the faults it is given.

    The handler runs in that thread, one request at a time, so it needs no locks.

    Args:
        handler: Answers the requests that come through.
        faults: One for each request; a generator may go on for ever.
        keep_bodies: Whether requests have their bodies; without, memory stays flat.

    Attributes:
        seen: Every request whose head arrived, in order.
        connections: How many were accepted.
    """

    def __init__(self, handler: Handler, faults: Iterable[Fault] = (), *, keep_bodies: bool = True) -> None:
        self.seen: list[Exchange] = []
        self.connections = 0
        self._handler = handler
        self._keep_bodies = keep_bodies
        self._faults: Iterator[Fault] = iter(faults)
        self._upcoming = next(self._faults, NONE)
        self._loop = asyncio.new_event_loop()
        self._stopping = False
        self._listeners: list[socket.socket] = []
        self._served: set[asyncio.Task[None]] = set()
        self._open: dict[asyncio.StreamWriter, bool] = {}  # and whether it is idle
        # Bound and deaf: it keeps the port while nobody listens there.
        self._placeholder = _bound_socket(0)

    @property
    def port(self) -> int:
        return int(self._placeholder.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def connected(self) -> int:
        """How many connections are open."""
        return len(self._open)

    @property
    def runs(self) -> list[Request]:
        """The requests that took effect."""
        return [exchange.request for exchange in self.seen if exchange.ran]

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._loop.run_forever, name="faulty-server", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._placeholder.close()

    def drop_idle(self) -> None:
        """Close the connections that wait for a request."""
        self._loop.call_soon_threadsafe(self._drop_idle)

    async def _start(self) -> None:
        if self._upcoming.refuse_s:
            self._loop.call_later(self._upcoming.refuse_s, self._listen)
        else:
            self._listen()

    async def _stop(self) -> None:
        self._stopping = True
        self._deafen()
        await asyncio.sleep(0.001)  # what was just accepted must begin before it can end
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.001)  # for the sockets to close

    # Not asyncio.start_server: it loses a connection that it accepts while it is being closed.
    def _listen(self) -> None:
        if self._stopping:
            return
        listener = _bound_socket(self.port)
        listener.listen(128)
        self._listeners.append(listener)
        self._loop.add_reader(listener, self._accept, listener)

    def _deafen(self) -> None:
        while self._listeners:
            listener = self._listeners.pop()
            self._loop.remove_reader(listener)
            listener.close()

    def _accept(self, listener: socket.socket) -> None:
        accepted, _ = listener.accept()
        accepted.setblocking(False)
        task = self._loop.create_task(self._serve(accepted))
        self._served.add(task)  # a loop holds its tasks weakly
        task.add_done_callback(self._served.discard)

    def _drop_idle(self) -> None:
        for writer in [writer for writer, idle in self._open.items() if idle]:
            writer.close()

    async def _serve(self, accepted: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=accepted, limit=1 << 20)
        self.connections += 1
        self._open[writer] = True
        try:
            while await self._exchange((reader, writer)):
                self._open[writer] = True
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client went first
        finally:
            self._open.pop(writer)
            writer.close()

    async def _exchange(self, connection: Connection) -> bool:
        """Answer one request, and say whether the connection can take another."""
        reader, writer = connection
        head = await reader.readuntil(b"\r\n\r\n")
        self._open[writer] = False
        fault, self._upcoming = self._upcoming, next(self._faults, NONE)
        refuse_s = self._upcoming.refuse_s
        if refuse_s:
            self._deafen()
            self._drop_idle()
            self._loop.call_later(refuse_s, self._listen)
        request = _parsed(head)
        last = refuse_s > 0 or request.headers.get("connection") == "close"
        return await self._misbehave(connection, request, fault, last=last) and not last

    async def _misbehave(self, connection: Connection, request: Request, fault: Fault, *, last: bool) -> bool:
        reader, writer = connection
        exchange = Exchange(request=request, fault=fault)
        self.seen.append(exchange)
        body, exchange.length = await self._body(reader, request, fault.read)
        exchange.request = request = replace(request, body=body)
        response = fault.instead
        if fault.read is not None and response is None:
            return _end(writer, "reset")
        if fault.runs and fault.read is None:
            exchange.ran = True
            ordinary = self._handler(request)
            response = response or ordinary
        await asyncio.sleep(fault.wait_s)
        data = fault.raw or _rendered(response or Response(), fault.length, last=last)
        await _write(writer, data[: fault.cut], fault.drip_s)
        if fault.cut is not None and fault.ending == "hang":
            await reader.read()  # until the client has had enough
        whole = fault.cut is None and fault.read is None and fault.raw is None
        return whole or _end(writer, fault.ending if fault.cut is not None else "close")

    async def _body(
        self, reader: asyncio.StreamReader, request: Request, most: int | None
    ) -> tuple[bytes, int]:
        assert "transfer-encoding" not in request.headers, "this server reads bodies of a known length"
        length = int(request.headers.get("content-length", 0))
        left = length = length if most is None else min(most, length)
        kept = bytearray()
        while left:
            chunk = await reader.read(min(left, 1 << 18))
            if not chunk:
                raise asyncio.IncompleteReadError(bytes(kept), left)
            left -= len(chunk)
            kept += chunk if self._keep_bodies else b""
        return bytes(kept), length


def _bound_socket(port: int) -> socket.socket:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    one.setblocking(False)
    one.bind(("127.0.0.1", port))
    return one


def _parsed(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    path, _, query = target.partition("?")
    headers = {}
    for line in filter(None, lines):
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return Request(
        method=method, path=path, query=tuple(parse_qsl(query, keep_blank_values=True)), headers=headers
    )


def _rendered(response: Response, length: int | None, *, last: bool) -> bytes:
    claimed = len(response.body) if length is None else length
    headers = {
        "content-length": str(claimed),
        **response.headers,
        **({"connection": "close"} if last else {}),
    }
    lines = [f"HTTP/1.1 {response.status} Whatever", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + response.body


async def _write(writer: asyncio.StreamWriter, data: bytes, drip_s: float) -> None:
    size = 1 if drip_s else 1 << 20
    for start in range(0, len(data), size):
        writer.write(data[start : start + size])
        await writer.drain()
        await asyncio.sleep(drip_s)


def _end(writer: asyncio.StreamWriter, how: str) -> bool:
    """End a connection, which then cannot take another request."""
    if how == "reset":
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()
    return False
