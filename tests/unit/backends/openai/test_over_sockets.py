"""The whole backend over real sockets: a job's life, files in parts, streams, and a key that is seen nowhere else."""

from __future__ import annotations

import gc
import logging
import pickle
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.backends.openai.backends import MODEL
from tests.unit.backends.openai.calls import CANARY
from tests.wire.exchange import Response
from tests.wire.faults import FaultyServer, answer
from tests.wire.openai_spec import at_hand
from tests.wire.service import Service
from tunekit import FineTuneJob, Settings, generate, stream
from tunekit.backends.openai import datafiles
from tunekit.backends.openai.backend import OpenAIBackend
from tunekit.backends.openai.hosts import host_of
from tunekit.errors import TunekitError
from tunekit.store import SqliteStore
from tunekit.testing import tiny_dataset


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service(described=at_hand(), reveal=3)
    yield service
    assert service.problems == []


def backend_at(server: FaultyServer) -> OpenAIBackend:
    return OpenAIBackend(base_url=f"{server.url}/v1", api_key=CANARY)


def test_job_model_and_answers_over_sockets(service: Service, tmp_path: Path) -> None:
    store = SqliteStore(Settings(home=tmp_path))
    with FaultyServer(service) as server:
        backend = backend_at(server)
        job = FineTuneJob.submit(tiny_dataset(rows=12), f"openai:{MODEL}", backend=backend, store=store)
        model = job.result(timeout_s=30)
        assert generate(model, "hi", backend=backend).text == "answer to hi"
        assert "".join(stream(model, "hi", backend=backend)) == "answer to hi"
        backend.close()
    keys = {exchange.request.headers["authorization"] for exchange in server.seen}
    assert keys == {f"Bearer {CANARY}"}
    assert CANARY.encode() not in b"".join(
        path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    )


def test_backend_that_is_dropped_closes_what_it_opened(service: Service) -> None:
    with FaultyServer(service) as server:
        backend = backend_at(server)
        assert "answer" in generate(f"openai:{MODEL}", "hi", backend=backend).text
        assert server.connected
        del backend
        gc.collect()
        give_up = time.monotonic() + 5.0
        while server.connected and time.monotonic() < give_up:
            time.sleep(0.01)
        assert server.connected == 0


async def test_large_file_goes_over_sockets_in_parts(service: Service, tmp_path: Path) -> None:
    file = datafiles.written(
        tiny_dataset(rows=5000), tmp_path, host_of("openai"), model=MODEL, backend="openai"
    )
    with FaultyServer(service) as server:
        backend = backend_at(server)
        files = replace(backend._files, takes_parts=True, part_bytes=100_000)
        file_id = await files.ensure(file)
        assert await files.ensure(file) == file_id
        await backend.aclose()
    assert service.contents[file_id] == file.path.read_bytes()
    assert sum(item.request.path.endswith("/parts") for item in server.seen) == -(-file.size_bytes // 100_000)


def test_key_is_in_no_error_log_or_pickle(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    caplog.set_level(logging.DEBUG)
    echo = Response.of(
        {"error": {"message": f"incorrect key: {CANARY}", "code": "invalid_api_key"}}, status=401
    )
    with FaultyServer(Service(), [answer(echo)] * 10) as server:
        backend = OpenAIBackend(base_url=f"{server.url}/v1")
        with pytest.raises(TunekitError) as caught:
            FineTuneJob.submit(
                tiny_dataset(rows=12),
                f"openai:{MODEL}",
                backend=backend,
                store=SqliteStore(Settings(home=tmp_path)),
            )
        backend.close()
    shown = "".join(
        traceback.TracebackException.from_exception(caught.value, capture_locals=True, limit=None).format()
    )
    assert "incorrect key" in shown
    assert CANARY not in _without_this_test(shown) + caplog.text + str(caught.value.details) + repr(
        vars(backend)
    )
    with pytest.raises(TunekitError, match="cannot be pickled"):
        pickle.dumps(backend)


def _without_this_test(shown: str) -> str:
    """The traceback less the frame of the test, whose own variables hold the host's answer."""
    return "".join(line for line in shown.splitlines(keepends=True) if "echo = " not in line)
