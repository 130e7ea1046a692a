"""Which rank takes which rows of a step, and in which forward passes. Knows lengths; no tensor and no process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tunekit.training.plan.batches import micro_batches
from tunekit.training.ranks.group import ALONE, Ranks
from tunekit.training.run.stops import AskStop, raise_if_stopped
from tunekit.training.texts.rows import Row

R = TypeVar("R", bound=Row)
T = TypeVar("T")


def dealt(rows: Sequence[R], count: int) -> list[list[R]]:
    """Rows for each rank, about as many tokens to each: the longest goes first, to who has the fewest by then.

    Graham 1969, "Bounds on multiprocessing timing anomalies" (longest processing time first). Without it ranks wait
    for the one that has the long rows.

    Args:
        rows: Of a step.
        count: How many ranks there are.
    """
    if count == 1:
        return [list(rows)]
    shares: list[list[R]] = [[] for _ in range(count)]
    tokens = [0] * count
    for row in sorted(rows, key=lambda row: -row.length):
        rank = tokens.index(min(tokens))
        shares[rank].append(row)
        tokens[rank] += row.length
    return shares


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardPasses:
    """Cuts rows into this rank's forward passes.

    Attributes:
        max_rows: Most rows of a pass.
        max_tokens: Most tokens of a pass, padding counted.
        stop: Asked before each of them; the caller has changed nothing yet.
        ranks: This process among the others.
    """

    max_rows: int
    max_tokens: int
    stop: AskStop
    ranks: Ranks = ALONE

    def own(self, rows: Sequence[R]) -> Iterator[tuple[list[R], bool]]:
        """The passes of this rank's share of some rows, each with whether it counts.

        Where all ranks make each pass together, those that are through before the others make more, which count
        nothing.

        Raises:
            Stopped: To be left.
        """
        cuts = [self._cut(share) for share in dealt(rows, self.ranks.count)]
        own = cuts[self.ranks.rank]
        for cut in own:
            raise_if_stopped(self.stop)
            yield cut, True
        if self.ranks.in_step:
            shortest = min(rows, key=lambda row: row.length)
            for _ in range(max(map(len, cuts)) - len(own)):
                raise_if_stopped(self.stop)
                yield [shortest], False

    def __call__(self, rows: Sequence[R], compute: Callable[[list[R]], Sequence[T]]) -> list[T]:
        """Something of each row, in the order of the rows and known to all ranks.

        Args:
            rows: Any, no object twice.
            compute: Gives that of the rows of one pass, JSON-ready, in their order.

        Raises:
            Stopped: To be left.
        """
        places = {id(row): at for at, row in enumerate(rows)}
        own: list[tuple[int, T]] = []
        for cut, counts in self.own(rows):
            values = compute(cut)
            if counts:
                own += [(places[id(row)], value) for row, value in zip(cut, values, strict=True)]
        found = {at: value for part in self.ranks.gather(own) for at, value in part}
        return [found[at] for at in range(len(rows))]

    def decided(self, decide: Callable[[], T]) -> T:
        """What the leader finds out, on every rank; JSON-ready."""
        found: T = self.ranks.share(decide() if self.ranks.leads else None)
        return found

    def _cut(self, rows: Sequence[R]) -> list[list[R]]:
        return micro_batches(rows, max_rows=self.max_rows, max_tokens=self.max_tokens)
