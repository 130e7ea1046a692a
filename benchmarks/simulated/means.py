"""Means, paired differences and sign flips of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from simulated.claims import FEW, SOME, Claim, Trial, holds
from simulated.shares import binomial
from tunekit.evaluation import stats


def means() -> Iterator[Claim]:
    """Means, paired differences and sign flips."""
    for name, n, draw in (
        ("normal", 5, lambda random: random.gauss(0.5, 1.0)),
        ("uniform", 30, lambda random: random.random()),
        ("right or wrong twice over 3", 30, lambda random: binomial(random, 3, 0.5) / 3),
    ):

        def mean(random: Random, n: int = n, draw: Trial = draw) -> bool:
            return holds(stats.mean_t([draw(random) for _ in range(n)]), 0.5)

        yield Claim(
            name="mean_t covers", where=f"n={n}, {name}", nominal=0.95, low=0.945, high=0.955, trial=mean
        )

    def skewed(random: Random) -> bool:
        return holds(
            stats.bca_mean(
                [random.expovariate(1.0) for _ in range(100)], resamples=999, seed=random.getrandbits(32)
            ),
            1.0,
        )

    yield Claim(
        name="bca_mean covers",
        where="n=100, exponential",
        nominal=0.95,
        low=0.93,
        high=0.955,
        trial=skewed,
        trials=FEW,
    )
    for n in (10, 50):

        def flips(random: Random, n: int = n) -> bool:
            gaps = [random.choice((-1, 1)) * random.expovariate(1.0) for _ in range(n)]
            return stats.sign_flip(gaps, resamples=399, seed=random.getrandbits(32)) <= 0.05

        where = f"n={n}, double exponential"
        yield Claim(
            name="sign_flip rejects",
            where=where,
            nominal=0.05,
            low=0.045,
            high=0.05,
            trial=flips,
            trials=SOME,
        )
