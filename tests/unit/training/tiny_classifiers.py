"""Tiny bases of every family that can classify, and rows that they can learn. Knows no run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch

from tunekit.examples import Example, LabelledExample
from tunekit.testing.tiny_models import make_tiny_bert, make_tiny_llama, make_tiny_t5

CLASSES = ("billing", "delivery", "refund")
WORDS = {"billing": "zzz", "delivery": "ooo", "refund": "iii"}
SHAPE = {
    "vocab_size": 261,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
}
MADE_FROM_CONFIGS: dict[str, dict[str, Any]] = {
    "ernie": SHAPE,
    "roberta": SHAPE,
    "distilbert": {"vocab_size": 261, "dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 4},
    "qwen3": {**SHAPE, "num_key_value_heads": 2, "head_dim": 8, "eos_token_id": 1},
    "gpt2": {
        "vocab_size": 261,
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 4,
        "n_positions": 128,
        "eos_token_id": 1,
    },
}
FAMILIES = ("bert", "ernie", "roberta", "distilbert", "llama", "qwen3", "gpt2", "t5")


def make_classifier_base(family: str, directory: Path) -> Path:
    """Write a base of a family, without a head of classes; dropout is at what its configuration says, 0.1 mostly."""
    if family == "bert":
        return make_tiny_bert(directory, max_length=128)
    if family == "llama":
        return make_tiny_llama(directory, max_length=128)
    if family == "t5":
        return make_tiny_t5(directory)
    from transformers import AutoConfig, AutoModel

    is_decoder = family in ("qwen3", "gpt2")
    beside = directory.with_name(f"{directory.name}-tokenizer")
    shutil.copytree((make_tiny_llama if is_decoder else make_tiny_bert)(beside), directory)
    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.for_model(family, **MADE_FROM_CONFIGS[family])).save_pretrained(
        directory
    )
    return directory


def without_dropout(base: Path, directory: Path) -> Path:
    """A copy of a base in which nothing is dropped, for what must not depend on how a step is cut."""
    from transformers import AutoConfig

    shutil.copytree(base, directory)
    config = AutoConfig.from_pretrained(base)
    for name in list(config.to_dict()):
        if "dropout" in name or name.endswith("pdrop"):
            setattr(config, name, 0.0)
    config.save_pretrained(directory)
    return directory


def labelled(count: int = 18) -> list[Example]:
    """Texts of different lengths whose class follows from a word in them."""
    names = [CLASSES[n % len(CLASSES)] for n in range(count)]
    return [
        LabelledExample(id=f"row-{n}", text=f"{'ask ' * (1 + n % 4)}{WORDS[name]}", label=name)
        for n, name in enumerate(names)
    ]


def several(count: int = 18) -> list[Example]:
    """The same with no, one or two classes to a text."""
    chosen = [tuple(name for bit, name in enumerate(CLASSES) if (n % 7) >> bit & 1) for n in range(count)]
    return [
        LabelledExample(
            id=f"row-{n}",
            text=f"{'ask ' * (1 + n % 4)}{' '.join(WORDS[name] for name in names)}",
            label=names,
        )
        for n, names in enumerate(chosen)
    ]
