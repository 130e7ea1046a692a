"""What a step costs: against torch's own counter, for full weights and for LoRA."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.unit.training.conftest import MakeRun, events, train
from tunekit.spec import Adapter, FullWeights, LoRA
from tunekit.testing.tiny_models import make_tiny_llama
from tunekit.training.models import load
from tunekit.training.models.adapters import make_trainable
from tunekit.training.plan import flops
from tunekit.training.plan.flops import Work
from tunekit.training.texts.rows import Answers, Tokens

LENGTH, TARGETS = 128, 32


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("adapter", [FullWeights(), LoRA(rank=4)], ids=["full", "lora"])
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
    # With adapters, what the first layer reads needs no gradient, which we count all the same.
    assert whole == pytest.approx(counted.get_total_flops(), rel=1e-9 if adapter.type == "full" else 0.03)


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
