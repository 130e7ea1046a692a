"""Items in groups: clustered intervals and tests."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random

from simulated.claims import SOME, Claim, holds
from tunekit.evaluation import stats


def sizes(count: int, *, unequal: bool) -> list[int]:
    """Items of each group."""
    return [5 + at % 3 * 7 if unequal else 10 for at in range(count)]


def in_groups(random: Random, of: list[int], truth: float) -> tuple[list[float], list[int]]:
    """Normal scores of which a third of the variance lies between groups."""
    values, labels = [], []
    for label, size in enumerate(of):
        centre = random.gauss(truth, math.sqrt(1 / 3))
        values += [random.gauss(centre, math.sqrt(2 / 3)) for _ in range(size)]
        labels += [label] * size
    return values, labels


def right_in_groups(random: Random, of: list[int]) -> tuple[list[float], list[int]]:
    """80 % right: groups of 65 % and of 95 %."""
    values, labels = [], []
    for label, size in enumerate(of):
        share = random.choice((0.65, 0.95))
        values += [float(random.random() < share) for _ in range(size)]
        labels += [label] * size
    return values, labels


def gaps_in_groups(random: Random, of: list[int], gain: float) -> tuple[list[float], list[int]]:
    """Wins and losses of 10 % and more: each group leans to one side."""
    values, labels = [], []
    for label, size in enumerate(of):
        lean = random.choice((-0.06, 0.06))
        weights = (0.08 + lean + gain, 0.08 - lean)
        values += random.choices((1.0, -1.0, 0.0), (*weights, 1 - sum(weights)), k=size)
        labels += [label] * size
    return values, labels


def groups() -> Iterator[Claim]:
    """Clustered intervals and tests."""
    for count, unequal, low in ((10, False, 0.94), (20, True, 0.93), (50, True, 0.94)):
        of = sizes(count, unequal=unequal)
        where = f"{count} groups of {'5 to 19' if unequal else '10'} items"

        def mean(random: Random, of: list[int] = of) -> bool:
            return holds(stats.clustered_mean(*in_groups(random, of, 0.3)), 0.3)

        def share(random: Random, of: list[int] = of) -> bool:
            return holds(stats.clustered_wilson(*right_in_groups(random, of)), 0.8)

        def gap(random: Random, of: list[int] = of) -> bool:
            return holds(stats.clustered_tango(*gaps_in_groups(random, of, 0.02)), 0.02)

        for name, trial in (("clustered_mean", mean), ("clustered_wilson", share), ("clustered_tango", gap)):
            high = 0.96 if name == "clustered_mean" else 0.985
            yield Claim(
                name=f"{name} covers", where=where, nominal=0.95, low=low, high=high, trial=trial, trials=SOME
            )

    def naive(random: Random) -> bool:
        return holds(stats.mean_t(in_groups(random, sizes(20, unequal=True), 0.3)[0]), 0.3)

    def lopsided(random: Random) -> bool:
        return holds(stats.clustered_mean(*in_groups(random, [200, *[5] * 11], 0.3)), 0.3)

    yield Claim(
        name="mean_t, groups ignored",
        where="20 groups of 5 to 19 items",
        nominal=0.95,
        trial=naive,
        trials=SOME,
    )
    yield Claim(
        name="clustered_mean covers",
        where="12 groups, one of 200 (warned)",
        nominal=0.95,
        trial=lopsided,
        trials=SOME,
    )
    for count in (8, 30):
        of = sizes(count, unequal=True)

        def flips(random: Random, of: list[int] = of) -> bool:
            gaps = in_groups(random, of, 0.0)
            return stats.cluster_sign_flip(*gaps, resamples=399, seed=random.getrandbits(32)) <= 0.05

        def chi_square(random: Random, of: list[int] = of) -> bool:
            return stats.obuchowski(*gaps_in_groups(random, of, 0.0)) <= 0.05

        where = f"{count} groups of 5 to 19 items"
        yield Claim(
            name="cluster_sign_flip rejects",
            where=where,
            nominal=0.05,
            low=0.03,
            high=0.05,
            trial=flips,
            trials=SOME,
        )
        inside = count >= 20
        yield Claim(
            name="obuchowski rejects",
            where=where,
            nominal=0.05,
            low=0.04 if inside else None,
            high=0.055 if inside else None,
            trial=chi_square,
            trials=SOME,
        )
