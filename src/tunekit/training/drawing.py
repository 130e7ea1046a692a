"""Groups of answers drawn from a model while it is trained. Knows keys and log-probabilities; no grade, and no text.

What is drawn for an answer follows from its key, so it does not depend on what it is drawn beside (see `sampling`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import torch

from tunekit.training.attention import with_masks
from tunekit.training.language_model import LanguageModel
from tunekit.training.objectives.reference import evaluating
from tunekit.training.sampling import DrawKey, chosen, uniform


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """An answer in tokens.

    Attributes:
        ids: Its tokens, the stop token included.
        log_prob: Of all of them, in nats, under the distribution that they were drawn from.
        stopped: Whether it ends in a stop token; else it was cut.
    """

    ids: tuple[int, ...]
    log_prob: float
    stopped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """How answers are drawn.

    Attributes:
        max_tokens: Longest answer.
        temperature: What logits are divided by; 0 takes the likeliest token each time.
        stops: Tokens that end an answer.
    """

    max_tokens: int
    temperature: float
    stops: tuple[int, ...]


@torch.no_grad()
def draw(
    model: LanguageModel, prompts: Sequence[Sequence[int]], keys: Sequence[Sequence[DrawKey]], how: Draw
) -> list[list[Drawn]]:
    """Answers to each prompt, in its order.

    Args:
        model: The model; dropout is off while it answers.
        prompts: Token ids.
        keys: Of the answers to each prompt; equally many to each.
        how: How answers are drawn.
    """
    copies, flat = len(keys[0]), [key for group in keys for key in group]
    with evaluating(model.module), with_masks(model.module):
        tokens, log_probs = _written(model, prompts, copies, flat, how)
    stops = set(how.stops)
    found = [_answer(ids, values, stops) for ids, values in zip(tokens, log_probs, strict=True)]
    return [found[at : at + copies] for at in range(0, len(found), copies)]


def _written(
    model: LanguageModel, prompts: Sequence[Sequence[int]], copies: int, keys: Sequence[DrawKey], how: Draw
) -> tuple[list[list[int]], list[list[float]]]:
    """Tokens, and the log-probability of each; what stands behind a stop token means nothing."""
    texts = model.begun(prompts, copies=copies)
    stops = torch.tensor(how.stops, dtype=torch.int64, device=texts.logits.device)
    going = torch.ones(len(keys), dtype=torch.bool, device=texts.logits.device)
    tokens: list[torch.Tensor] = []
    log_probs: list[torch.Tensor] = []
    for at in range(how.max_tokens):
        if at:
            texts.take(tokens[-1])
        draws = [uniform(key, at) for key in keys] if how.temperature else []
        tokens.append(chosen(texts.logits, temperature=how.temperature, top_p=1.0, draws=draws))
        logs = (texts.logits / (how.temperature or 1.0)).log_softmax(-1)
        log_probs.append(logs.gather(-1, tokens[-1][:, None])[:, 0])
        going &= ~torch.isin(tokens[-1], stops)
        if not going.any():
            break
    return torch.stack(tokens, dim=1).tolist(), torch.stack(log_probs, dim=1).double().tolist()


def _answer(ids: Sequence[int], log_probs: Sequence[float], stops: set[int]) -> Drawn:
    end = next((at + 1 for at, token in enumerate(ids) if token in stops), None)
    kept = tuple(ids[:end])
    return Drawn(ids=kept, log_prob=math.fsum(islice(log_probs, len(kept))), stopped=end is not None)
