"""Groups of answers drawn from a model while it is trained. Knows keys and log-probabilities; no grade, and no text.

What is drawn for an answer follows from its key, so it does not depend on what it is drawn beside (see `sampling`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from tunekit.training.models.attention import with_masks
from tunekit.training.models.language_model import LanguageModel
from tunekit.training.objectives.reference import evaluating
from tunekit.training.serving.continuing import Texts, grow
from tunekit.training.serving.sampling import DrawKey, chosen, uniform


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

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Drawn:
        """From what `dataclasses.asdict` made of it, also by way of JSON."""
        return cls(ids=tuple(facts["ids"]), log_prob=facts["log_prob"], stopped=facts["stopped"])


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


@dataclass(slots=True)
class _Growing:
    key: DrawKey
    ids: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)


@torch.no_grad()
def draw(
    model: LanguageModel, prompts: Sequence[Sequence[int]], keys: Sequence[Sequence[DrawKey]], how: Draw
) -> list[list[Drawn]]:
    """Answers to each prompt, in its order. A prompt is computed once, however many answers follow it.

    Args:
        model: The model; dropout is off while it answers.
        prompts: Token ids.
        keys: Of the answers to each prompt; equally many to each.
        how: How answers are drawn.
    """
    answers = [_Growing(key) for group in keys for key in group]
    with evaluating(model.module), with_masks(model.module), model.device.autocast():
        _write(model.begun(prompts), answers, how, copies=len(keys[0]))
    found = [
        Drawn(
            ids=tuple(answer.ids), log_prob=math.fsum(answer.log_probs), stopped=answer.ids[-1] in how.stops
        )
        for answer in answers
    ]
    return [found[at : at + len(keys[0])] for at in range(0, len(found), len(keys[0]))]


def _write(texts: Texts, answers: Sequence[_Growing], how: Draw, *, copies: int) -> None:
    """Write answers to their ends."""

    def take(logits: torch.Tensor, going: Sequence[_Growing]) -> torch.Tensor:
        tokens, log_probs = _next(logits.float(), going, how)
        for answer, token, log_prob in zip(going, tokens.tolist(), log_probs.tolist(), strict=True):
            answer.ids.append(token)
            answer.log_probs.append(log_prob)
        return tokens

    texts.repeat(copies)
    for _ in grow(texts, answers, take, lambda answer: _has_ended(answer, how)):
        pass


def _next(logits: torch.Tensor, going: Sequence[_Growing], how: Draw) -> tuple[torch.Tensor, torch.Tensor]:
    """The next token of each, and its log-probability at the temperature of the draw, both of shape (texts,)."""
    draws = [uniform(answer.key, len(answer.ids)) for answer in going] if how.temperature else []
    tokens = chosen(logits, temperature=how.temperature, top_p=1.0, draws=draws)
    log_probs = (logits / (how.temperature or 1.0)).log_softmax(-1)
    return tokens, log_probs.gather(-1, tokens[:, None])[:, 0]


def _has_ended(answer: _Growing, how: Draw) -> bool:
    return answer.ids[-1] in how.stops or len(answer.ids) >= how.max_tokens
