"""The base model of a run and of an adapter: the same one, or a word about it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.training.conftest import MakeRun, events, train
from tunekit.errors import ModelError
from tunekit.testing.tiny_models import make_tiny_llama
from tunekit.training.models import fingerprint, load
from tunekit.training.saving.artifacts import read_card


@pytest.fixture
def base(llama: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(llama, tmp_path / "base"))


def replace_weights(base: Path) -> None:
    """Other numbers in the same tensors, under the same name."""
    other = make_tiny_llama(base.with_name("other"), seed=1)
    shutil.copy(other / "model.safetensors", base / "model.safetensors")


def test_an_adapter_is_not_put_on_a_base_that_was_replaced(make_run: MakeRun, base: Path) -> None:
    run = make_run(model=base, epochs=1)
    train(run)
    assert read_card(run.artifact_path).base_fingerprint.startswith("sha256:")
    load.load(run.artifact_path)
    replace_weights(base)
    with pytest.raises(ModelError, match="not the one that was tuned"):
        load.load(run.artifact_path)


def test_a_run_does_not_go_on_with_a_base_that_was_replaced(make_run: MakeRun, base: Path) -> None:
    run = make_run(model=base)
    train(run, stop_after=4)
    replace_weights(base)
    with pytest.raises(ModelError, match="replaced after this run had reached step 4"):
        train(run)
    assert [event.message for event in events(run, "notice")][-1].startswith("interrupted after step 4")
    assert list(run.checkpoints_path.iterdir()), "nothing is thrown away"


def test_cards_from_before_fingerprints_still_load(make_run: MakeRun, base: Path) -> None:
    run = make_run(model=base, epochs=1)
    train(run)
    path = run.artifact_path / "tunekit.json"
    card = json.loads(path.read_text())
    del card["base_fingerprint"]
    path.write_text(json.dumps(card))
    load.load(run.artifact_path)


class TestFingerprint:
    """What is hashed."""

    def test_only_weights_count(self, base: Path) -> None:
        before = fingerprint.of_weights(base)
        (base / "README.md").write_text("hello")
        assert fingerprint.of_weights(base) == before
        replace_weights(base)
        assert fingerprint.of_weights(base) != before

    def test_large_models_are_known_by_their_headers(
        self, base: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fingerprint, "FULL_BYTES", 1000)
        before = fingerprint.of_weights(base)
        assert before.startswith("headers:")
        replace_weights(base)
        assert fingerprint.of_weights(base) == before, "as its docstring says"
        wider = make_tiny_llama(base.with_name("wider"), hidden=64)
        assert fingerprint.of_weights(wider) != before

    def test_shards(self, base: Path) -> None:
        load.load_base(base).save_pretrained(base.with_name("sharded"), max_shard_size="20KB")
        sharded = base.with_name("sharded")
        shards = sorted(sharded.glob("model-*.safetensors"))
        assert len(shards) > 1
        before = fingerprint.of_weights(sharded)
        shards[-1].write_bytes(shards[-1].read_bytes()[:-1] + b"\x01")
        assert fingerprint.of_weights(sharded) != before


TRAIN = """
import sys
from pathlib import Path
from tunekit.training.models import load
from tunekit.training.run.events_log import EventLog
from tunekit.training.run.stops import Stop
from tunekit.training.run.rundir import RunDirectory
from tunekit.training.trainer import run_training

run, steps = RunDirectory(Path(sys.argv[1])), int(sys.argv[2])
stop = lambda: Stop.INTERRUPTED if steps and run.events_path.read_text().count('"type": "step"') >= steps else None
with EventLog(run) as log:
    run_training(run, log, stop)
if not steps:
    load.load(run.artifact_path)
"""


def test_a_model_of_the_hub_is_pinned_to_its_commit(make_run: MakeRun, llama: Path, tmp_path: Path) -> None:
    """From a cache without network, as a machine behind a firewall has it; the branch moves while the run is away."""
    hub, (first, second) = tmp_path / "hub", ("0" * 39 + "1", "0" * 39 + "2")
    repo = hub / "models--acme--tiny"
    shutil.copytree(llama, repo / "snapshots" / first)
    make_tiny_llama(repo / "snapshots" / second, seed=1)
    (repo / "refs").mkdir()
    run = make_run(model=Path("acme/tiny"), epochs=1)
    for commit, steps in ((first, 2), (second, 0)):
        (repo / "refs" / "main").write_text(commit)
        environment = {**os.environ, "HF_HUB_CACHE": str(hub), "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, "-c", TRAIN, str(run.path), str(steps)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    card = read_card(run.artifact_path)
    assert (card.base_model, card.revision) == ("acme/tiny", first)
    assert card.base_fingerprint == f"commit:{first}"
    assert "resumed from the checkpoint of step 2" in [event.message for event in events(run, "notice")]


@pytest.mark.parametrize(
    ("error", "package"),
    [
        (ImportError("No module named 'x'", name="sentencepiece"), "sentencepiece"),
        (ModuleNotFoundError("No module named 'google.protobuf'", name="google.protobuf"), "protobuf"),
        (ImportError("4-bit needs bitsandbytes: `pip install -U bitsandbytes>=0.46.1`"), "bitsandbytes"),
        (ImportError("You can install it with: pip install tiktoken"), "tiktoken"),
    ],
)
def test_a_missing_package_is_named(
    base: Path, monkeypatch: pytest.MonkeyPatch, error: ImportError, package: str
) -> None:
    from transformers import AutoTokenizer

    def fail(*arguments: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", fail)
    with pytest.raises(ModelError, match=f"needs the package '{package}'") as caught:
        load.load_tokenizer(base)
    assert caught.value.hint == f"pip install {package}"
