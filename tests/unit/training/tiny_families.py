"""Every family of models that the tests train, tiny and without a head of classes. Knows shapes; no run and no method.

The table of families and methods in docs/guides/train.md is made from these; see test_cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from tests.unit.training.tiny_bart import make_tiny_bart
from tunekit.testing.tiny_models import make_tiny_bert, make_tiny_llama, make_tiny_t5

SHAPE: dict[str, Any] = {
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
GPT2_SHAPE: dict[str, Any] = {
    "vocab_size": 260,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 256,
    "eos_token_id": 1,
}
EXPERTS: dict[str, Any] = {
    "head_dim": 8,
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 32,
}
ENCODER_SHAPE: dict[str, Any] = {name: value for name, value in SHAPE.items() if "token" not in name} | {
    "vocab_size": 261,
    "num_key_value_heads": 4,
    "pad_token_id": 0,
}


@dataclass(frozen=True)
class TinyFamily:
    """A family and how a tiny model of it is made.

    Attributes:
        kind: Which methods it can have.
        model_type: What transformers calls it.
        shape: Of its configuration; empty where `tiny_models` or `tiny_bart` has one.
    """

    kind: Literal["decoder", "encoder-decoder", "encoder"]
    model_type: str
    shape: dict[str, Any]

    def make(self, directory: Path) -> Path:
        """Write a base with random weights, dropout as its configuration has it, and a byte-level tokenizer."""
        if self.model_type == "bart":
            return make_tiny_bart(directory, tokenizer_of=make_tiny_t5(directory.with_name("bart-tokenizer")))
        if self.kind == "encoder-decoder":
            return make_tiny_t5(directory, kind="mt5" if self.model_type == "mt5" else "t5")
        made = make_tiny_llama(directory) if self.kind == "decoder" else make_tiny_bert(directory)
        if self.shape:
            _put_into(made, self)
        return made


FAMILIES: dict[str, TinyFamily] = {
    "Llama": TinyFamily("decoder", "llama", {}),
    "Qwen2": TinyFamily("decoder", "qwen2", SHAPE),
    "Qwen3": TinyFamily("decoder", "qwen3", {**SHAPE, "head_dim": 8}),
    "Mistral": TinyFamily("decoder", "mistral", {**SHAPE, "sliding_window": None}),
    "Mistral, sliding window": TinyFamily("decoder", "mistral", {**SHAPE, "sliding_window": 8}),
    "Gemma 2": TinyFamily("decoder", "gemma2", {**SHAPE, "head_dim": 8, "sliding_window": 16}),
    "Gemma 3": TinyFamily("decoder", "gemma3_text", {**SHAPE, "head_dim": 8, "sliding_window": 16}),
    "GPT-2": TinyFamily("decoder", "gpt2", GPT2_SHAPE),
    "Phi": TinyFamily("decoder", "phi", {**SHAPE, "num_key_value_heads": 4}),
    "Qwen3-MoE": TinyFamily("decoder", "qwen3_moe", {**SHAPE, **EXPERTS}),
    "Mixtral": TinyFamily("decoder", "mixtral", {**SHAPE, "num_local_experts": 4}),
    "T5": TinyFamily("encoder-decoder", "t5", {}),
    "mT5": TinyFamily("encoder-decoder", "mt5", {}),
    "BART": TinyFamily("encoder-decoder", "bart", {}),
    "BERT": TinyFamily("encoder", "bert", {}),
    # A BERT of another shape.
    "MiniLM": TinyFamily("encoder", "bert", {**ENCODER_SHAPE, "hidden_size": 24, "num_hidden_layers": 3}),
    "ERNIE": TinyFamily("encoder", "ernie", ENCODER_SHAPE),
    # Two positions stand before the first.
    "RoBERTa": TinyFamily(
        "encoder", "roberta", {**ENCODER_SHAPE, "max_position_embeddings": 130, "pad_token_id": 1}
    ),
    "DistilBERT": TinyFamily(
        "encoder",
        "distilbert",
        {"vocab_size": 261, "dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 4},
    ),
    "DeBERTa-v2": TinyFamily(
        "encoder",
        "deberta-v2",
        {
            **ENCODER_SHAPE,
            "relative_attention": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_buckets": 32,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
        },
    ),
    "ModernBERT": TinyFamily(
        "encoder", "modernbert", {**ENCODER_SHAPE, "local_attention": 8, "global_attn_every_n_layers": 2}
    ),
    # One block for all layers.
    "ALBERT": TinyFamily("encoder", "albert", {**ENCODER_SHAPE, "embedding_size": 16}),
}


def _put_into(directory: Path, family: TinyFamily) -> None:
    """Weights and configuration of a family in place of those that are there."""
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    (directory / "model.safetensors").unlink()
    config = AutoConfig.for_model(family.model_type, **family.shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if family.kind == "encoder":
            AutoModel.from_config(config).save_pretrained(directory)
            return
        model = AutoModelForCausalLM.from_config(config)
    model.generation_config.eos_token_id = 1
    model.save_pretrained(directory)
