"""The learning rate of every step, as a pure function. Knows arithmetic only."""

from __future__ import annotations

import math
from typing import Literal

Schedule = Literal["linear", "cosine", "constant"]


def learning_rate(
    step: int, *, total_steps: int, peak: float, schedule: Schedule, warmup_ratio: float
) -> float:
    """Rate for optimizer step `step`.

    It rises linearly over the first `warmup_ratio` of all steps, then falls to 0 just after the last one along a line
    or a half cosine (Loshchilov and Hutter 2017, arXiv 1608.03983), or stays.

    Args:
        step: 0-based, below `total_steps`.
        total_steps: All steps of the run; at least 1.
        peak: Rate after warm-up.
        schedule: "linear", "cosine" or "constant".
        warmup_ratio: Share of the steps that warm up, in [0, 1).

    Examples:
        >>> [learning_rate(s, total_steps=4, peak=1.0, schedule="linear", warmup_ratio=0.25) for s in range(4)]
        [1.0, 1.0, 0.6666666666666667, 0.33333333333333337]
    """
    warmup = math.ceil(total_steps * warmup_ratio)
    if step < warmup:
        return peak * (step + 1) / warmup
    if schedule == "constant":
        return peak
    done = (step - warmup) / max(1, total_steps - warmup)
    if schedule == "cosine":
        return peak * 0.5 * (1.0 + math.cos(math.pi * done))
    return peak * (1.0 - done)
