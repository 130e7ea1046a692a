"""Decoders of other families, for tests of answers: positions that are learned or none, and a window that slides."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch


def make_gpt2(path: Path, *, tokenizer_of: Path) -> Path:
    """Learned positions, counted from the first token of the text."""
    from transformers import GPT2Config, GPT2LMHeadModel

    return _made(
        path,
        tokenizer_of,
        GPT2LMHeadModel,
        GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=256, vocab_size=260),
    )


def make_bloom(path: Path, *, tokenizer_of: Path) -> Path:
    """No positions: attention fades with the distance, which follows from places among all tokens that are given."""
    from transformers import BloomConfig, BloomForCausalLM

    return _made(
        path,
        tokenizer_of,
        BloomForCausalLM,
        BloomConfig(hidden_size=32, n_layer=2, n_head=4, vocab_size=260),
    )


def make_sliding(path: Path, *, tokenizer_of: Path, window: int | None = 8) -> Path:
    """Tokens see no further back than a window that most prompts are longer than; None is a Llama in all but name."""
    from transformers import MistralConfig, MistralForCausalLM

    config = MistralConfig(
        vocab_size=260,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        sliding_window=window,
    )
    return _made(path, tokenizer_of, MistralForCausalLM, config)


def _made(path: Path, tokenizer_of: Path, model_class: Any, config: Any) -> Path:
    path.mkdir(parents=True)
    for item in tokenizer_of.glob("*token*"):
        shutil.copy(item, path)
    for item in tokenizer_of.glob("*.jinja"):
        shutil.copy(item, path)
    config.bos_token_id = config.eos_token_id = config.pad_token_id = None
    config.initializer_range = 0.2  # large, so that prompts matter
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model_class(config).save_pretrained(path)
    return path
