"""Every way to lay rows out against one plain text at a time: all decoders, all attention, losses and gradients.

Encoders have theirs in `test_features` and `test_classify`, encoder-decoders in `test_encoder_decoders`, the GPU's
kernel in `test_varlen`. transformers' `flex_attention` has no gradient on a CPU and no model chooses it by itself; one
that was told to use it is left alone.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.unit.training.judged import decoder, gradient_of
from tunekit.training.models.attention import supports_end_to_end
from tunekit.training.texts.rows import Answers, Tokens

SHAPE: dict[str, Any] = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "initializer_range": 0.2,  # large, so that what is seen matters
    "bos_token_id": None,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 32}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen3": {},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256},
    "qwen3_moe": {**EXPERTS, "num_experts": 4},
    "mistral": {"sliding_window": None},
    "mistral with a window": {"sliding_window": 6},
    "gemma2": {"sliding_window": 6, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 5.0},
    "gpt_oss": {"sliding_window": 6, "num_local_experts": 4, "num_experts_per_tok": 2},
    "llama4_text": {
        "attention_chunk_size": 6,
        "no_rope_layers": [1, 0],
        "num_local_experts": 2,
        "intermediate_size_mlp": 64,
    },
}
LAID_END_TO_END = {"llama", "qwen3", "gpt2", "qwen3_moe", "mistral"}


def said(*ids: int, silent: int = 0) -> Tokens:
    """An answer whose first tokens are not learned, and whose last counts less."""
    return Tokens(ids=ids, weights=(0.0,) * silent + (1.0,) * (len(ids) - silent - 1) + (0.5,))


SEVERAL = [
    Answers(id="pair", prompt=(5, 6, 7), answers=(said(8, 9, 10), said(11, 12)), weight=1.0),
    Answers(id="plain", answers=(said(20, 21, 22, 23, silent=1),), weight=1.0),
    Answers(id="long", prompt=tuple(range(30, 45)), answers=(said(*range(45, 60)),), weight=1.0),
]
SILENT_AT_FIRST = [
    Answers(id="pair", prompt=(5, 6, 7), answers=(said(8, 9, 10, silent=1), said(11, 12)), weight=1.0)
]


def made(family: str, attention: str) -> Any:
    """A model with random weights, dropout off."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(family.split()[0], **{**SHAPE, **FAMILIES[family]})
    config.num_attention_heads = 4
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()


def alone(model: Any, rows: list[Answers]) -> torch.Tensor:
    """Weighted log-probability of each answer: one text at a time, full logits, as transformers computes them."""
    found = []
    for row in rows:
        for answer in row.answers:
            ids = torch.tensor([row.prompt + answer.ids])
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits
            each = logits[0, :-1].log_softmax(-1).gather(-1, ids[0, 1:, None])[:, 0]
            weights = torch.tensor([0.0] * len(row.prompt) + list(answer.weights))[1:]
            found.append((each * weights).sum())
    return torch.stack(found)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", FAMILIES)
def test_rows_together_are_texts_alone(family: str, attention: str) -> None:
    try:
        model = made(family, attention)
    except ValueError:
        assert (family, attention) in {("gemma2", "sdpa"), ("gpt_oss", "sdpa")}, (
            "transformers has it only eager"
        )
        return
    model.requires_grad_(True)
    texts = [alone(model, rows) for rows in (SEVERAL, SILENT_AT_FIRST)]
    gradients = [gradient_of(model, found.sum()) for found in texts]
    ours = decoder(model, end_to_end=True)
    model.eval()
    assert ours.end_to_end is (family in LAID_END_TO_END and attention == "sdpa")
    for rows, expected, gradient in zip((SEVERAL, SILENT_AT_FIRST), texts, gradients, strict=True):
        found = ours.score(rows).by_answer()
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(gradient_of(model, found.sum()), gradient, rtol=1e-4, atol=1e-5)


def test_attention_that_was_asked_for_is_left_alone() -> None:
    model = made("llama", "flex_attention")
    assert not supports_end_to_end(model, longest=256)
    assert model.config._attn_implementation == "flex_attention"
