"""What tests of the backend begin with: one over a transport, data, and a job that is submitted."""

from __future__ import annotations

from typing import Any

from tests.wire.inprocess import InProcess
from tunekit import FineTuneJob, TuneSpec
from tunekit.backends.base import SubmitRequest
from tunekit.backends.openai.backend import OpenAIBackend
from tunekit.backends.openai.transport import Call
from tunekit.store.memory import MemoryStore
from tunekit.testing import FakeClock, tiny_dataset

MODEL = "gpt-4.1-mini-2025-04-14"
TARGET = f"openai:{MODEL}"
NOW = 1_795_300_000.0  # 2026-11-21
DATA = tiny_dataset(rows=12)


def backend_of(transport: InProcess, **options: Any) -> OpenAIBackend:
    return OpenAIBackend(transport=transport, clock=FakeClock(start=NOW), **options)


def submit(backend: OpenAIBackend, spec: TuneSpec | None = None, **more: Any) -> FineTuneJob:
    store = more.pop("store", None) or MemoryStore()
    return FineTuneJob.submit(more.pop("train", DATA), TARGET, spec, backend=backend, store=store, **more)


async def submitted(backend: OpenAIBackend, key: str = "run-1", **more: Any) -> str:
    request: dict[str, Any] = {
        "model": MODEL,
        "spec": TuneSpec(),
        "train": DATA,
        "idempotency_key": key,
    } | more
    return await backend.submit(SubmitRequest(**request))


def creates(call: Call) -> bool:
    """Whether a call makes a job."""
    return (call.method, call.path) == ("POST", "/fine_tuning/jobs")
