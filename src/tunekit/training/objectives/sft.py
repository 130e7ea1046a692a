"""Supervised fine-tuning: weighted cross-entropy on target tokens. Knows logits; knows no optimizer and no file.

The output head is applied only to positions that have a target. For a small model with a large vocabulary the head is
most of the work, and on prompt/completion data most positions have none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from tunekit.training.attention import inputs
from tunekit.training.batches import Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Loss of one forward pass, as a sum, so that any split of a step into passes adds up to the same.

    Attributes:
        total: Sum over target tokens of weight times cross-entropy in nats; a scalar with a gradient.
        weight: Sum of the weights.
    """

    total: torch.Tensor
    weight: float


def sft_loss(model: Any, batch: Batch, *, selects_rows: bool) -> Loss:
    """Sum of weight times cross-entropy over the targets of a batch.

    L = sum_t w_t * -log p(x_{t+1} | x_{<=t}); the caller divides by the weights of the whole optimizer step.

    Args:
        model: A causal language model.
        batch: Examples padded on the right.
        selects_rows: Whether the model can apply its head to chosen positions (see `head_selects_rows`).
    """
    keep = batch.weights != 0.0
    logits = _target_logits(model, batch, keep, selects_rows=selects_rows)
    # Row-major order on both sides, so targets and logits line up.
    targets = torch.roll(batch.ids, -1, dims=1)[keep]
    each = functional.cross_entropy(logits.float(), targets, reduction="none")
    weights = batch.weights[keep]
    return Loss(total=(each * weights).sum(), weight=float(weights.sum()))


def head_selects_rows(model: Any) -> bool:
    """Whether `logits_to_keep` takes a 2-D boolean mask: tried out on three tokens, since signatures do not tell."""
    device = next(model.parameters()).device
    ids = torch.zeros((1, 3), dtype=torch.int64, device=device)
    keep = torch.tensor([[True, False, True]], device=device)
    try:
        with torch.no_grad():
            logits = model(input_ids=ids, use_cache=False, logits_to_keep=keep).logits
    except (TypeError, ValueError, IndexError, RuntimeError):
        return False
    return bool(logits.ndim == 2 and logits.shape[0] == 2)


def _target_logits(model: Any, batch: Batch, keep: torch.Tensor, *, selects_rows: bool) -> torch.Tensor:
    # No attention mask: padding on the right is out of sight of every real token, and a mask would cost the causal
    # fast path. No cache: with one, transformers lets rows that lie end to end attend to each other.
    told = inputs(batch.ids, batch.row_lengths) if batch.row_lengths else {"input_ids": batch.ids}
    if selects_rows:
        logits: torch.Tensor = model(**told, use_cache=False, logits_to_keep=keep).logits
        return logits
    full: torch.Tensor = model(**told, use_cache=False).logits
    return full[keep]
