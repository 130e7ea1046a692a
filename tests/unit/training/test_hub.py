"""Models of the hub, and whether it can be reached, without a network."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import huggingface_hub
import pytest
from huggingface_hub import constants

from tunekit.errors import ModelError, NotFoundError
from tunekit.training.models import hub, load


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


@pytest.fixture
def cached(llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The files of `acme/tiny` in the hub's cache, and no network."""
    repo = tmp_path / "hub" / "models--acme--tiny"
    snapshot = Path(shutil.copytree(llama, repo / "snapshots" / ("0" * 40)))
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub.is_reachable.cache_clear()
    yield snapshot
    hub.is_reachable.cache_clear()


def test_a_cached_model_is_loaded(cached: Path) -> None:
    assert load.load("acme/tiny").max_length == 256


def test_what_is_not_in_the_cache_is_said(cached: Path) -> None:
    with pytest.raises(
        NotFoundError, match="'acme/other' is neither a directory here nor a model in the hub's cache"
    ) as caught:
        load.load("acme/other")
    assert "local_files_only" not in f"{caught.value} {caught.value.hint}"
    with pytest.raises(NotFoundError, match="'acme/tiny' at revision 'v2' is neither"):
        load.load("acme/tiny", revision="v2")
    (cached / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"has no \*\.safetensors"):
        load.load("acme/tiny")


def test_what_the_hub_does_not_have_is_said(cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*names: str, **options: Any) -> str:
        from huggingface_hub.errors import RepositoryNotFoundError

        response: Any = httpx.Response(404, request=httpx.Request("GET", "http://x"))
        raise RepositoryNotFoundError("404 Client Error", response=response)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(
        NotFoundError, match="neither a directory here nor a model of the hub that you may read"
    ):
        load.load("typo")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_hidden_layers": 10**7}, "unreasonable"),
        ({"num_hidden_layers": 900}, "and its weights"),
        ({"hidden_size": 1 << 17, "head_dim": 1 << 15}, "weights, and its files have"),
        ({"attn_implementation": "evil/kernel"}, "code from elsewhere"),
        ({"quantization_config": {"quant_method": "evil"}}, "quantised"),
    ],
    ids=str,
)
def test_its_configuration_is_believed_no_more_than_a_directory_s(
    cached: Path, values: dict[str, Any], message: str
) -> None:
    config = cached / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **values}))
    with pytest.raises(ModelError, match=message):
        load.load("acme/tiny")


def test_weights_are_asked_for_once_the_configuration_is_believed(
    cached: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def download(source: str, **options: Any) -> str:
        asked.append(options["allow_patterns"])
        shutil.move(weights, cached / "model.safetensors") if "model.safetensors" in asked[-1] else None
        return str(cached)

    weights = shutil.move(cached / "model.safetensors", cached.with_name("weights"))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    config = cached / "config.json"
    good = config.read_text()
    config.write_text(json.dumps({**json.loads(good), "num_hidden_layers": 10**7}))
    with pytest.raises(ModelError, match="unreasonable"):
        load.load_base("acme/tiny")
    assert ["model.safetensors"] not in asked
    config.write_text(good)
    load.load_base("acme/tiny")
    assert asked[-1] == ["model.safetensors"]


def test_shards_are_those_that_the_index_names(cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(
        huggingface_hub,
        "snapshot_download",
        lambda *names, **options: asked.append(options["allow_patterns"]),
    )
    names = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (cached / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    with pytest.raises(TypeError):  # the stand-in gives no directory
        hub.fetch_weights("acme/tiny", cached)
    assert asked == [sorted(names.values())]
