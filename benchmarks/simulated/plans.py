"""Power of planned tests, and the winner's curse."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random

from simulated.claims import FEW, SOME, Claim, Trial
from simulated.groups import in_groups
from simulated.shares import binomial, mcnemar, pairs
from tunekit.evaluation import stats


def plans() -> Iterator[Claim]:
    """Power of planned tests, and the winner's curse."""
    for n, delta, share in ((870, 0.03, 0.10), (312, 0.05, 0.10), (200, 0.03, 0.10)):
        power = stats.mcnemar_power(n, delta, share)
        wins, losses = (share + delta) / 2, (share - delta) / 2

        def paired(random: Random, n: int = n, wins: float = wins, losses: float = losses) -> bool:
            return mcnemar(*pairs(random, n, wins, losses), False) <= 0.05

        where = f"n={n}, +{delta * 100:.0f} points, 10 % disagree"
        yield Claim(name="mcnemar_power", where=where, nominal=power, low=power, high=power, trial=paired)
    for delta, share in ((0.03, 0.10), (0.05, 0.20)):
        needed = stats.items_needed(delta, share) or 0
        reached = stats.mcnemar_power(needed, delta, share)
        where = f"+{delta * 100:.0f} points, {share:.0%} disagree: {needed}"
        yield Claim(
            name="items_needed, power by enumeration",
            where=where,
            nominal=0.8,
            low=0.785,
            high=0.815,
            trial=lambda _, reached=reached: reached,  # type: ignore[misc]
            trials=100,
        )
    unpaired = stats.items_needed_unpaired(0.8, 0.05) or 0

    def different_items(random: Random) -> bool:
        a, b = (binomial(random, unpaired, share) / unpaired for share in (0.8, 0.85))
        error = math.sqrt((a * (1 - a) + b * (1 - b)) / unpaired)
        return abs(b - a) > stats.two_sided_z(0.95) * error

    yield plan("items_needed_unpaired", f"80 % against 85 %: {unpaired} each", different_items, SOME)
    yield from planned_means()

    def best_of_ten(random: Random) -> float:
        return best(random, correlation=0.0)

    def best_of_ten_alike(random: Random) -> float:
        return best(random, correlation=0.7)

    for correlation, trial in ((0.0, best_of_ten), (0.7, best_of_ten_alike)):
        size = stats.winners_curse(10, 200, 0.16, correlation=correlation)
        where = f"10 of 80 % on 200 items, correlation {correlation}"
        yield Claim(
            name="winners_curse", where=where, nominal=size, low=size, high=size, trial=trial, trials=FEW
        )


def plan(name: str, where: str, trial: Trial, trials: int) -> Claim:
    """A planned test that must reach 80 %; the normal approximation may miss by a point and a half."""
    return Claim(name=name, where=where, nominal=0.8, low=0.785, high=0.815, trial=trial, trials=trials)


def planned_means() -> Iterator[Claim]:
    """Several answers to each item, and items in groups."""
    variance = stats.answers_variance(0.04, 0.2, 0.2, answers_a=4, answers_b=2)
    items = stats.items_needed_mean(0.06, variance) or 0

    def several_answers(random: Random) -> bool:
        gaps = []
        for _ in range(items):
            a = sum(random.gauss(0, math.sqrt(0.2)) for _ in range(4)) / 4
            b = sum(random.gauss(0, math.sqrt(0.2)) for _ in range(2)) / 2
            gaps.append(random.gauss(0.06, 0.2) + b - a)
        return stats.mean_t(gaps).low > 0

    yield plan(
        "items_needed_mean, answers_variance", f"4 and 2 answers: {items} items", several_answers, SOME
    )
    alone = stats.items_needed_mean(0.15, 1.0) or 0
    needed = stats.items_needed_clustered(alone, 10, 1 / 3)
    of = [10] * math.ceil(needed / 10)

    def grouped(random: Random) -> bool:
        return stats.clustered_mean(*in_groups(random, of, 0.15)).low > 0

    yield plan("items_needed_clustered", f"groups of 10, ICC 1/3: {needed} for {alone}", grouped, FEW)


def best(random: Random, *, correlation: float) -> float:
    """By how much the best of ten equal configurations reads above 80 %.

    Each copies a common answer with chance sqrt(correlation), so that any two correlate by that much.
    """
    copying = math.sqrt(correlation)
    right = [0] * 10
    for _ in range(200):
        common = random.random() < 0.8
        for at in range(10):
            right[at] += common if random.random() < copying else random.random() < 0.8
    return max(right) / 200 - 0.8
