"""A server over a scripted backend, asked in-process: routes without sockets and without training."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.server.hosting import KEY, OTHER, Host, Serve
from tests.wire.serving import Described
from tunekit import Settings
from tunekit.server import Limits, create_app
from tunekit.testing import ScriptedBackend


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
