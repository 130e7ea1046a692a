"""A server over a scripted backend, asked in-process: routes without sockets and without training."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.wire.serving import Described
from tunekit import Settings
from tunekit.server import Limits, create_app
from tunekit.testing import ScriptedBackend

if TYPE_CHECKING:
    from starlette.applications import Starlette

KEY, OTHER = "sk-of-the-support-team", "sk-of-the-sales-team"
LINE = b'{"messages": [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}]}\n'


@dataclass
class Host:
    """A server and two callers, each with a key."""

    app: Starlette
    described: Described
    backend: ScriptedBackend
    caller: httpx.AsyncClient
    other: httpx.AsyncClient

    async def upload(
        self, data: bytes = LINE * 3, name: str = "train.jsonl", **fields: str
    ) -> dict[str, Any]:
        form = {"purpose": "fine-tune", **fields}
        return self.good(await self.caller.post("/files", data=form, files={"file": (name, data)}))

    async def create(self, **body: Any) -> dict[str, Any]:
        if "training_file" not in body:
            body["training_file"] = (await self.upload())["id"]
        return self.good(await self.caller.post("/fine_tuning/jobs", json={"model": "base", **body}))

    async def ended(self, job: dict[str, Any]) -> dict[str, Any]:
        return await self.until(job, "succeeded", "failed", "cancelled")

    async def until(self, job: dict[str, Any], *statuses: str) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while True:
                seen = await self.get(f"/fine_tuning/jobs/{job['id']}")
                if seen["status"] in statuses:
                    return seen
                await asyncio.sleep(0.02)

    async def get(self, path: str) -> dict[str, Any]:
        return self.good(await self.caller.get(path))

    @staticmethod
    def good(answer: httpx.Response) -> dict[str, Any]:
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    @staticmethod
    def refused(answer: httpx.Response, status: int, param: str | None = None) -> str:
        """The message of an error with this status, about this parameter."""
        error = json.loads(answer.content)["error"]
        assert (answer.status_code, error["param"]) == (status, param), answer.text
        return str(error["message"])


async def soon(look: Callable[[], bool]) -> None:
    """Wait until something is true, letting the server's own work go on meanwhile."""
    async with asyncio.timeout(20):
        while True:
            if look():
                return
            await asyncio.sleep(0.02)


Serve = Callable[..., "Host"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Where the servers of a test keep what they keep."""
    return Settings(home=tmp_path / "home")


@pytest.fixture
async def serve(settings: Settings) -> AsyncIterator[Serve]:
    """Makes servers; at the end of the test, all that they answered must be as OpenAI's description says."""
    hosts: list[Host] = []

    def make(backend: ScriptedBackend | None = None, *, limits: Limits | None = None, **options: Any) -> Host:
        backend = backend or ScriptedBackend(generate=lambda prompt: "four")
        models = options.pop("models", {"base": "scripted:base"})
        app = create_app(
            models,
            keys={KEY: "support", OTHER: "sales"},
            backends=[backend],
            limits=limits,
            settings=settings,
            **options,
        )
        described = Described(app)

        def client(key: str) -> httpx.AsyncClient:
            headers = {"authorization": f"Bearer {key}"}
            transport = httpx.ASGITransport(app=described)
            return httpx.AsyncClient(transport=transport, base_url="http://testserver/v1", headers=headers)

        hosts.append(Host(app, described, backend, client(KEY), client(OTHER)))
        return hosts[-1]

    yield make
    for host in hosts:
        await host.caller.aclose()
        await host.other.aclose()
        await host.app.state.background.aclose()
        assert host.described.problems == []


@pytest.fixture
def host(serve: Serve) -> Host:
    """A server with all defaults."""
    return serve()
