"""A host that sends the key back, wherever it puts it: nothing that anybody sees holds it, to the last variable."""

from __future__ import annotations

import base64
import logging
import pickle
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest

from tests.unit.backends.openai.calls import CANARY
from tests.unit.backends.openai.test_http_secrets import told
from tests.wire.exchange import Request, Response
from tests.wire.faults import FaultyServer
from tunekit import FineTuneJob, Sampling
from tunekit.backends.base import GenerateRequest
from tunekit.backends.openai.backend import OpenAIBackend
from tunekit.errors import BackendError, TunekitError
from tunekit.store.memory import MemoryStore

SAID = f"Incorrect API key provided: {CANARY}"
ESCAPED = f'{{"error": {{"message": "bad key \\u0073{CANARY[1:]}"}}}}'.encode()
AWAY = {"location": f"http://example.invalid/{CANARY}?k={CANARY}"}
STREAM = {"content-type": "text/event-stream"}
JOB = {"id": "ftjob-1", "status": "failed", "error": {"message": SAID, "code": CANARY}, "model": "m"}
BATCH = {"id": "batch_1", "endpoint": "/v1/chat/completions"}

Use: TypeAlias = Callable[[OpenAIBackend], Awaitable[object]]


def chat(backend: OpenAIBackend) -> Awaitable[object]:
    return backend.generate("m", [GenerateRequest(prompt="hi")], Sampling())


async def stream(backend: OpenAIBackend) -> object:
    return [piece async for piece in backend.stream("m", GenerateRequest(prompt="hi"), Sampling())]


def models(backend: OpenAIBackend) -> Awaitable[object]:
    return backend.models()


def look(backend: OpenAIBackend) -> Awaitable[object]:
    return backend.snapshot("ftjob-1")


def results(backend: OpenAIBackend) -> Awaitable[object]:
    return backend.results("ftjob-1")


def batch(backend: OpenAIBackend) -> Awaitable[object]:
    return backend.batches.of("batch_1")


def answers(backend: OpenAIBackend) -> Awaitable[object]:
    return backend.batches.answers("batch_1")


async def result(backend: OpenAIBackend) -> object:
    job = await FineTuneJob.attach_async("openai:ftjob-1", backend=backend, store=MemoryStore())
    return await job.result_async(timeout_s=5)


def said(value: Any, status: int = 200, **headers: str) -> Response:
    return Response.of(value, status=status, **headers)


def table(content: bytes) -> dict[str, Response]:
    return {
        "/fine_tuning/jobs/ftjob-1": said({**JOB, "status": "succeeded", "result_files": ["file-1"]}),
        "/files/file-1/content": Response(body=content),
    }


def lines(content: bytes) -> dict[str, Response]:
    done = said({**BATCH, "status": "completed", "output_file_id": "file-1"})
    return {"/batches/batch_1": done, "/files/file-1/content": Response(body=content)}


REPLIES: dict[str, tuple[Use, Response | dict[str, Response]]] = {
    "401": (chat, said({"error": {"message": SAID, "code": CANARY, "param": CANARY}}, 401)),
    "401 with escapes": (chat, Response(status=401, body=ESCAPED)),
    "200 with an error": (chat, said({"error": {"message": SAID}})),
    "200 with an error, escaped": (look, Response(body=ESCAPED)),
    "200 with an error in place of a job": (look, said({"error": {"message": SAID}})),
    "200 that is no json": (chat, Response(body=SAID.encode())),
    "200 that is no json, read": (models, Response(body=SAID.encode())),
    "200 that is a text": (chat, said(SAID)),
    "choices": (chat, said({"choices": CANARY})),
    "items of a list": (models, said({"data": [{"id": CANARY}, CANARY]})),
    "request id": (chat, Response(status=401, headers={"x-request-id": CANARY}, body=b"{}")),
    "packed as": (chat, Response(headers={"content-encoding": CANARY}, body=b"{}")),
    "redirected read": (models, Response(status=302, headers=AWAY)),
    "redirected post": (chat, Response(status=307, headers=AWAY)),
    "page": (models, Response(body=f"<title>{CANARY}</title>".encode())),
    "error in a stream": (stream, Response(headers=STREAM, body=b"data: " + ESCAPED + b"\n\n")),
    "junk in a stream": (stream, Response(headers=STREAM, body=f"data: {CANARY}\n\n".encode())),
    "text in a stream": (stream, Response(headers=STREAM, body=b'data: {"error": "%s"}' % CANARY.encode())),
    "failed job": (result, said(JOB)),
    "failed job, shown": (look, said(JOB)),
    "result file": (results, table(CANARY.encode())),
    "failed batch": (batch, said({**BATCH, "status": "failed", "errors": {"data": [{"message": SAID}]}})),
    "line of a batch": (answers, lines(CANARY.encode())),
    "answer in a batch": (
        answers,
        lines(b'{"custom_id": "0", "error": {"message": "%s"}}' % CANARY.encode()),
    ),
}


@pytest.mark.parametrize("name", REPLIES)
async def test_nothing_shows_the_key_that_a_host_sends_back(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    use, replies = REPLIES[name]
    caplog.set_level(logging.DEBUG, logger="tunekit")

    def handler(request: Request) -> Response:
        path = request.path.removeprefix("/v1")
        return replies.get(path, said({"data": []})) if isinstance(replies, dict) else replies

    shown = ""
    with FaultyServer(handler) as server:
        backend = OpenAIBackend(base_url=f"{server.url}/v1", api_key=CANARY)
        try:
            shown = repr(await use(backend))
        except TunekitError as error:
            shown = "\n".join(told(error)) + str(pickle.dumps(error))
        finally:
            await backend.aclose()
    assert server.seen and CANARY in server.seen[0].request.headers["authorization"]
    assert shown and CANARY not in shown
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("tunekit"))
    assert CANARY not in ours


@pytest.mark.parametrize("disguise", [base64.b64encode, lambda text: text.decode().encode("utf-16")])
async def test_a_table_in_disguise_is_quoted_as_it_came(disguise: Callable[[bytes], bytes]) -> None:
    replies = table(disguise(f"{CANARY}\n{CANARY}".encode()))
    with FaultyServer(lambda request: replies[request.path.removeprefix("/v1")]) as server:
        backend = OpenAIBackend(base_url=f"{server.url}/v1", api_key=CANARY)
        with pytest.raises(BackendError, match="a result file") as caught:
            await backend.results("ftjob-1")
        await backend.aclose()
    assert CANARY not in str(caught.value)
