"""Tokens that a model cannot tell from others, because it was never trained on them. Knows weights; no text, no row.

What training never asked for keeps the row of the output head that it began with, up to what all such rows have gone
through together (and rows that are added to a model begin next to each other: transformers draws them around the mean).
Equal rows give equal logits whatever stands before, so as long as the head stays as it is, none of these tokens can
become likelier than the others: a model whose answers end in one does not learn to stop, though its loss falls.
"""

from __future__ import annotations

from typing import Any

import torch

# Of the length of a usual row. Those of stories260K that were never trained are 2 % apart, others 100 %.
_APART = 0.05
_ROWS_AT_ONCE = 8192


def equals_of(model: Any, token: int) -> int:
    """How many other tokens a model cannot tell from this one, now and after it was trained.

    Args:
        model: As it will be trained; on any device, in one piece.
        token: Id of a token.

    Returns:
        0 where the head is trained as well, and for a model that writes no text.
    """
    head = model.get_output_embeddings()
    if head is None or any(value.requires_grad for value in head.parameters()):
        return 0
    weight = head.weight
    if not weight.is_floating_point() or token >= len(weight):  # packed in 4 bits
        return 0
    row, parts = weight[token].float(), weight.split(_ROWS_AT_ONCE)
    lengths = torch.cat([part.float().norm(dim=1) for part in parts])
    apart = torch.cat([(part.float() - row).norm(dim=1) for part in parts])
    return int((apart <= _APART * lengths.median()).sum()) - 1
