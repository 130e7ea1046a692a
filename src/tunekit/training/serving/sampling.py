"""The next token of every text, from its logits. Knows distributions and seeds; no model, and not who asks.

What is drawn for an answer follows from its seed, its prompt and the place in it, so neighbours in a batch, their
number and their order change nothing. There is no state: any draw of any answer can be made again alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeAlias

import torch

from tunekit.training.serving.numbers import require_numbers

DrawKey: TypeAlias = bytes
"""What all draws of one answer follow from."""

_NUCLEUS = 256  # most nuclei are smaller; sorting a whole vocabulary at every token would cost more than a small model


def draw_key(seed: int, prompt: Sequence[int]) -> DrawKey:
    """The key of an answer's draws. Without the prompt in it, all answers of one seed would share their luck.

    Args:
        seed: From 0 to 2**63 - 1.
        prompt: Token ids.
    """
    told = f"{seed}:{','.join(map(str, prompt))}"
    return hashlib.blake2b(told.encode("ascii"), digest_size=32).digest()


def uniform(key: DrawKey, place: int) -> float:
    """The number in (0, 1) that decides about the token at `place` of the answer."""
    drawn = hashlib.blake2b(place.to_bytes(8, "big"), digest_size=8, key=key).digest()
    # 52 bits and a half, exact in a double: never 0, and so far below 1 that no product with a total rounds up to it.
    return ((int.from_bytes(drawn, "big") >> 12) + 0.5) / 2**52


def chosen(logits: torch.Tensor, *, temperature: float, top_p: float, draws: Sequence[float]) -> torch.Tensor:
    """One token for each row, int64, shape (rows,).

    Args:
        logits: Shape (rows, vocabulary).
        temperature: 0 takes the likeliest.
        top_p: See `probabilities`.
        draws: A number in (0, 1) for each row; greedy rows need none.

    Raises:
        ModelError: The logits are no numbers.
    """
    likeliest, tokens = logits.max(dim=-1)
    require_numbers(likeliest)
    if temperature == 0:
        return tokens
    mass = probabilities(logits, temperature=temperature, top_p=top_p).cumsum(dim=-1)
    marks = torch.tensor(draws, dtype=mass.dtype, device=mass.device)[:, None] * mass[:, -1:]
    return torch.searchsorted(mass, marks, right=True)[:, 0]


def probabilities(logits: torch.Tensor, *, temperature: float, top_p: float) -> torch.Tensor:
    """What tokens are drawn from: fp64, shape (rows, vocabulary), not scaled to sum to 1 after a cut.

    The nucleus (Holtzman et al. 2019, arXiv 1904.09751) is the fewest of the likeliest tokens that together reach
    `top_p`; tokens exactly as likely as the last of them belong to it too, so no order of sorting can matter.

    Args:
        logits: Shape (rows, vocabulary).
        temperature: Above 0; the logits are divided by it.
        top_p: Probability mass of the nucleus; 1 keeps every token.
    """
    exact = logits.double()
    # From the largest down: a temperature next to 0 makes others minus infinity, and not all of them NaN.
    found = ((exact - exact.amax(dim=-1, keepdim=True)) / temperature).softmax(dim=-1)
    return found if top_p >= 1 else found * (found >= _least_of_nucleus(found, top_p))


def _least_of_nucleus(found: torch.Tensor, top_p: float) -> torch.Tensor:
    """The smallest probability within each row's nucleus, shape (rows, 1)."""
    width = found.shape[-1]
    size = min(_NUCLEUS, width)
    while True:
        top = found.topk(size, dim=-1).values
        mass = top.cumsum(dim=-1)
        if size == width or bool((mass[:, -1] >= top_p).all()):
            place = (mass < top_p).sum(dim=-1, keepdim=True).clamp(max=size - 1)
            return top.gather(-1, place)
        size = min(8 * size, width)
