"""Attention over rows laid end to end in one kernel, for a GPU. Knows pieces and torch's kernel; no model.

A GPU wants one launch and not one for each row. torch's variable-length attention takes where each piece begins, of
queries and of keys apart, so answers can see the prompt that they share: its keys are copied before theirs. Where the
queries of a piece are fewer than its keys, the kernel lines both up at their ends, as causal attention wants it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch.nn.attention.varlen import varlen_attn

from tunekit.training.models.layouts import Piece


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """Where the pieces of a batch begin. Made once per batch, since every copy to a device waits.

    Attributes:
        pieces: The pieces.
        queries: Where the queries of each begin, and the end, int32, shape (pieces + 1,).
        keys: The same of the keys, with those of its prompt.
        order: The position that each key is copied from, int64, shape (keys,); None where every key stands already
            where its queries do.
        longest_query: Queries of the longest piece.
        longest_key: Keys of the longest.
    """

    pieces: tuple[Piece, ...]
    queries: torch.Tensor
    keys: torch.Tensor
    order: torch.Tensor | None
    longest_query: int
    longest_key: int

    @classmethod
    def of(cls, pieces: Sequence[Piece], device: torch.device) -> Spans:
        """The spans of pieces that follow each other without gaps."""
        queries = [piece.stop - piece.start for piece in pieces]
        keys = [piece.position + length for piece, length in zip(pieces, queries, strict=True)]
        order = None
        if keys != queries:
            spans = [span for piece in pieces for span in (piece.seen, (piece.start, piece.stop))]
            order = torch.cat([torch.arange(*span) for span in spans]).to(device, non_blocking=True)
        return cls(
            pieces=tuple(pieces),
            queries=_starts(queries).to(device, non_blocking=True),
            keys=_starts(keys).to(device, non_blocking=True),
            order=order,
            longest_query=max(queries),
            longest_key=max(keys),
        )


def attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    spans: Spans,
    *,
    causal: bool,
    scale: float | None,
) -> torch.Tensor:
    """Attention within each piece and to its prompt.

    Args:
        query: Shape (1, heads, tokens, size), bf16 or fp16.
        key: Shape (1, key heads, tokens, size).
        value: Shape (1, key heads, tokens, size).
        spans: Of the pieces.
        causal: Whether a token sees only what stands before it.
        scale: Of the scores; None is 1 / sqrt(size).

    Returns:
        Shape (1, tokens, heads, size).
    """
    asked, keys, values = (each[0].transpose(0, 1) for each in (query, key, value))
    if spans.order is not None:
        keys, values = keys[spans.order], values[spans.order]
    # 2.13's stub has the return type of both forms of the call.
    found: Any = varlen_attn(
        asked,
        keys,
        values,
        spans.queries,
        spans.keys,
        spans.longest_query,
        spans.longest_key,
        scale=scale,
        window_size=(-1, 0) if causal else (-1, -1),
        enable_gqa=query.shape[1] != key.shape[1],
    )
    attended: torch.Tensor = found[None]
    return attended


def _starts(lengths: Sequence[int]) -> torch.Tensor:
    return torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)
