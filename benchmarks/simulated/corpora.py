"""Bootstrap and randomisation of metrics of whole tests."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from random import Random

from simulated.claims import FEW, SOME, Claim, holds
from simulated.groups import in_groups, sizes
from simulated.shares import pairs
from tunekit.evaluation import stats
from tunekit.evaluation.stats import Counts, Interval

CLASSES = {"a": 0.5, "b": 0.3, "c": 0.2}


def macro_f1(counts: Counts) -> float:
    """Mean of the F1 of three classes."""
    scores = []
    for name in CLASSES:
        hit, both = (
            counts.get(f"hit {name}", 0.0),
            counts.get(f"said {name}", 0.0) + counts.get(f"there {name}", 0.0),
        )
        scores.append(2 * hit / both if both else 0.0)
    return sum(scores) / len(scores)


def share_of(counts: Counts) -> float:
    """A mean, as counts."""
    return counts.get("gap", 0.0) / counts["items"]


def of_answer(said: str, there: str) -> dict[str, float]:
    """Counts of one item."""
    return {f"said {said}": 1.0, f"there {there}": 1.0} | ({f"hit {there}": 1.0} if said == there else {})


def true_f1(right: float) -> float:
    """Macro-F1 of a model that is right with this chance and else says any class."""
    totals: dict[str, float] = {}
    for there, chance in CLASSES.items():
        for said in CLASSES:
            weight = chance * ((said == there) * right + (1 - right) / len(CLASSES))
            for name, value in of_answer(said, there).items():
                totals[name] = totals.get(name, 0.0) + weight * value
    return macro_f1(totals)


def answered(random: Random, there: str, right: float) -> dict[str, float]:
    """Counts of one item that such a model answered."""
    return of_answer(there if random.random() < right else random.choice([*CLASSES]), there)


def asked(random: Random, n: int) -> list[str]:
    """Classes of n items."""
    return random.choices([*CLASSES], [*CLASSES.values()], k=n)


def corpora() -> Iterator[Claim]:
    """Bootstrap and randomisation of macro-F1, and of a paired difference of shares."""
    for n in (100, 300):

        def one(random: Random, n: int = n) -> bool:
            items = [answered(random, there, 0.7) for there in asked(random, n)]
            return holds(
                stats.resampled(macro_f1, items, resamples=999, seed=random.getrandbits(32)).interval,
                true_f1(0.7),
            )

        yield Claim(
            name="resampled (BCa) covers",
            where=f"n={n}, macro-F1",
            nominal=0.95,
            low=0.935,
            high=0.965,
            trial=one,
            trials=FEW,
        )

    def two(random: Random, method: stats.Method, n: int = 150) -> bool:
        there = asked(random, n)
        a, b = ([answered(random, label, right) for label in there] for right in (0.6, 0.7))
        found = stats.resampled_difference(
            macro_f1, a, b, method=method, resamples=999, seed=random.getrandbits(32)
        )
        return holds(found.interval, true_f1(0.7) - true_f1(0.6))

    for method in ("bca", "percentile"):

        def with_method(random: Random, method: stats.Method = method) -> bool:
            return two(random, method)

        yield Claim(
            name=f"resampled_difference ({method}) covers",
            where="n=150, macro-F1",
            nominal=0.95,
            low=0.935,
            high=0.965,
            trial=with_method,
            trials=FEW,
        )
    for n in (30, 50, 100, 200):

        def gap(random: Random, n: int = n) -> bool:
            won, lost = pairs(random, n, 0.07, 0.02)
            return holds(percentile_of_pairs(won, lost, n), 0.05)

        yield Claim(
            name="resampled (percentile) covers",
            where=f"n={n}, wins 0.07, losses 0.02",
            nominal=0.95,
            low=0.93 if n >= 100 else None,
            high=0.97 if n >= 100 else None,
            trial=gap,
            trials=SOME,
        )
    yield from whole_groups()

    def alike(random: Random) -> bool:
        there = asked(random, 100)
        a, b = ([answered(random, label, 0.7) for label in there] for _ in "ab")
        return stats.randomisation(macro_f1, a, b, resamples=199, seed=random.getrandbits(32)) <= 0.05

    yield Claim(
        name="randomisation rejects",
        where="n=100, macro-F1",
        nominal=0.05,
        low=0.045,
        high=0.05,
        trial=alike,
        trials=FEW,
    )


@cache
def percentile_of_pairs(wins: int, losses: int, n: int) -> Interval:
    """Percentile bootstrap of a paired difference of shares, remembered."""
    gaps = [1.0] * wins + [-1.0] * losses + [0.0] * (n - wins - losses)
    items = [{"gap": gap, "items": 1.0} for gap in gaps]
    return stats.resampled(
        share_of, items, method="percentile", bounds=(-1.0, 1.0), resamples=999, seed=wins
    ).interval


def whole_groups() -> Iterator[Claim]:
    """Bootstrap and randomisation of groups."""
    for count in (10, 40, 100):

        def mean(random: Random, of: list[int] = sizes(count, unequal=True)) -> bool:  # noqa: B008
            values, labels = in_groups(random, of, 0.3)
            items = [{"gap": value, "items": 1.0} for value in values]
            return holds(
                stats.resampled(
                    share_of, items, clusters=labels, resamples=499, seed=random.getrandbits(32)
                ).interval,
                0.3,
            )

        inside = count >= 100
        yield Claim(
            name="resampled (BCa) covers",
            where=f"{count} groups of 5 to 19 items, mean",
            nominal=0.95,
            low=0.935 if inside else None,
            high=0.96 if inside else None,
            trial=mean,
            trials=FEW,
        )

    def alike(random: Random) -> bool:
        a, b, labels = [], [], []
        for label in range(30):
            rights = random.sample((0.5, 0.9), 2)
            for there in asked(random, 5):
                a.append(answered(random, there, rights[0]))
                b.append(answered(random, there, rights[1]))
                labels.append(label)
        return (
            stats.randomisation(macro_f1, a, b, clusters=labels, resamples=199, seed=random.getrandbits(32))
            <= 0.05
        )

    yield Claim(
        name="randomisation rejects",
        where="30 groups of 5 items, macro-F1",
        nominal=0.05,
        low=0.045,
        high=0.05,
        trial=alike,
        trials=FEW,
    )
