"""Adapters of one base in one loaded model: the base is there once, and each answers as if it were alone."""

from __future__ import annotations

import gc
import shutil
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.training.conftest import MakeRun, train
from tunekit.errors import ModelError
from tunekit.spec import SFT, FullWeights, LoRA, Sampling
from tunekit.testing.tiny_models import make_tiny_llama
from tunekit.training.models import load
from tunekit.training.saving import parity
from tunekit.training.serving import generate, shared_base
from tunekit.training.serving.kept_models import KeptModels

ADAPTERS = {
    "lora": LoRA(rank=4),
    "dora": LoRA(rank=2, dora=True),
    "elsewhere": LoRA(rank=4, target_modules=("gate_proj", "down_proj")),
}


@pytest.fixture
def artifacts(make_run: MakeRun) -> dict[str, str]:
    """Three adapters of one base, in different layers."""
    found = {}
    for at, (name, adapter) in enumerate(ADAPTERS.items()):
        run = make_run(name=name, method=SFT(adapter=adapter), epochs=1, seed=at)
        train(run)
        found[name] = str(run.artifact_path)
    return found


def test_each_answers_to_the_bit_as_if_it_were_alone_in_any_order(artifacts: dict[str, str]) -> None:
    alone = {name: parity.logits(load.load(path)) for name, path in artifacts.items()}
    kept = KeptModels()
    for name in ("lora", "dora", "elsewhere", "dora", "lora", "elsewhere"):
        assert torch.equal(parity.logits(kept.answering(artifacts[name])), alone[name]), name
    assert not torch.equal(alone["lora"], alone["dora"])


def test_answers_are_those_of_a_fresh_load(artifacts: dict[str, str]) -> None:
    kept, asked, sampling = (
        KeptModels(),
        [{"prompt": "ask 1"}, {"prompt": "ask ask 2"}],
        Sampling(max_tokens=8),
    )
    for path in (*artifacts.values(), *artifacts.values()):
        ours, fresh = (
            generate.generate(loaded, asked, sampling) for loaded in (kept.answering(path), load.load(path))
        )
        assert [answer["text"] for answer in ours] == [answer["text"] for answer in fresh]


def test_the_base_is_loaded_once(artifacts: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[object] = []
    load_base = load.load_base

    def counted(*arguments: Any, **options: Any) -> Any:
        loads.append(arguments)
        return load_base(*arguments, **options)

    monkeypatch.setattr(load, "load_base", counted)
    kept = KeptModels()
    first, second = kept.answering(artifacts["lora"]), kept.answering(artifacts["dora"])
    assert len(loads) == 1
    name = "model.layers.0.self_attn.q_proj"
    weights = [one.model.get_base_model().get_submodule(name).base_layer.weight for one in (first, second)]
    assert weights[0] is weights[1]
    assert not any(value.requires_grad for value in second.model.parameters())


def test_the_least_used_adapter_goes_first(
    artifacts: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_base, "_MOST_ADAPTERS", 2)
    kept = KeptModels()
    model = kept.answering(artifacts["lora"]).model
    kept.answering(artifacts["dora"])
    kept.answering(artifacts["lora"])
    kept.answering(artifacts["elsewhere"])
    assert sorted(model.peft_config) == ["adapter-2", "default"]
    alone = parity.logits(load.load(artifacts["dora"]))
    assert torch.equal(parity.logits(kept.answering(artifacts["dora"])), alone)


def test_an_adapter_saved_anew_is_loaded_anew(artifacts: dict[str, str], tmp_path: Path) -> None:
    place = tmp_path / "adapter"
    shutil.copytree(artifacts["lora"], place)
    kept = KeptModels()
    kept.answering(str(place))
    shutil.rmtree(place)
    shutil.copytree(artifacts["elsewhere"], place, copy_function=shutil.copyfile)
    alone = parity.logits(load.load(artifacts["elsewhere"]))
    assert torch.equal(parity.logits(kept.answering(str(place))), alone)


def test_one_that_does_not_fit_leaves_the_others_as_they_are(
    artifacts: dict[str, str], tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(artifacts["dora"], tmp_path / "broken"))
    (broken / "adapter_model.safetensors").write_bytes(b"nothing")
    kept = KeptModels()
    before = parity.logits(kept.answering(artifacts["lora"]))
    with pytest.raises(ModelError):
        kept.answering(str(broken))
    again = kept.answering(artifacts["lora"])
    assert list(again.model.peft_config) == ["default"]
    assert torch.equal(parity.logits(again), before)


def test_other_bases_and_whole_models_are_apart(
    make_run: MakeRun, artifacts: dict[str, str], tmp_path: Path
) -> None:
    other = make_run(name="other", model=make_tiny_llama(tmp_path / "other", seed=1), epochs=1)
    whole = make_run(name="whole", method=SFT(adapter=FullWeights()), epochs=1)
    for run in (other, whole):
        train(run)
    kept = KeptModels()
    first = weakref.ref(kept.answering(artifacts["lora"]).model)
    for path in (str(other.artifact_path), str(whole.artifact_path)):
        alone = parity.logits(load.load(path))
        assert torch.equal(parity.logits(kept.answering(path)), alone)
    gc.collect()
    assert first() is None, "no more than two bases are kept"
