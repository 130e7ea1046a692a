"""Recipes: runs and items are both chance."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from simulated.claims import FEW, Claim, holds
from tunekit.evaluation import stats


def recipes() -> Iterator[Claim]:
    """Runs and items: right or wrong, and scores."""
    for runs, between in ((3, 0.0), (3, 0.03), (5, 0.01), (5, 0.03), (10, 0.03)):

        def scores(random: Random, runs: int = runs, between: float = between) -> bool:
            return holds(stats.recipe_difference(*recipe_runs(random, runs, between)).interval, 0.02)

        where = f"{runs} runs, 100 items, sd of runs {between}"
        yield Claim(
            name="recipe_difference covers",
            where=where,
            nominal=0.95,
            low=0.94,
            high=0.975,
            trial=scores,
            trials=FEW,
        )

    def items_only(random: Random) -> bool:
        a, b = recipe_runs(random, 3, 0.03)
        return holds(stats.mean_t([new - old for old, new in zip(a[0], b[0], strict=True)]), 0.02)

    yield Claim(
        name="mean_t of single runs, runs ignored",
        where="1 run, 100 items, sd of runs 0.03",
        nominal=0.95,
        trial=items_only,
        trials=FEW,
    )


def recipe_runs(random: Random, runs: int, between: float) -> tuple[list[list[float]], list[list[float]]]:
    """Right or wrong, 70 % and 72 %: items of their own difficulty, runs of their own luck."""
    ease = [random.choice((-0.2, 0.0, 0.2)) for _ in range(100)]
    sides = []
    for base in (0.70, 0.72):
        lucks = [random.gauss(0, between) for _ in range(runs)]
        sides.append([[float(random.random() < base + easy + luck) for easy in ease] for luck in lucks])
    return sides[0], sides[1]
