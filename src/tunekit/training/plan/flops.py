"""How much arithmetic a step is, and how fast this device could do it. Knows layers and shapes; no loss and no step.

Counted are matrix products, 2 operations to a multiplication with its addition (Kaplan et al. 2020, arXiv 2001.08361).
Of the backward pass, products that nothing asks for are not: with LoRA the frozen weights get no gradient of their own,
so a token costs 4 operations to a weight and not 6, and 2 where no gradient goes at all, below the last layers where
only these are trained. A share of the peak that counted 6 would be half as high again, and worth nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from tunekit.training.texts.rows import Row

PEAK_BF16 = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12, "A10": 125e12}
"""Dense bf16 operations per second that NVIDIA's data sheets state, by a part of the device's name."""

_PROBE_SIZE, _PROBE_ROUNDS = 768, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What training a model costs.

    Attributes:
        body: Operations per token that is read, forward and backward.
        head: Operations per target, forward and backward.
        attention: Operations per pair of a token and one that it sees, forward and backward.
    """

    body: float
    head: float
    attention: float

    @classmethod
    def of(cls, model: Any) -> Work:
        """Count a model's weights. Of a mixture's experts, those that a token goes through."""
        config = model.config.get_text_config()
        output = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
        head = {id(value) for value in output.parameters()} if output is not None else set()
        tables = {id(part.weight) for part in model.modules() if isinstance(part, torch.nn.Embedding)}
        forward = reached = body = heads = 0.0
        is_reached = False  # by gradients: weights stand in the order in which a token meets them
        for name, value in model.named_parameters():
            is_reached = is_reached or value.requires_grad
            operations = 2.0 * _count(value) * (_expert_share(config) if ".experts." in name else 1.0)
            if id(value) in head:
                heads += operations * (2 + value.requires_grad)
            elif value.ndim > 1 and id(value) not in tables:
                forward += operations
                reached += operations * is_reached
                body += operations * (1 + is_reached + value.requires_grad)
        if model.config.is_encoder_decoder:
            body /= 2  # a token goes through one of the two; a decoder layer's cross-attention is shared between them
        attention_heads = getattr(config, "num_attention_heads", 0)  # a state space model has none
        width = getattr(config, "head_dim", None) or config.hidden_size // max(1, attention_heads)
        # Scores and their product with the values, 2 operations each, and twice that backward.
        attention = 4.0 * config.num_hidden_layers * attention_heads * width
        return cls(body=body, head=heads, attention=attention * (1 + 2 * reached / forward))

    def of_rows(self, rows: Iterable[Row]) -> float:
        """Operations of one forward and backward pass; each text is taken to be causal."""
        total = 0.0
        for row in rows:
            seen = row.length * row.longest / 2
            total += self.body * row.length + self.head * row.target_count + self.attention * seen
        return total


def _count(weight: torch.Tensor) -> int:
    """Numbers in a weight; 4-bit ones lie two to a byte."""
    return weight.numel() * (2 if weight.dtype is torch.uint8 else 1)


def _expert_share(config: Any) -> float:
    experts = getattr(config, "num_experts", None) or getattr(config, "num_local_experts", None)
    # Gemma 4 says top_k_experts; a Switch transformer takes one and says nothing.
    asked = getattr(config, "num_experts_per_tok", None) or getattr(config, "top_k_experts", None) or 1
    return asked / experts if experts else 1.0


def peak(device: str) -> float | None:
    """Operations per second that a device could do at best; None where that is not known.

    For a GPU what its data sheet says, for a CPU what a matrix product of some milliseconds shows, with the threads
    that torch has.
    """
    if device != "cpu":
        name = torch.cuda.get_device_name(device)
        return next((value for part, value in PEAK_BF16.items() if part in name), None)
    left = torch.ones((_PROBE_SIZE, _PROBE_SIZE))
    best = float("inf")
    for _ in range(_PROBE_ROUNDS):
        started = time.perf_counter()
        left @ left
        best = min(best, time.perf_counter() - started)
    return 2.0 * _PROBE_SIZE**3 / best
