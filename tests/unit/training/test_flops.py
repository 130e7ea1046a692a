"""What a step costs: against torch's own counter, for full weights and for LoRA."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.unit.training.conftest import MakeRun, events, train
from tunekit.spec import Adapter, FullWeights, LastLayers, LoRA
from tunekit.testing.tiny_models import make_tiny_llama
from tunekit.training.models import load
from tunekit.training.models.adapters import make_trainable
from tunekit.training.plan import flops
from tunekit.training.plan.flops import Work
from tunekit.training.texts.rows import Answers, Tokens

LENGTH, TARGETS = 128, 32


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(
    "adapter", [FullWeights(), LoRA(rank=4), LastLayers(layers=1)], ids=["full", "lora", "last layer"]
)
def test_operations_are_what_torch_counts(tmp_path: Path, adapter: Adapter, tied: bool) -> None:
    path = make_tiny_llama(tmp_path / "model", hidden=64, layers=3, tied=tied)
    model = make_trainable(load.load_base(path), adapter, seed=0)
    base = model.get_base_model() if isinstance(adapter, LoRA) else model
    base.set_attn_implementation("eager")  # written out in products, which torch's counter knows
    row = Answers(
        id="", answers=(Tokens(ids=(0,) * LENGTH, weights=(0.0,) * 96 + (1.0,) * TARGETS),), weight=1.0
    )
    ids = torch.zeros((1, LENGTH), dtype=torch.int64)
    keep = torch.arange(LENGTH)[None] >= LENGTH - TARGETS
    with FlopCounterMode(display=False) as counted:
        model(input_ids=ids, use_cache=False, logits_to_keep=keep).logits.sum().backward()
    # Written out, attention is the whole square; we count the half that a causal kernel needs.
    whole = Work.of(model).of_rows([row]) + Work.of(model).attention * LENGTH * LENGTH / 2
    # What the first layer that is trained reads needs no gradient, which we count all the same.
    assert whole == pytest.approx(counted.get_total_flops(), rel=1e-9 if adapter.type == "full" else 0.05)


def test_only_experts_that_a_token_goes_through_count() -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    def work(experts: int) -> Work:
        config = AutoConfig.for_model(
            "qwen3_moe",
            vocab_size=64,
            hidden_size=32,
            intermediate_size=64,
            moe_intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=8,
            num_experts=experts,
            num_experts_per_tok=2,
        )
        return Work.of(AutoModelForCausalLM.from_config(config))

    # Only the router grows: its rows are one to an expert.
    assert work(8).body - work(4).body == pytest.approx(2 * 4 * 32 * 6)


def test_a_mixture_that_does_not_say_how_many_experts_a_token_takes() -> None:
    """A Switch transformer takes one, and its configuration has no word for it."""
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    def work(experts: int) -> Work:
        shape = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_heads": 4, "num_layers": 2, "vocab_size": 64}
        config = AutoConfig.for_model("switch_transformers", **shape, num_experts=experts)
        return Work.of(AutoModelForSeq2SeqLM.from_config(config).requires_grad_(False))

    assert work(8).body == pytest.approx(work(4).body, rel=0.05), "only routers grow"


def test_weights_in_four_bits_count_as_what_they_stand_for(llama: Path) -> None:
    model = load.load_base(llama)
    before = Work.of(model).body
    layer = model.model.layers[0].self_attn.q_proj
    packed = torch.zeros((layer.weight.numel() // 2, 1), dtype=torch.uint8)
    layer.weight = torch.nn.Parameter(packed, requires_grad=False)
    assert Work.of(model).body == before


def test_a_step_says_how_fast_it_was(make_run: MakeRun) -> None:
    run = make_run(epochs=1)
    train(run)
    assert flops.peak("cpu")
    for step in events(run, "step"):
        assert 0 < step.metrics["mfu"] < 1.5
        assert 0 < step.metrics["target_tokens_per_s"] < step.tokens_per_s
    (report,) = [event.report for event in events(run, "preflight")]
    assert report["operations"] > 0
    assert report["seconds_estimate"] > 0
