"""Attention over rows laid end to end, each seeing only itself. Knows transformers' attention seam; knows no loss.

A batch of rows of different lengths becomes one long row without padding: every linear layer works on real tokens only,
and attention is computed row by row. That is exact (no document mask whose bugs could leak), and on a CPU, where a
kernel launch costs nothing, it is also the fastest layout.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

NAME = "tunekit_end_to_end"
_TOLERANCE = 1e-4


def end_to_end_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    row_lengths: tuple[int, ...] = (),
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention within each row.

    Args:
        module: The attention layer.
        query: Shape (1, heads, tokens, size).
        key: Shape (1, key heads, tokens, size).
        value: Shape (1, key heads, tokens, size).
        attention_mask: Never used; there is nothing to mask.
        row_lengths: Tokens of each row, adding up to `tokens`; empty for an ordinary batch.
        options: What transformers hands to any attention function.

    Returns:
        Shape (1, tokens, heads, size), and no attention weights.
    """
    lengths = list(row_lengths or (query.shape[2],))
    rows = zip(query.split(lengths, 2), key.split(lengths, 2), value.split(lengths, 2), strict=True)
    return torch.cat([sdpa_attention_forward(module, *row, None, **options)[0] for row in rows], dim=1), None


def supports_end_to_end(model: Any, *, longest: int) -> bool:
    """Switch a model to `end_to_end_attention` if that changes none of its answers, else leave it as it was.

    Tried out rather than looked up: models with sinks, soft caps, windows or position biases of their own would differ.

    Args:
        model: A causal language model in evaluation mode.
        longest: Longest row of the run in tokens; a window shorter than that cannot be left out.
    """
    config = model.config.get_text_config()
    window = getattr(config, "sliding_window", None)
    if config._attn_implementation != "sdpa" or (window is not None and window < longest):
        return False
    AttentionInterface.register(NAME, end_to_end_attention)
    AttentionMaskInterface.register(NAME, _no_mask)
    try:
        same = _same_answers(model)
    except (TypeError, ValueError, RuntimeError):
        same = False
    if not same:
        _switch(model, "sdpa")
    return same


@torch.no_grad()
def _same_answers(model: Any) -> bool:
    """Switches the model over and compares two short rows apart with the same rows end to end."""
    device = next(model.parameters()).device
    vocabulary = model.config.get_text_config().vocab_size
    first, second = (torch.arange(1, size, device=device)[None] % vocabulary for size in (5, 8))
    apart = torch.cat([model(input_ids=row, use_cache=False).logits for row in (first, second)], dim=1)
    _switch(model, NAME)
    joined = model(**inputs(torch.cat([first, second], dim=1), (4, 7)), use_cache=False).logits
    return torch.allclose(joined, apart, atol=_TOLERANCE, rtol=_TOLERANCE)


def inputs(ids: torch.Tensor, row_lengths: tuple[int, ...]) -> dict[str, Any]:
    """What a model needs to be told about rows laid end to end: their positions and lengths."""
    positions = torch.cat([torch.arange(length, device=ids.device) for length in row_lengths])
    return {"input_ids": ids, "position_ids": positions[None], "row_lengths": row_lengths}


def _switch(model: Any, name: str) -> None:
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    base.set_attn_implementation(name)


def _no_mask(*args: Any, **options: Any) -> None:
    """Rows are apart by construction."""
