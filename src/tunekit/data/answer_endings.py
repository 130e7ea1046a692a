"""Which answers break off, given how the others end. Knows habits of a dataset; single endings are in `patterns`.

An open code block is unfinished anywhere. A missing full stop says something only beside others: cut at random, every
third answer without one ends amid a sentence ("of the"); where titles, chats and keywords have none, hardly any does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tunekit.data.exchanges import Exchange
from tunekit.data.patterns.endings import cut_off, ending

MIN_CUT = 0.15
"""Share of the answers without a full stop that must end amid a sentence, for them all to count as broken off.

Half of what random cuts give; in real data without full stops (titles, reviews, keywords) it was under 0.02.
"""
MAX_KEPT = 10_000
"""Endings kept of each sort: more are a habit, unless there are a million rows."""
_EVIDENCE = 40


class Unfinished(NamedTuple):
    """An answer that breaks off.

    Attributes:
        number: Of its row, in data order.
        row: Its row's id.
        field: Where it stands.
        end: Its last characters.
        why: What shows it.
    """

    number: int
    row: str
    field: str
    end: str
    why: str


class AnswerEndings:
    """Takes in answers one by one; memory grows with those that look unfinished."""

    def __init__(self) -> None:
        self._number = 0
        self._sure: list[Unfinished] = []
        self._cut: list[Unfinished] = []
        self._open: list[Unfinished] = []

    def see(self, row: str, answers: Iterable[Exchange]) -> None:
        """Look at how the answers of a row end."""
        self._number += 1
        for _, field, said in answers:
            why = cut_off(said)
            end = "" if why else ending(said)
            if why:
                self._keep(self._sure, row, field, said, why)
            elif end == "cut":
                self._keep(self._cut, row, field, said, "the middle of a sentence")
            elif end == "open":
                self._keep(self._open, row, field, said, "no full stop")

    def _keep(self, where: list[Unfinished], row: str, field: str, said: str, why: str) -> None:
        if len(where) < MAX_KEPT:
            where.append(Unfinished(self._number, row, field, said.rstrip()[-_EVIDENCE:], why))

    def truncated(self) -> Iterator[Unfinished]:
        """The answers that break off, in data order."""
        found = list(self._sure)
        if self._cut and len(self._cut) >= MIN_CUT * (len(self._cut) + len(self._open)):
            found += self._cut + self._open
        yield from sorted(found)
