"""MLflow as the place of a registry: what its pages show, what came out of turn, and what is somebody else's."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import tunekit as tk
from tunekit.retrain.registry import MLflowRegistryStore, Move, Registry

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")
BOT = "support-bot"


@pytest.fixture
def client(mlflow_uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=mlflow_uri, registry_uri=mlflow_uri)


@pytest.fixture
def registry(mlflow_uri: str) -> Registry:
    registry = Registry(MLflowRegistryStore(mlflow_uri), max_age_s=0.0)
    for number in (1, 2, 3):
        registry.register(BOT, f"local:run-{number}", note="weekly")
    registry.promote(f"{BOT}@1")
    return registry


def move(sequence: int, after: int) -> Move:
    return Move(name=BOT, alias="champion", sequence=sequence, action="promote", after=after, at=0.0)


def test_its_pages_show_the_alias_and_every_fact(registry: Registry, client: Any) -> None:
    registry.promote(f"{BOT}@3")
    assert client.get_model_version_by_alias(BOT, "champion").version in (3, "3")
    registry.rollback(f"{BOT}@champion")
    shown = client.get_model_version_by_alias(BOT, "champion")
    assert str(shown.version) == "1" and "weekly" in shown.tags["tunekit.record"]


def test_an_alias_that_was_moved_around_us_is_not_believed(registry: Registry, client: Any) -> None:
    client.set_registered_model_alias(BOT, "champion", "2")
    assert registry.resolve(f"{BOT}@champion") == "local:run-1"
    registry.promote(f"{BOT}@3")
    assert str(client.get_model_version_by_alias(BOT, "champion").version) == "3"


def test_what_comes_out_of_turn_is_in_no_history(registry: Registry, mlflow_uri: str) -> None:
    store, late = MLflowRegistryStore(mlflow_uri), MLflowRegistryStore(mlflow_uri)
    assert not store.add_move(move(1, 2)) and not store.add_move(move(3, 2))
    assert store.add_move(move(2, 2))
    # The other has looked before, and adds after us.
    late._append(f"{BOT}.champion.moves", "moves", "x", move(2, 3).to_json())
    assert [each.after for each in registry.history(f"{BOT}@champion")] == [1, 2]
    assert store.add_move(move(3, 3)) and registry.resolve(f"{BOT}@champion") == "local:run-3"


def test_threads_leave_one_line(registry: Registry, mlflow_uri: str) -> None:
    def promote(number: int) -> bool:
        return MLflowRegistryStore(mlflow_uri).add_move(move(2, number))

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(promote, (1, 2, 3, 2)))
    assert done.count(True) == 1
    assert [each.sequence for each in registry.history(f"{BOT}@champion")] == [1, 2]
    with ThreadPoolExecutor(4) as pool:
        same = list(pool.map(lambda _: registry.register("other", "local:run-1"), range(4)))
    assert len({each.number for each in same}) == 1 and len(registry.versions("other")) == 1


def test_models_of_others_are_left_alone(registry: Registry, client: Any) -> None:
    client.create_registered_model("theirs")
    client.create_model_version("theirs", "s3://bucket/model", await_creation_for=None)
    assert registry.names() == (BOT,) and registry.versions("theirs") == ()
    assert registry.register("theirs", "local:run-9").number == 2, "behind what is there"


def test_names_with_dots_share_no_history(registry: Registry) -> None:
    for name in ("a", "a.b"):
        registry.register(name, "local:run-1")
    registry.promote("a@1", "b.c")
    registry.promote("a.b@1", "c")
    assert list(registry.aliases("a")) == ["b.c"] and list(registry.aliases("a.b")) == ["c"]
    assert len(registry.history("a@b.c")) == len(registry.history("a.b@c")) == 1


def test_what_cannot_be_kept_is_refused(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(tk.StorageError, match="characters is more than the 100,000"):
        registry.register(BOT, "local:run-9", facts={"log": "x" * 200_000})
    with pytest.raises(tk.StorageError, match="MLflow refuses") as caught:
        MLflowRegistryStore("gopher://nowhere")
    assert "registry_uri" in caught.value.hint
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(tk.MissingExtraError, match="mlflow"):
        MLflowRegistryStore()
