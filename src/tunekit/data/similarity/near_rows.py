"""Near duplicates among rows that pass by. Knows the bounds of the search; not how to say what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tunekit.data.compact import Numbering
from tunekit.data.similarity.comparable import Comparable, comparable
from tunekit.data.similarity.near import NearIndex, Text
from tunekit.examples import Example

MAX_ROWS = 100_000
"""Distinct rows that are compared; with these and the next number, the search takes under a minute on one core."""

MAX_BYTES = 64_000_000
"""Bytes of normalised text that are kept for comparing."""

MAX_ROW_BYTES = 100_000
"""A row with more text is not compared."""


class NearRows:
    """Rows that are equal after normalising count as one here; the first in order of a group of similar rows stays.

    A row is a near duplicate when it is similar to a row that stays: no chains of ever less similar rows, and when the
    near duplicates are gone, there are none left.
    """

    def __init__(self) -> None:
        self._numbers = Numbering()
        self._texts: list[Text] = []
        self._room = MAX_BYTES
        self.not_compared = 0
        """Rows left out because of their size, or because there were too many before."""
        self.cut = 0
        """Rows that were compared with some of the rows that might be similar, not all."""

    def see(self, example: Example) -> int | None:
        """The number of this row among the distinct ones; None where it is not compared."""
        if len(self._texts) >= MAX_ROWS:
            self.not_compared += 1
            return None
        row = comparable(example)
        return self._numbered(row) if row.input or row.answer else None

    def _numbered(self, row: Comparable) -> int | None:
        known = self._numbers.find(row.key)
        if known is not None:
            return known
        text = Text.of(row)
        size = len(text.packed)
        if size > min(MAX_ROW_BYTES, self._room):
            self.not_compared += 1
            return None
        self._room -= size
        self._texts.append(text)
        return self._numbers.number(row.key)

    def near(self) -> dict[int, int]:
        """Of each near duplicate, the row that it is similar to."""
        return self._near(range(len(self._texts)))

    def near_keys(self) -> dict[int, int]:
        """Keys of all rows to leave out so that no near duplicates are left, each with a row like it that stays."""
        kept: Sequence[int] = range(len(self._texts))
        gone: dict[int, int] = {}
        # What is a template depends on the rows: with fewer of them another text may be none. So until all is quiet.
        while found := self._near(kept):
            kept = [number for number in kept if number not in found]
            gone.update(found)
        return {self._numbers.key(number): _end(gone, number) for number in gone}

    def _near(self, numbers: Sequence[int]) -> dict[int, int]:
        index = NearIndex(self._texts[number] for number in numbers)
        kept: list[int] = []
        found: dict[int, int] = {}
        for number in numbers:
            row = index.shingled(self._texts[number])
            similar = index.nearest(row)
            if similar is None:
                index.add(row)
                kept.append(number)
            else:
                found[number] = kept[similar]
        self.cut = index.cut
        return found

    def text(self, number: int) -> str:
        """The normalised text of a row: its input, or its answer where it has none."""
        read, said = self._texts[number].sides()
        return read or said


def _end(similar: Mapping[int, int], number: int) -> int:
    """The first row on the way from one to the next that is like none."""
    while number in similar:
        number = similar[number]
    return number
