"""Whether what a model computes are numbers. Knows tensors; not what they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunekit.errors import ModelError

if TYPE_CHECKING:
    import torch


def require_numbers(found: torch.Tensor) -> None:
    """Let nobody answer with NaN, which every comparison takes for something else.

    Args:
        found: Logits, log-probabilities or vectors.

    Raises:
        ModelError: NaN or infinity is among them.
    """
    if not found.isfinite().all():
        raise ModelError(
            "the model computes NaN or infinity instead of numbers",
            hint="look for NaN among its weights; a model kept in 16 bits may need 32",
        )
