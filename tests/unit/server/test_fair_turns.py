"""One tenant's work, or one receiver of webhooks, holds up nobody else's. Knows who waits; not how long."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.server.hosting import LINE, Host, Serve, soon
from tunekit import Sampling, Usage
from tunekit.backends import GenerateRequest, Generation
from tunekit.backends.base import SubmitRequest
from tunekit.server import Webhook
from tunekit.server.ledger import Ledger
from tunekit.server.rows import FileRow
from tunekit.server.webhooks import post
from tunekit.testing import ScriptedBackend

if TYPE_CHECKING:
    import httpx

CHAT = "/v1/chat/completions"
GRADERS = "/fine_tuning/alpha/graders"
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
STUCK = "stuck"


class Model(ScriptedBackend):
    """A backend that answers after a moment, and where it is told to be stuck, only once it is let go on."""

    def __init__(self) -> None:
        super().__init__(generate=lambda prompt: "")
        self.answers, self.stuck, self.may_go_on = 0, 0, False

    async def submit(self, request: SubmitRequest) -> str:
        await self._wait(request.spec.name)
        return await super().submit(request)

    async def generate(
        self, model: str, requests: Sequence[GenerateRequest], sampling: Sampling
    ) -> list[Generation]:
        await self._wait(str(requests[0].prompt))
        await asyncio.sleep(0.01)
        self.answers += 1
        usage = Usage(input_tokens=1, output_tokens=1)
        return [Generation(text='{"result": 1}', finish_reason="stop", usage=usage)]

    async def _wait(self, said: str) -> None:
        self.stuck += STUCK in said
        while STUCK in said and not self.may_go_on:  # noqa: ASYNC110 - there is no event: a test lets it go on
            await asyncio.sleep(0.01)


async def file_of(caller: httpx.AsyncClient, data: bytes, purpose: str) -> str:
    form = {"purpose": purpose}
    return str(Host.good(await caller.post("/files", data=form, files={"file": ("a.jsonl", data)}))["id"])


async def batch_of(caller: httpx.AsyncClient, questions: int, says: str = "hi") -> dict[str, Any]:
    body = {"model": "base", "messages": [{"role": "user", "content": says}]}
    lines = [
        json.dumps({"custom_id": str(at), "method": "POST", "url": CHAT, "body": body})
        for at in range(questions)
    ]
    file_id = await file_of(caller, "\n".join(lines).encode(), "batch")
    asked = {"input_file_id": file_id, "endpoint": CHAT, "completion_window": "24h"}
    return Host.good(await caller.post("/batches", json=asked))


async def until(caller: httpx.AsyncClient, path: str, status: str) -> None:
    async with asyncio.timeout(20):
        while Host.good(await caller.get(path))["status"] != status:  # noqa: ASYNC110 - it is asked
            await asyncio.sleep(0.02)


async def test_a_batch_is_asked_between_the_questions_of_long_ones(serve: Serve) -> None:
    host = serve(model := Model())
    long = [await batch_of(host.caller, 400) for _ in range(6)]
    await soon(lambda: model.answers > 8)
    short = await batch_of(host.other, 1)
    await until(host.other, f"/batches/{short['id']}", "completed")
    seen = [(await host.get(f"/batches/{batch['id']}"))["status"] for batch in long]
    assert "completed" not in seen


async def test_a_batch_is_asked_while_those_of_another_tenant_wait_for_their_model(serve: Serve) -> None:
    host = serve(model := Model())
    for _ in range(6):
        await batch_of(host.caller, 1, STUCK)
    await soon(lambda: model.stuck >= 2)
    short = await batch_of(host.other, 1)
    await until(host.other, f"/batches/{short['id']}", "completed")


async def test_a_job_is_handed_in_while_those_of_another_tenant_wait(serve: Serve) -> None:
    host = serve(model := Model())
    file_id = await file_of(host.caller, LINE * 3, "fine-tune")
    for seed in range(6):
        await host.create(training_file=file_id, suffix=STUCK, seed=seed)
    await soon(lambda: model.stuck >= 2)
    theirs = {"model": "base", "training_file": await file_of(host.other, LINE * 3, "fine-tune")}
    job = Host.good(await host.other.post("/fine_tuning/jobs", json=theirs))
    await until(host.other, f"/fine_tuning/jobs/{job['id']}", "succeeded")


async def test_graders_that_wait_hold_up_only_graders_of_their_tenant(serve: Serve) -> None:
    host = serve(model := Model())
    question = {"role": "user", "content": "{{sample.output_text}}"}
    judge = {"type": "score_model", "name": "j", "model": "base", "input": [question]}

    async def graded(caller: httpx.AsyncClient, sample: str) -> dict[str, Any]:
        return Host.good(await caller.post(f"{GRADERS}/run", json={"grader": judge, "model_sample": sample}))

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        for _ in range(12):
            group.create_task(graded(host.caller, STUCK))
        try:
            await soon(lambda: model.stuck >= 4)
            assert (await graded(host.other, "hi"))["reward"] == 1.0
            assert (await host.ended(await host.create()))["status"] == "succeeded"
        finally:
            model.may_go_on = True


def test_however_much_of_a_tenant_is_due_another_is_seen(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    for at in range(60):
        ledger.add(row(f"file-{at}", "support", due=at))
    ledger.add(row("file-of-others", "sales", due=100))
    seen = [item.id for item in ledger.due(200, limit=3)]
    assert seen == ["file-0", "file-of-others", "file-1"]
    assert len(ledger.due(200, limit=99)) == 61
    assert ledger.due(-1, limit=99) == []
    ledger.close()


def row(row_id: str, tenant: str, due: float) -> FileRow:
    return FileRow(id=row_id, tenant=tenant, created_at=0, due=due, bytes=1, filename="", purpose="batch")


class Dripping:
    """A receiver that takes every message and answers a byte now and then, and never a whole head."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/hook"
        self.connections: list[socket.socket] = []
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._accept), threading.Thread(target=self._drip)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._is_over.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join()
        for connection in self.connections:
            connection.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                connection.sendall(b"HTTP/1.1 200 OK\r\nx-a: ")
                self.connections.append(connection)

    def _drip(self) -> None:
        while not self._is_over.wait(0.05):
            for connection in list(self.connections):
                with suppress(OSError):
                    connection.sendall(b"a")


@pytest.fixture
def dripping() -> Iterator[Dripping]:
    receiver = Dripping()
    yield receiver
    receiver.close()


def test_a_receiver_that_drips_is_given_up(dripping: Dripping, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunekit.server.webhooks._DEADLINE_S", 0.5)
    began = time.monotonic()
    assert "Timeout" in post(Webhook(url=dripping.url, secret=SECRET), "evt_1", int(time.time()), b"{}")
    assert 0.4 < time.monotonic() - began < 15


async def test_a_receiver_that_drips_holds_up_no_job(serve: Serve, dripping: Dripping) -> None:
    host = serve(webhooks=[Webhook(url=dripping.url, secret=SECRET)])
    file_id = (await host.upload())["id"]
    for seed in range(8):
        await host.ended(await host.create(training_file=file_id, seed=seed))
    await soon(lambda: len(dripping.connections) >= 2)
    assert (await host.ended(await host.create(training_file=file_id, seed=8)))["status"] == "succeeded"
    dripping.close()  # or the end of the test would wait for the deadline
