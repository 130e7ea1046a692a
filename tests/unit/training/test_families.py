"""Other families of causal language models: the same loop, the same promises."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.training.conftest import MakeRun, losses, train
from tunekit.events import JobState
from tunekit.spec import SFT, FullWeights, LoRA
from tunekit.training.models import load
from tunekit.training.models.attention import supports_end_to_end
from tunekit.training.models.language_model import head_selects_rows

SHAPE = {
    "vocab_size": 260,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": None,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "qwen3": {**SHAPE, "head_dim": 8},
    "mistral": {**SHAPE, "sliding_window": None},
    "gemma2": {**SHAPE, "head_dim": 8, "sliding_window": 16},
    "gpt2": {
        "vocab_size": 260,
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 4,
        "n_positions": 256,
        "eos_token_id": 1,
    },
    "qwen3_moe": {
        **SHAPE,
        "head_dim": 8,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 32,
    },
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, llama: Path) -> dict[str, Path]:
    from transformers import AutoConfig, AutoModelForCausalLM

    made = {}
    for family, shape in FAMILIES.items():
        path = Path(shutil.copytree(llama, tmp_path_factory.mktemp("families") / family))
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **shape))
        model.generation_config.eos_token_id = 1
        model.save_pretrained(path)
        made[family] = path
    return made


@pytest.mark.parametrize("adapter", [LoRA(rank=4), FullWeights()], ids=["lora", "full"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_trains_and_its_artifact_loads(
    make_run: MakeRun, models: dict[str, Path], family: str, adapter: LoRA | FullWeights
) -> None:
    run = make_run(model=models[family], method=SFT(adapter=adapter), epochs=4)
    result = train(run)
    assert result is not None
    assert result.state is JobState.SUCCEEDED
    seen = losses(run)
    assert sum(seen[-3:]) < sum(seen[:3])
    loaded = load.load(run.artifact_path)
    ids = torch.tensor([[2, 88, 86, 72]])
    with torch.no_grad():
        tuned, base = (model.model(input_ids=ids).logits for model in (loaded, load.load(models[family])))
    assert not torch.equal(tuned, base)


@pytest.mark.parametrize("family", FAMILIES)
def test_shortcuts_are_taken_only_where_they_are_exact(models: dict[str, Path], family: str) -> None:
    """Which families take them is written down here, so that losing one is noticed."""
    model = load.load_base(models[family])
    assert head_selects_rows(model)
    assert supports_end_to_end(model, longest=256) is (family in ("qwen3", "mistral", "gpt2", "qwen3_moe"))
