"""Adjusted p-values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random

from simulated.claims import Claim
from tunekit.evaluation import stats


def families() -> Iterator[Claim]:
    """Adjusted p-values of tests that share some of their data."""

    def p_values(random: Random, effects: list[float]) -> list[float]:
        shared = random.gauss(0, 1)
        scores = (
            effect + math.sqrt(0.3) * shared + math.sqrt(0.7) * random.gauss(0, 1) for effect in effects
        )
        return [math.erfc(abs(score) / math.sqrt(2)) for score in scores]

    def any_false(random: Random) -> bool:
        return min(stats.holm(p_values(random, [0.0] * 6))) <= 0.05

    def any_false_among_true(random: Random) -> bool:
        return min(stats.holm(p_values(random, [0.0] * 3 + [4.0] * 3))[:3]) <= 0.05

    def share_false(random: Random) -> float:
        found = [p <= 0.05 for p in stats.benjamini_hochberg(p_values(random, [0.0] * 10 + [3.0] * 10))]
        return sum(found[:10]) / max(1, sum(found))

    for name, where, trial, high in (
        ("holm: any false alarm", "6 true nulls, correlation 0.3", any_false, 0.05),
        ("holm: any false alarm", "3 true nulls, 3 effects of 4 se", any_false_among_true, 0.05),
        ("benjamini_hochberg: false alarms", "10 nulls, 10 effects of 3 se", share_false, 0.025),
    ):
        # Half of Benjamini and Hochberg's tests are true nulls, which halves the share.
        yield Claim(name=name, where=where, nominal=high, low=high / 2, high=high, trial=trial)
