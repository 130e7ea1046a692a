"""Judged examples, and the arithmetic of a second model on whole texts. It uses nothing of the objectives."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from tunekit.examples import Message, PreferenceExample, UnpairedExample
from tunekit.training.models import load
from tunekit.training.models.language_model import Decoder
from tunekit.training.plan.device import Device
from tunekit.training.ranks.dealing import ForwardPasses
from tunekit.training.texts.rows import Answers

CPU = Device(name="cpu", frozen_dtype=torch.float32, compute_dtype=None)


def question(n: int) -> tuple[Message, ...]:
    return (Message(role="user", content="ask " * (1 + n % 5) + str(n)),)


def preferences(count: int = 20) -> list[PreferenceExample]:
    """Prompts of different lengths; short plain answers are better than long loud ones."""
    return [
        PreferenceExample(
            id=f"row-{n}",
            messages=question(n),
            chosen=f"yes {n % 4}",
            rejected="NO " * (1 + n % 3) + str(n % 4),
        )
        for n in range(count)
    ]


def judgements(count: int = 20) -> list[UnpairedExample]:
    """The same answers, each on its own."""
    return [
        UnpairedExample(
            id=f"row-{n}",
            messages=question(n),
            completion=f"yes {n % 4}" if n % 2 else "NO " * (1 + n % 3) + str(n % 4),
            desirable=bool(n % 2),
        )
        for n in range(count)
    ]


def moved(base: Path, *, seed: int = 1, by: float = 0.02) -> Any:
    """A model that has been trained a little: the base with noise on every weight."""
    model = load.load_base(base).requires_grad_(True)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in model.parameters():
            value += by * torch.randn(value.shape, generator=generator)
    return model


def decoder(module: Any, *, end_to_end: bool) -> Decoder:
    if end_to_end:
        return Decoder.of(module, CPU, pad_id=0, longest=256)
    return Decoder(module=module, device=CPU, pad_id=0, end_to_end=False, selects_rows=False)


def whole_text_log_probs(model: Any, row: Answers) -> list[torch.Tensor]:
    """Log-probabilities of the learned tokens of each answer, one whole text at a time, from full logits."""
    found = []
    for answer in row.answers:
        ids = torch.tensor([row.prompt + answer.ids])
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, :-1].double()
        each = logits.log_softmax(-1).gather(-1, ids[0, 1:, None])[:, 0]
        learned = torch.tensor([0.0] * len(row.prompt) + list(answer.weights))[1:] > 0
        found.append(each[learned])
    return found


def at_once(rows: Sequence[Any], measure: Callable[[Sequence[Any]], torch.Tensor]) -> torch.Tensor:
    """An `Untrained` that keeps nothing."""
    with torch.no_grad():
        return measure(rows)


ONE_BY_ONE = ForwardPasses(max_rows=1, max_tokens=sys.maxsize, stop=lambda: None)
ALL_TOGETHER = ForwardPasses(max_rows=sys.maxsize, max_tokens=sys.maxsize, stop=lambda: None)


def gradient_of(module: Any, loss: torch.Tensor) -> torch.Tensor:
    module.zero_grad()
    loss.backward()
    return torch.cat([value.grad.flatten().clone() for value in module.parameters()])
