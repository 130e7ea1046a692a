"""Which rows go into which step, and into which forward pass of it. Knows lengths; not what the rows mean.

The order is a pure function of (seed, epoch), so "where were we" after a restart is one number: the step.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import TypeVar

from tunekit.training.texts.rows import Row

_BUCKET_BATCHES = 8

R = TypeVar("R", bound=Row)


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


def micro_batches(rows: Sequence[R], *, max_rows: int, max_tokens: int) -> list[list[R]]:
    """Cut the rows of one step into forward passes of similar length, longest first.

    The longest first means that a pass too large for memory fails at once.

    Args:
        rows: All rows of the step.
        max_rows: Most rows per pass.
        max_tokens: Most tokens per pass, padding counted; a longer single row goes alone.
    """
    cuts: list[list[R]] = []
    for row in sorted(rows, key=lambda row: -row.length):
        # Sorted, so the first of a pass is its longest.
        if cuts and len(cuts[-1]) < max_rows and (len(cuts[-1]) + 1) * cuts[-1][0].length <= max_tokens:
            cuts[-1].append(row)
        else:
            cuts.append([row])
    return cuts
