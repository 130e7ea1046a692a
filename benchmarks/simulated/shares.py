"""One model and two, right or wrong: Wilson, Tango, Newcombe, McNemar. A count decides everything."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from random import Random

from simulated.claims import Claim, holds
from tunekit.evaluation import stats
from tunekit.evaluation.stats import Interval


@cache
def wilson(right: int, n: int) -> Interval:
    """Wilson's interval, remembered."""
    return stats.wilson(right, n)


@cache
def tango(wins: int, losses: int, n: int) -> Interval:
    """Tango's interval, remembered."""
    return stats.tango(wins, losses, n)


@cache
def newcombe(both: int, wins: int, losses: int, n: int) -> Interval:
    """Newcombe's interval, remembered."""
    return stats.newcombe(both, wins, losses, n - both - wins - losses)


@cache
def mcnemar(wins: int, losses: int, exact: bool) -> float:
    """A p-value of McNemar's test, remembered."""
    return (stats.mcnemar_exact if exact else stats.mcnemar_mid_p)(wins, losses)


def binomial(random: Random, n: int, p: float) -> int:
    """Successes in n trials."""
    return sum(random.random() < p for _ in range(n))


def pairs(random: Random, n: int, wins: float, losses: float) -> tuple[int, int]:
    """Wins and losses of n pairs."""
    won = binomial(random, n, wins)
    return won, binomial(random, n - won, losses / (1 - wins))


def shares() -> Iterator[Claim]:
    """One model and two, right or wrong."""
    for n, p, low, high in ((20, 0.8, 0.92, 0.98), (100, 0.95, 0.94, 0.98), (500, 0.8, 0.94, 0.96)):

        def one(random: Random, n: int = n, p: float = p) -> bool:
            return holds(wilson(binomial(random, n, p), n), p)

        yield Claim(
            name="wilson covers", where=f"n={n}, share {p}", nominal=0.95, low=low, high=high, trial=one
        )
    for n, win, loss in ((30, 0.12, 0.06), (50, 0.05, 0.05), (200, 0.07, 0.02), (1_000, 0.065, 0.035)):
        where = f"n={n}, wins {win}, losses {loss}"

        def score(random: Random, n: int = n, win: float = win, loss: float = loss) -> bool:
            return holds(tango(*pairs(random, n, win, loss), n), win - loss)

        def hybrid(random: Random, n: int = n, win: float = win, loss: float = loss) -> bool:
            won, lost = pairs(random, n, win, loss)
            return holds(newcombe(binomial(random, n - won - lost, 0.8), won, lost, n), win - loss)

        yield Claim(name="tango covers", where=where, nominal=0.95, low=0.94, high=0.985, trial=score)
        yield Claim(name="newcombe covers", where=where, nominal=0.95, low=0.94, high=0.99, trial=hybrid)
    for n in (50, 200, 500):
        for exact in (True, False):
            size = stats.mcnemar_power(n, 0.0, 0.10, test="exact" if exact else "mid-p")

            def test(random: Random, n: int = n, exact: bool = exact) -> bool:
                return mcnemar(*pairs(random, n, 0.05, 0.05), exact) <= 0.05

            name = f"mcnemar {'exact' if exact else 'mid-p'} rejects"
            yield Claim(
                name=name, where=f"n={n}, 10 % disagree", nominal=0.05, low=size, high=size, trial=test
            )
