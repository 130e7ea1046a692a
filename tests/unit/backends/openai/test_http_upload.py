"""Files that are sent: their bytes, their length, and what becomes of memory and the event loop meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from tests.unit.backends.openai.calls import ok, transport
from tests.wire import faults
from tests.wire.exchange import Request, Response
from tests.wire.faults import Fault, FaultyServer
from tunekit.backends.openai.transport import Call, FilePart, Safety
from tunekit.errors import BackendError, SpecError, StorageError, TunekitError

MEGABYTE = 1 << 20


def upload(source: Path | bytes, *, start: int = 0, length: int, safety: Safety = Safety.REPEATABLE) -> Call:
    part = FilePart(
        field="file",
        filename='tr"ain\r\n.jsonl',
        content_type="application/jsonl",
        source=source,
        start=start,
        length=length,
    )
    return Call(method="POST", path="/files", safety=safety, form=(("purpose", "fine-tune"),), file=part)


def parts(request: Request) -> list[Message]:
    """The form as the standard library reads it."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    payload = message_from_bytes(head + request.body).get_payload()
    assert isinstance(payload, list)
    return [part for part in payload if isinstance(part, Message)]


def content(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload


@pytest.mark.parametrize("of_path", [True, False])
async def test_a_form_with_a_stretch_of_a_file(tmp_path: Path, of_path: bool) -> None:
    data = os.urandom(MEGABYTE).replace(b"\r", b"r").replace(b"\n", b"n")  # the standard library splits lines
    path = tmp_path / "train.jsonl"
    path.write_bytes(data)
    with FaultyServer(ok) as server:
        one = transport(server)
        await one.send(upload(path if of_path else data, start=1000, length=600_000))
        await one.aclose()
    (exchange,) = server.seen
    purpose, file = parts(exchange.request)
    assert int(exchange.request.headers["content-length"]) == len(exchange.request.body)
    assert purpose.get_param("name", header="content-disposition") == "purpose"
    assert content(purpose) == b"fine-tune"
    assert file.get_content_type() == "application/jsonl"
    assert file["content-disposition"] == 'form-data; name="file"; filename="tr%22ain%0D%0A.jsonl"'
    assert content(file) == data[1000:601_000]


@pytest.mark.parametrize("fault", [faults.RESET_IN_BODY, faults.LOST_REPLY, faults.problem(503)])
async def test_what_is_made_again_begins_at_the_beginning(tmp_path: Path, fault: Fault) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(b"x" * 3 * MEGABYTE)
    with FaultyServer(ok, [fault]) as server:
        one = transport(server)
        await one.send(upload(path, length=3 * MEGABYTE))
        await one.aclose()
    last = server.seen[-1].request
    assert len(server.seen) == 2
    assert content(parts(last)[1]) == path.read_bytes()


async def test_a_file_that_is_gone_or_shorter_or_another_is_not_taken_for_the_first(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(b"x" * 1000)

    def rewrite(_: Request) -> Response:
        path.write_bytes(b"y" * 1000)
        return Response.of({}, status=503)

    with FaultyServer(rewrite) as server:
        one = transport(server)
        with pytest.raises(StorageError, match="ended 500 bytes before"):
            await one.send(upload(path, length=1500))
        with pytest.raises(StorageError, match="changed while it was being sent"):
            await one.send(upload(path, length=1000))
        path.unlink()
        with pytest.raises(StorageError, match="cannot read"):
            await one.send(upload(path, length=1000))
        await one.aclose()
    assert len(server.runs) == 1


async def test_stretches_that_are_not_there_are_refused_at_once() -> None:
    with FaultyServer(ok) as server:
        one = transport(server)
        for start, length in ((-1, 2), (0, 11), (11, 1)):
            with pytest.raises(SpecError):
                await one.send(upload(b"0123456789", start=start, length=length))
        await one.send(upload(b"", length=0))
        await one.aclose()
    assert len(server.seen) == 1


async def test_a_host_that_refuses_before_the_end_is_heard(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(b"x" * 8 * MEGABYTE)
    early = Fault(name="413", read=1000, instead=Response.of({"error": {"message": "too big"}}, status=413))
    with FaultyServer(ok, [early]) as server:
        one = transport(server)
        with pytest.raises(TunekitError) as caught:
            await one.send(upload(path, length=8 * MEGABYTE, safety=Safety.ONCE))
        await one.aclose()
    assert isinstance(caught.value, BackendError)
    # A host that closes with bytes unread may take its own answer back (RFC 9112, 9.6): then it is only lost.
    assert caught.value.ambiguous or caught.value.details["status"] == 413


CHILD = """
import asyncio, sys, time, psutil
from pathlib import Path
from tunekit.backends.openai.endpoint import Endpoint
from tunekit.backends.openai.http import HttpTransport
from tunekit.backends.openai.transport import Call, FilePart, Safety

async def longest_stall(done):
    longest = 0.0
    while not done.is_set():
        begun = time.perf_counter()
        await asyncio.sleep(0.005)
        longest = max(longest, time.perf_counter() - begun - 0.005)
    return longest

async def main(url, path, size):
    one = HttpTransport(Endpoint(url, key="k"), deadline_s=100)
    def call(length):
        part = FilePart(field="file", filename="a", content_type="text/plain", source=Path(path), length=length)
        return Call(method="POST", path="/files", safety=Safety.ONCE, file=part)
    await one.send(call(1000))
    before, done = psutil.Process().memory_info().rss, asyncio.Event()
    watch = asyncio.create_task(longest_stall(done))
    await one.send(call(size))
    done.set()
    grown = psutil.Process().memory_info().rss - before
    print(grown, await watch)
    await one.aclose()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


@pytest.mark.parametrize("megabytes", [100, pytest.param(2048, marks=pytest.mark.soak)])
def test_memory_stays_flat_and_the_loop_goes_on(tmp_path: Path, megabytes: int) -> None:
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.truncate(megabytes * MEGABYTE)
    with FaultyServer(ok, keep_bodies=False) as server:
        command = [sys.executable, "-c", CHILD, server.url, str(path), str(megabytes * MEGABYTE)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    grown, stall_s = done.stdout.split()
    assert int(grown) < 32 * MEGABYTE
    # Other processes of the machine stall a loop, too: what would fail is a loop that waits for the disk or the host.
    assert float(stall_s) < 0.5
    assert server.seen[-1].length > megabytes * MEGABYTE
