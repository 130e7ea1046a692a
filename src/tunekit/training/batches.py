"""Which examples go into which step, and how they are laid out as tensors. Knows lengths; not what they mean.

The order is a pure function of (seed, epoch), so "where were we" after a restart is one number: the step.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from tunekit.training.render import Tokens

_BUCKET_BATCHES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Examples laid out for one forward pass: padded on the right, or end to end in one row without padding.

    Attributes:
        ids: Token ids, int64, shape (rows, length), or (1, tokens) end to end.
        weights: Weight of predicting the *next* token at each position, fp32, same shape. The last position of every
            example has weight 0.
        row_lengths: Tokens of each example if they lie end to end, else empty.
    """

    ids: torch.Tensor
    weights: torch.Tensor
    row_lengths: tuple[int, ...] = ()

    def to(self, device: str) -> Batch:
        """The same batch on another device."""
        return Batch(
            ids=self.ids.to(device, non_blocking=True),
            weights=self.weights.to(device, non_blocking=True),
            row_lengths=self.row_lengths,
        )


def steps_per_epoch(examples: int, batch_size: int) -> int:
    """Optimizer steps that see every example once."""
    return math.ceil(examples / batch_size)


def total_steps(examples: int, batch_size: int, epochs: float) -> int:
    """Optimizer steps of a run; a fraction of an epoch is rounded up to whole steps.

    Examples:
        >>> total_steps(10, 4, 1.5)
        5
    """
    return max(1, math.ceil(epochs * steps_per_epoch(examples, batch_size) - 1e-9))


class Sampler:
    """Deals the examples of every step.

    Within a shuffled epoch, runs of a few batches are sorted by length before they are cut, so a batch holds examples
    of similar length and little padding; the batches are then shuffled again.

    Args:
        lengths: Length of each example in tokens.
        batch_size: Examples per step; the last batch of an epoch may be smaller.
        seed: Seeds the order.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = -1
        self._batches: list[list[int]] = []

    def at(self, step: int) -> list[int]:
        """Indices of the examples of 0-based step `step`, whatever was asked before."""
        epoch, position = divmod(step, steps_per_epoch(len(self._lengths), self._batch_size))
        if epoch != self._epoch:
            self._batches = epoch_batches(self._lengths, self._batch_size, self._seed, epoch)
            self._epoch = epoch
        return self._batches[position]


def epoch_batches(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """All batches of one epoch: each example exactly once."""
    # A string seed is hashed with SHA-512, so neighbouring seeds and epochs give unrelated orders.
    rng = random.Random(f"tunekit order {seed} {epoch}")
    order = list(range(len(lengths)))
    rng.shuffle(order)
    run = batch_size * _BUCKET_BATCHES
    batches = []
    for start in range(0, len(order), run):
        bucket = sorted(order[start : start + run], key=lambda index: lengths[index])
        batches += [bucket[at : at + batch_size] for at in range(0, len(bucket), batch_size)]
    rng.shuffle(batches)
    return batches


def micro_batches(examples: Sequence[Tokens], *, max_rows: int, max_tokens: int) -> list[list[Tokens]]:
    """Cut the examples of one step into forward passes of similar length, longest first.

    The longest first means that a pass too large for memory fails at once.

    Args:
        examples: All examples of the step.
        max_rows: Most examples per pass.
        max_tokens: Most tokens per pass, padding counted; a longer single example goes alone.
    """
    cuts: list[list[Tokens]] = []
    for example in sorted(examples, key=lambda example: -len(example.ids)):
        # Sorted, so the first of a pass is its longest.
        if cuts and len(cuts[-1]) < max_rows and (len(cuts[-1]) + 1) * len(cuts[-1][0].ids) <= max_tokens:
            cuts[-1].append(example)
        else:
            cuts.append([example])
    return cuts


def collate(examples: Sequence[Tokens], *, pad_id: int, multiple: int = 1) -> Batch:
    """Lay examples out as tensors, padded on the right to a multiple of `multiple` tokens.

    Padding on the right lies behind every real token, where a causal model cannot see it: no attention mask is needed.
    """
    longest = max(len(example.ids) for example in examples)
    width = -(-longest // multiple) * multiple
    ids = torch.full((len(examples), width), pad_id, dtype=torch.int64)
    weights = torch.zeros((len(examples), width), dtype=torch.float32)
    for row, example in enumerate(examples):
        length = len(example.ids)
        ids[row, :length] = torch.tensor(example.ids, dtype=torch.int64)
        weights[row, : length - 1] = torch.tensor(example.weights[1:], dtype=torch.float32)
    return Batch(
        ids=ids,
        weights=weights,
    )


def lay_end_to_end(examples: Sequence[Tokens]) -> Batch:
    """Lay examples out in one row, one behind the other, for attention that keeps them apart."""
    return Batch(
        ids=torch.tensor([[token for example in examples for token in example.ids]], dtype=torch.int64),
        weights=torch.tensor(
            [[weight for example in examples for weight in (*example.weights[1:], 0.0)]], dtype=torch.float32
        ),
        row_lengths=tuple(len(example.ids) for example in examples),
    )
