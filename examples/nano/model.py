"""The shape of nano and its first weights. Knows no text.

A Llama shape, because every tool loads it: grouped-query attention, SwiGLU, rotary positions, tied embeddings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nano.tokenizer import CONTEXT, END, PAD, SPECIAL, VOCABULARY

HIDDEN, LAYERS, HEADS, KEY_HEADS, INNER = 192, 6, 6, 3, 576


def write_untrained(folder: Path, seed: int = 0) -> int:
    """Write config, generation config and random fp32 weights beside a tokenizer; the target of the first job.

    Returns:
        The number of parameters.
    """
    import torch
    from transformers import LlamaForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config())
    model.generation_config = generation_config()
    model.save_pretrained(folder)
    return sum(parameter.numel() for parameter in model.parameters())


def config() -> Any:
    """The model's shape, with the ids of its special tokens. There is no token for the begin of a text."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KEY_HEADS,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        initializer_range=0.02,
        bos_token_id=None,
        eos_token_id=SPECIAL.index(END),
        pad_token_id=SPECIAL.index(PAD),
        dtype="float32",
    )


def generation_config() -> Any:
    """Greedy by default; stops at the end of the turn."""
    from transformers import GenerationConfig

    return GenerationConfig(
        eos_token_id=SPECIAL.index(END), pad_token_id=SPECIAL.index(PAD), do_sample=False, max_new_tokens=128
    )
