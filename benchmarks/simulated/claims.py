"""What a statistic promises, and whether a simulation agrees. Knows counting; no statistic."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tunekit.evaluation.stats import Interval

Trial = Callable[[Random], float]

MANY, SOME, FEW = 10_000, 4_000, 2_000


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a function promises: the mean of `trial` lies from `low` to `high`; None promises nothing."""

    name: str
    where: str
    nominal: float
    trial: Trial
    trials: int = MANY
    low: float | None = None
    high: float | None = None


def simulate(claim: Claim, trials: int) -> bool:
    """Run one claim, print its line, and tell whether it holds."""
    random = Random(claim.name + claim.where)
    found = [float(claim.trial(random)) for _ in range(trials)]
    mean = math.fsum(found) / trials
    error = math.sqrt(math.fsum((value - mean) ** 2 for value in found) / (trials - 1) / trials)
    if set(found) <= {0.0, 1.0}:  # none in so many trials is not none at all
        error = max(error, math.sqrt(claim.nominal * (1 - claim.nominal) / trials))
    promised, verdict, kept = "", "outside", True
    if claim.low is not None and claim.high is not None:
        kept = claim.low - 3 * error <= mean <= claim.high + 3 * error
        promised, verdict = f"{claim.low:.3f}-{claim.high:.3f}", "pass" if kept else "FAIL"
    line = f"{claim.name:<36} {claim.where:<40} {claim.nominal:7.3f} {promised:>13} {mean:9.4f} {error:6.4f} {verdict}"
    print(line, flush=True)
    return kept


def holds(interval: Interval, truth: float) -> bool:
    """Whether the interval covers the truth, rounding aside."""
    return interval.low - 1e-12 <= truth <= interval.high + 1e-12
