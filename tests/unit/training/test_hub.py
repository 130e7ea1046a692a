"""Whether the model hub can be reached, without a network."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from huggingface_hub import constants

from tunekit.training.models import hub


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A machine with a hub to reach: not switched offline, and no proxy in between."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    hub.is_reachable.cache_clear()
    yield monkeypatch
    hub.is_reachable.cache_clear()


def test_a_hub_that_answers_is_reachable_and_is_looked_at_once(online: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        online.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert hub.is_reachable()
    assert hub.is_reachable()


def test_a_closed_port_is_no_hub(online: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    online.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
    assert not hub.is_reachable()


def test_a_proxy_decides_for_itself(online: pytest.MonkeyPatch) -> None:
    online.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    online.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert hub.is_reachable()


def test_offline_is_offline(online: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        online.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        online.setattr(constants, "HF_HUB_OFFLINE", True)
        assert not hub.is_reachable()
