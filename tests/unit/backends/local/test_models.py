"""Which directories are models, where a name leads, and what identifies the content."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tunekit.backends.local import models
from tunekit.errors import ModelError, NotFoundError, SpecError
from tunekit.events import JobState
from tunekit.training.run.rundir import RunDirectory, RunResult

RUN = "run-" + "0a" * 10


def model_directory(path: Path, **files: bytes) -> Path:
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (path / "model.safetensors").write_bytes(b"\0" * 8)
    for name, data in files.items():
        (path / name).write_bytes(data)
    return path


def no_config(path: Path) -> None:
    path.mkdir()
    (path / "notes.txt").touch()


def pickle_only(path: Path) -> None:
    model_directory(path, **{"pytorch_model.bin": b"x"})
    (path / "model.safetensors").unlink()


def no_weights(path: Path) -> None:
    model_directory(path)
    (path / "model.safetensors").unlink()


def config_cut_off(path: Path) -> None:
    model_directory(path, **{"config.json": b'{"model_type": '})


def config_is_a_list(path: Path) -> None:
    model_directory(path, **{"config.json": b"[]"})


def pickled_adapter(path: Path) -> None:
    path.mkdir()
    (path / "adapter_config.json").write_text("{}")
    (path / "adapter_model.bin").touch()


def nothing(path: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("make", "says", "hint"),
    [
        (nothing, "no model directory at", "config.json"),
        (Path.mkdir, "it holds nothing", "save_pretrained"),
        (Path.touch, "is a file, not a model directory", "directory"),
        (no_config, "no config.json (it holds notes.txt)", "save_pretrained"),
        (config_cut_off, "not a model configuration", "again"),
        (config_is_a_list, "not a model configuration", "again"),
        (no_weights, "has no *.safetensors", "copy the weights"),
        (pickle_only, "only pytorch_model.bin", "can run code"),
        (pickled_adapter, "only adapter_model.bin", "can run code"),
    ],
)
def test_what_is_no_model_directory_is_named_with_what_to_do(
    tmp_path: Path, make: Callable[[Path], None], says: str, hint: str
) -> None:
    path = tmp_path / "model"
    make(path)
    with pytest.raises((ModelError, NotFoundError)) as caught:
        models.resolve(str(path), tmp_path / "runs")
    assert str(path) in caught.value.message
    assert says in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "model", ["~nobody-has-this-name/model", "m" * 5000, "two words", "a/b/c", "http://x/y", ""]
)
def test_a_string_that_is_neither_path_nor_run_nor_hub_id_is_refused(tmp_path: Path, model: str) -> None:
    with pytest.raises((ModelError, NotFoundError)):  # the name of nobody's home is the former
        models.resolve(model, tmp_path)


def test_a_directory_becomes_absolute_and_a_hub_id_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = model_directory(tmp_path / "mine")
    assert models.resolve("mine", tmp_path) == models.resolve("./mine", tmp_path) == str(path)
    assert models.resolve("Qwen/Qwen3-0.6B", tmp_path) == "Qwen/Qwen3-0.6B"
    assert models.resolve("gpt2", tmp_path) == "gpt2"


def test_a_run_stands_for_its_artifact_once_it_has_one(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=RUN):
        models.resolve(RUN, tmp_path)
    (tmp_path / RUN).mkdir()
    with pytest.raises(NotFoundError, match="no model"):
        models.resolve(RUN, tmp_path)
    (tmp_path / RUN / "artifact").mkdir()
    assert models.resolve(RUN, tmp_path) == str(tmp_path / RUN / "artifact")


def test_an_adapter_is_recognised(tmp_path: Path) -> None:
    base = model_directory(tmp_path / "base")
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    (adapter / "adapter_model.safetensors").touch()
    assert models.resolve(str(adapter), tmp_path) == str(adapter)
    assert models.is_adapter(str(adapter))
    assert not models.is_adapter(str(base))
    assert not models.is_adapter("Qwen/Qwen3-0.6B")


def identity(path: Path) -> str:
    return models.identify(str(path), {})


def test_identity_follows_content_not_place_or_time(tmp_path: Path) -> None:
    one, two = model_directory(tmp_path / "one"), model_directory(tmp_path / "two")
    os.utime(two / "model.safetensors", ns=(0, 1))
    assert identity(one) == identity(two)
    (two / "tokenizer.json").write_text("{}")
    assert identity(one) != identity(two)
    assert models.identify("Qwen/Qwen3-0.6B", {}) == "Qwen/Qwen3-0.6B"


def test_identity_sees_other_weights_of_the_same_size_and_time(tmp_path: Path) -> None:
    one = model_directory(tmp_path / "one", **{"model.safetensors": b"\0" * (1 << 21)})
    two = model_directory(tmp_path / "two", **{"model.safetensors": b"\1" * (1 << 21)})
    for path in (one, two):
        os.utime(path / "model.safetensors", ns=(0, 1))
    assert identity(one) != identity(two)


def test_identity_ignores_what_decides_nothing(tmp_path: Path) -> None:
    path = model_directory(tmp_path / "model")
    before = identity(path)
    (path / "README.md").write_text("about")
    (path / ".git").mkdir()
    (path / ".git" / "index").write_text("x")
    assert identity(path) == before


def test_identity_reads_a_file_once_until_it_changes(tmp_path: Path) -> None:
    path = model_directory(tmp_path / "model")
    seen: dict[tuple[str, int, int, int], str] = {}
    before = models.identify(str(path), seen)
    known = dict.fromkeys(seen, "0" * 64)
    assert models.identify(str(path), known) != before  # taken from what was known, not read again
    (path / "model.safetensors").write_bytes(b"other")
    assert models.identify(str(path), seen) != before


def test_a_slip_in_a_path_is_no_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    with pytest.raises(NotFoundError, match="no model directory at 'models/nan'"):
        models.resolve("models/nan", tmp_path / "runs")


@pytest.mark.parametrize(
    ("result", "why", "hint"),
    [
        (
            RunResult(state=JobState.CANCELLED, message="cancelled after step 3"),
            "was cancelled after step 3",
            "pause",
        ),
        (
            RunResult(state=JobState.FAILED, message="no disk", hint="free some"),
            "failed: no disk",
            "free some",
        ),
    ],
    ids=["cancelled", "failed"],
)
def test_a_run_that_has_ended_without_a_model_says_how(
    tmp_path: Path, result: RunResult, why: str, hint: str
) -> None:
    run = RunDirectory(tmp_path / RUN)
    run.path.mkdir()
    with pytest.raises(NotFoundError, match=r"no model \(yet\)"):
        models.resolve(RUN, tmp_path)
    models.require_can_go_on(run)
    run.result_path.write_text(result.model_dump_json())
    with pytest.raises(NotFoundError, match=f"has no model: it {why}") as asked:
        models.resolve(RUN, tmp_path)
    with pytest.raises(SpecError, match=f"cannot be resumed: it {why}") as resumed:
        models.require_can_go_on(run)
    assert hint in asked.value.hint == resumed.value.hint
