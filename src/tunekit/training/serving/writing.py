"""Answers written together, token by token. Knows drafts and when they leave; no family, and no text.

Every draft is drawn from by itself (see `sampling`), and leaves the batch as soon as it has ended, so that nothing is
computed for it any more. What stands beside an answer changes the order in which its numbers are added up, so the last
digits of its logits: where two tokens are equally likely but for those, the other one may be written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from tunekit.spec import Sampling
from tunekit.training.serving.answering.base import Answering
from tunekit.training.serving.continuing import grow
from tunekit.training.serving.drafts import Draft
from tunekit.training.serving.sampling import chosen, uniform

_TOGETHER = 32
_TOKENS_TOGETHER = 1 << 15  # of prompts and answers, with padding: it bounds the memory of keys and values


def batches(drafts: Sequence[Draft]) -> Iterator[list[Draft]]:
    """Drafts with prompts of similar length, so that little is spent on padding, and as many as memory bears."""
    batch: list[Draft] = []
    for draft in sorted(drafts, key=lambda draft: len(draft.prompt)):
        width = len(draft.prompt) + max(other.limit for other in (*batch, draft))
        if batch and (len(batch) == _TOGETHER or width * (len(batch) + 1) > _TOKENS_TOGETHER):
            yield batch
            batch = []
        batch.append(draft)
    if batch:
        yield batch


@torch.inference_mode()
def write(answering: Answering, drafts: Sequence[Draft], sampling: Sampling) -> Iterator[None]:
    """Write drafts to their ends; yields each time all that have not ended are one token longer.

    Args:
        answering: Whose answers they are.
        drafts: New ones.
        sampling: How tokens are drawn.

    Raises:
        ModelError: The model computes no numbers.
    """

    def take(logits: torch.Tensor, going: Sequence[Draft]) -> torch.Tensor:
        draws = [uniform(draft.key, len(draft.tokens)) for draft in going] if sampling.temperature else []
        tokens = chosen(logits, temperature=sampling.temperature, top_p=sampling.top_p, draws=draws)
        for draft, token in zip(going, tokens.tolist(), strict=True):
            draft.take(token)
        return tokens

    texts = answering.begin([draft.prompt for draft in drafts])
    yield from grow(texts, drafts, take, lambda draft: bool(draft.finish_reason))
