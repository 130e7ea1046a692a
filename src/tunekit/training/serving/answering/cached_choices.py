"""Choices behind keys and values that are computed once, as many at a time as memory bears. Knows no family."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from tunekit.training.serving.continuing import Texts

_LOGITS_TOGETHER = 1 << 26  # 256 MB in fp32
_TOKENS_TOGETHER = 1 << 15  # of prompts and choices: it bounds the memory of keys and values


def log_probs(text: Texts, choices: Sequence[list[int]], *, prompt: int) -> list[float]:
    """Summed log-probability of each choice; what all of them begin with is computed once too.

    Args:
        text: One prompt that was read. It has read what all choices begin with afterwards.
        choices: Token ids; none is empty.
        prompt: Tokens of the prompt.
    """
    vocabulary, device = text.logits.shape[-1], text.logits.device
    shared = _common_beginning(choices)[: _LOGITS_TOGETHER // vocabulary]
    same = 0.0
    if shared:
        ids = torch.tensor([shared], device=device)
        before = text.logits[:, None]
        same = float(_picked(torch.cat([before, text.read(ids)[:, :-1]], dim=1), ids).sum())
    found = [same] * len(choices)
    rests = [choice[len(shared) :] for choice in choices]
    for rows in _together(rests, prompt + len(shared), vocabulary):
        for row, value in zip(rows, _behind(text, [rests[row] for row in rows]), strict=True):
            found[row] += value
    return found


def _common_beginning(choices: Sequence[list[int]]) -> list[int]:
    least, most = min(choices), max(choices)  # in order, so what these two begin with all between them do
    differ = (at for at, (one, other) in enumerate(zip(least, most, strict=False)) if one != other)
    return least[: next(differ, len(least))]


def _together(rests: Sequence[list[int]], before: int, vocabulary: int) -> Iterator[list[int]]:
    """Choices of similar length, as many as memory bears. The empty one, if there is, is the shared beginning."""
    together: list[int] = []
    for row in sorted((row for row, rest in enumerate(rests) if rest), key=lambda row: len(rests[row])):
        count, longest = len(together) + 1, len(rests[row])
        logits, tokens = count * longest * vocabulary, count * (before + longest)
        if together and (logits > _LOGITS_TOGETHER or tokens > _TOKENS_TOGETHER):
            yield together
            together = []
        together.append(row)
    if together:
        yield together


def _behind(text: Texts, choices: Sequence[list[int]]) -> list[float]:
    """Summed log-probability of each choice behind a text, which is left as it is."""
    longest, device = max(map(len, choices)), text.logits.device
    # Right padding needs no mask: with causal attention no real token looks at what follows it.
    ids = torch.tensor([choice + [0] * (longest - len(choice)) for choice in choices], device=device)
    found = [_picked(text.logits[:, None].expand(len(choices), -1, -1), ids[:, :1])]
    texts = text.copies(len(choices)) if longest > 1 else text
    width = max(1, _LOGITS_TOGETHER // (len(choices) * text.logits.shape[-1]))
    for start in range(0, longest - 1, width):
        read = ids[:, start : min(start + width, longest - 1)]
        found.append(_picked(texts.read(read), ids[:, start + 1 : start + 1 + read.shape[1]]))
    lengths = torch.tensor([[len(choice)] for choice in choices], device=device)
    real = torch.arange(longest, device=device) < lengths
    sums: list[float] = torch.cat(found, dim=1).masked_fill(~real, 0.0).sum(dim=1).tolist()
    return sums


def _picked(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Log-probability of each token, fp32, shape (texts, tokens)."""
    exact = logits.float()
    return exact.gather(-1, ids[..., None])[..., 0] - exact.logsumexp(dim=-1)
