"""Attention over rows laid end to end, each seeing only itself. Knows transformers' attention seam; knows no loss.

A batch of rows of different lengths becomes one long row without padding: every linear layer works on real tokens only,
and attention is computed piece by piece, on a CPU one after the other and on a GPU in one kernel (`varlen`). That is
exact: there is no document mask whose bugs could leak. Answers to one prompt share its keys and values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from tunekit.training.models import varlen
from tunekit.training.models.layouts import Piece, positions
from tunekit.training.models.varlen import Spans

NAME = "tunekit_end_to_end"
_LIMITS = ("sliding_window", "attention_chunk_size")
"""How far tokens may see: all that transformers' `masking_utils` reads."""
_TOLERANCE = 1e-4
_TOLERANCE_16_BITS = 0.03


def end_to_end_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    spans: Spans | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention within each piece and to its prompt; causal where the layer is.

    Args:
        module: The attention layer.
        query: Shape (1, heads, tokens, size).
        key: Shape (1, key heads, tokens, size).
        value: Shape (1, key heads, tokens, size).
        attention_mask: Never used; there is nothing to mask.
        spans: The pieces of the row, in order and without gaps; None for an ordinary batch.
        options: What transformers hands to any attention function.

    Returns:
        Shape (1, tokens, heads, size), and no attention weights.
    """
    dtype = _kernel_dtype(query, options.get("dropout", 0.0))
    if spans is not None and dtype is not None:
        # Norms of queries and keys may have made them fp32 under autocast.
        asked, keys, values = query.to(dtype), key.to(dtype), value.to(dtype)
        causal, scale = getattr(module, "is_causal", True), options.get("scaling")
        return varlen.attention(asked, keys, values, spans, causal=causal, scale=scale), None
    found = []
    for piece in spans.pieces if spans is not None else (Piece(start=0, stop=query.shape[2]),):
        asked = query[:, :, piece.start : piece.stop]
        keys, values, mask = _seen(key, piece), _seen(value, piece), _mask(piece, query.device)
        found.append(sdpa_attention_forward(module, asked, keys, values, mask, **options)[0])
    return torch.cat(found, dim=1), None


def _kernel_dtype(query: torch.Tensor, dropout: float) -> torch.dtype | None:
    """The precision in which one kernel can do all pieces, or None where there is none for that."""
    if not query.is_cuda or dropout:
        return None
    dtype = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else query.dtype
    return dtype if dtype in (torch.bfloat16, torch.float16) else None


def _seen(states: torch.Tensor, piece: Piece) -> torch.Tensor:
    own = states[:, :, piece.start : piece.stop]
    return torch.cat([states[:, :, slice(*piece.seen)], own], dim=2) if piece.position else own


def _mask(piece: Piece, device: torch.device) -> torch.Tensor | None:
    """Which keys an answer sees beside its prompt's: what stands before. None is plain causal attention, and faster."""
    if not piece.position:
        return None
    length = piece.stop - piece.start
    mask = torch.ones((length, piece.position + length), dtype=torch.bool, device=device)
    return mask.tril(piece.position)[None, None]


def supports_end_to_end(model: Any, *, longest: int, causal: bool = True) -> bool:
    """Switch a model to `end_to_end_attention` if that changes none of its answers, else leave it as it was.

    Tried out rather than looked up: models with sinks, soft caps, windows or position biases of their own would differ.

    Args:
        model: A decoder or encoder in evaluation mode.
        longest: Longest text of the run in tokens; a window or chunk shorter than that cannot be left out.
        causal: Whether tokens see only what stands before them, so that answers may share a prompt.
    """
    config = model.config.get_text_config()
    if config._attn_implementation == NAME:  # asked before, perhaps for shorter texts
        _switch(model, "sdpa")
    if config._attn_implementation != "sdpa" or not sees_all_before(config, longest):
        return False
    AttentionInterface.register(NAME, end_to_end_attention)
    AttentionMaskInterface.register(NAME, _no_mask)
    try:
        same = _same_answers(model, causal=causal)
    except (TypeError, ValueError, RuntimeError):
        same = False
    if not same:
        _switch(model, "sdpa")
    return same


@torch.no_grad()
def _same_answers(model: Any, *, causal: bool) -> bool:
    """Switches the model over and compares short texts, each alone, with the same texts end to end."""
    first, second, third = (0, 1, 2, 3), (4, 5, 6, 7, 8), (4, 5, 6, 9)  # the last two begin alike
    apart = torch.cat([_output(model, [text]) for text in (first, second, third)])
    _switch(model, NAME)
    pieces = [Piece(start=0, stop=4), Piece(start=4, stop=9), Piece(start=9, stop=13)]
    if not close(_output(model, [first, second, third], pieces), apart):
        return False
    if not causal:
        return True
    pieces = [Piece(start=0, stop=4), Piece(start=4, stop=7)]
    pieces += [Piece(start=7, stop=9, seen=(4, 7)), Piece(start=9, stop=10, seen=(4, 7))]
    return close(_output(model, [first, second, third[3:]], pieces), torch.cat([apart[:9], apart[12:]]))


def _output(model: Any, texts: Sequence[Sequence[int]], pieces: Sequence[Piece] = ()) -> torch.Tensor:
    """Logits or states of texts end to end, shape (tokens, width)."""
    vocabulary = model.config.get_text_config().vocab_size
    ids = torch.tensor([[token % vocabulary for text in texts for token in text]], device=model.device)
    told = inputs(ids, pieces) if pieces else {"input_ids": ids}
    found: torch.Tensor = model(**told, use_cache=False)[0][0]
    return found


def sees_all_before(config: Any, longest: int) -> bool:
    """Whether in texts of this many tokens each may see all before it, in every layer."""
    return all(longest <= (getattr(config, name, None) or longest) for name in _LIMITS)


def close(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Equal but for rounding. A text that saw another would be off by about as much as the numbers are large."""
    tolerance = _TOLERANCE if one.dtype is torch.float32 else _TOLERANCE_16_BITS * float(other.abs().max())
    return torch.allclose(one, other, atol=tolerance, rtol=_TOLERANCE)


def inputs(ids: torch.Tensor, pieces: Sequence[Piece]) -> dict[str, Any]:
    """What a model needs to be told about rows laid end to end: their positions and pieces."""
    return {
        "input_ids": ids,
        "position_ids": positions(pieces).to(ids.device, non_blocking=True),
        "spans": Spans.of(pieces, ids.device),
    }


@contextmanager
def with_masks(model: Any) -> Iterator[None]:
    """Inside, a model that was switched to `end_to_end_attention` heeds attention masks, as `generate` needs."""
    switched = model.config.get_text_config()._attn_implementation == NAME
    if switched:
        _switch(model, "sdpa")
    try:
        yield
    finally:
        if switched:
            _switch(model, NAME)


def _switch(model: Any, name: str) -> None:
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    base.set_attn_implementation(name)


def _no_mask(*args: Any, **options: Any) -> None:
    """Rows are apart by construction."""
