"""Merged weights say what the adapter said: in fp32 to the rounding, in the base's dtype to that of the dtype."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from tests.unit.training.conftest import MakeRun, train
from tunekit.errors import ModelError
from tunekit.spec import SFT, LoRA
from tunekit.testing.tiny_models import make_tiny_llama, make_tiny_t5
from tunekit.training.models import load
from tunekit.training.models.families import auto_class
from tunekit.training.run.rundir import RunDirectory
from tunekit.training.saving import artifacts, merge, parity

ADAPTERS = {
    "lora": LoRA(rank=4),
    "rslora": LoRA(rank=4, rslora=True),
    "dora": LoRA(rank=4, dora=True),
    "pissa": LoRA(rank=4, init="pissa"),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("models")
    return {"llama": make_tiny_llama(directory / "llama"), "t5": make_tiny_t5(directory / "t5")}


def trained(make_run: MakeRun, **fields: Any) -> RunDirectory:
    run = make_run(epochs=1, **fields)
    train(run)
    return run


def reloaded(run: RunDirectory, directory: Path, *, dtype: torch.dtype | None = None) -> tuple[Any, float]:
    """The merged model, written and loaded by plain transformers, and how far its logits are from the adapter's."""
    loaded = load.load(run.artifact_path)
    expected = parity.logits(loaded)
    model = merge.merged(loaded, dtype=dtype)
    assert loaded.card is not None
    directory.mkdir()
    artifacts.write(directory, model, loaded.tokenizer, loaded.card.model_copy(update={"kind": "full"}))
    plain = auto_class(model.config, "tokens").from_pretrained(directory)
    error = (parity.logits(loaded, of=plain) - expected).abs().max() / expected.abs().max()
    return plain, float(error)


@pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=ADAPTERS)
@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_merged_is_the_adapter_and_others_load_it(
    make_run: MakeRun, models: dict[str, Path], tmp_path: Path, kind: str, adapter: LoRA
) -> None:
    run = trained(make_run, model=models[kind], method=SFT(adapter=adapter))
    plain, error = reloaded(run, tmp_path / "merged")
    assert error <= 1e-6
    assert plain.dtype == torch.float32
    base = parity.logits(load.load(models[kind]))
    assert not torch.allclose(parity.logits(load.load(tmp_path / "merged")), base, atol=1e-4)


@pytest.mark.parametrize("target", ["lm_head", "embed_tokens"])
def test_a_trained_end_of_a_tied_pair_gets_a_matrix_of_its_own(
    make_run: MakeRun, models: dict[str, Path], tmp_path: Path, target: str
) -> None:
    adapter = LoRA(rank=4, target_modules=("q_proj", target))
    run = trained(make_run, model=models["llama"], method=SFT(adapter=adapter))
    plain, error = reloaded(run, tmp_path / "merged")
    assert error <= 1e-6
    assert not plain.config.tie_word_embeddings
    assert not torch.equal(plain.get_input_embeddings().weight, plain.get_output_embeddings().weight)


@pytest.mark.filterwarnings("ignore:.*tie_word_embeddings")  # PEFT's, of what is taken care of here
@pytest.mark.parametrize("target", ["lm_head", "embed_tokens"])
@pytest.mark.parametrize("kind", ["t5", "mt5"])
def test_an_encoder_decoder_may_share_one_matrix_four_times(
    make_run: MakeRun, tmp_path: Path, kind: Literal["t5", "mt5"], target: str
) -> None:
    base = make_tiny_t5(tmp_path / kind, kind=kind)
    run = trained(make_run, model=base, method=SFT(adapter=LoRA(rank=4, target_modules=("q", target))))
    _, error = reloaded(run, tmp_path / "merged")
    assert error <= 1e-6


@pytest.mark.parametrize("targets", [("shared",), ("q", "shared")])
def test_an_adapter_on_embeddings_that_nothing_reads_is_refused(
    make_run: MakeRun, models: dict[str, Path], targets: tuple[str, ...]
) -> None:
    """It would stay as it began, and merging would untie what it should not."""
    run = make_run(model=models["t5"], method=SFT(adapter=LoRA(rank=4, target_modules=targets)))
    with pytest.raises(ModelError, match=r"encoder.embed_tokens and decoder.embed_tokens are read"):
        train(run)


def test_a_tied_pair_that_was_not_trained_stays_tied(
    make_run: MakeRun, models: dict[str, Path], tmp_path: Path
) -> None:
    plain, _ = reloaded(trained(make_run, model=models["llama"]), tmp_path / "merged")
    assert plain.get_input_embeddings().weight is plain.get_output_embeddings().weight


def test_the_sum_is_made_in_fp32_and_rounded_once(
    make_run: MakeRun, models: dict[str, Path], tmp_path: Path
) -> None:
    base = tmp_path / "bf16"
    load.load_base(models["llama"]).to(torch.bfloat16).save_pretrained(base)
    load.load_tokenizer(models["llama"]).save_pretrained(base)
    run = trained(make_run, model=base)
    exact = merge.merged(load.load(run.artifact_path), dtype=torch.float32)
    rounded = merge.merged(load.load(run.artifact_path))
    for name, value in rounded.named_parameters():
        assert value.dtype == torch.bfloat16
        assert torch.equal(value, exact.get_parameter(name).to(torch.bfloat16))
    _, error = reloaded(run, tmp_path / "merged")
    assert 0 < error < 5e-2
