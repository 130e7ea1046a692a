"""Leave out rows that repeat an earlier one or contradict another. Knows what goes; the reasons are in the findings."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar

from tunekit.data.checks.base import CheckContext
from tunekit.data.compact import Numbering, RowIds
from tunekit.data.findings import Safety
from tunekit.data.fixes.base import Fix
from tunekit.data.similarity.comparable import comparable
from tunekit.data.similarity.conflicts import Conflicts, Dispute
from tunekit.data.similarity.keys import content_key, question_key
from tunekit.data.similarity.near_rows import NearRows
from tunekit.examples import Example


class _DropRepeats(Fix):
    """Keep the first of rows with the same key."""

    safety: ClassVar[Safety] = "lossy"

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._seen = Numbering()
        self._first = RowIds()

    @staticmethod
    @abstractmethod
    def key(example: Example) -> int:
        """Equal for rows that repeat each other."""

    def apply(self, example: Example) -> Example | None:
        """None where the key was there before."""
        if self._seen.number(self.key(example)) < len(self._first):
            return None
        self._first.append(example.id)
        return example

    def reason(self, example: Example) -> str:
        """Which row it repeats."""
        return f"repeats {self._first[self._seen.number(self.key(example))]}"


class DropDuplicates(_DropRepeats):
    """Keep the first of rows with the same content."""

    name = "drop-duplicates"
    says = "Leaves out every row that repeats an earlier one to the letter."
    key = staticmethod(content_key)


class DropNormalisedDuplicates(_DropRepeats):
    """Keep the first of rows with the same words."""

    name = "drop-normalised-duplicates"
    says = "Leaves out every row that repeats an earlier one but for case, white space and punctuation."

    @staticmethod
    def key(example: Example) -> int:
        """Equal for rows with the same words."""
        return comparable(example).key


class DropNearDuplicates(Fix):
    """Keep the first of rows that are nearly the same."""

    name = "drop-near-duplicates"
    safety = "lossy"
    says = "Leaves out every row that says nearly the same as an earlier one that stays."

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._near: Mapping[int, int] = {}
        self._ids = RowIds()

    def prepare(self, examples: Iterable[Example]) -> None:
        """Find them."""
        rows = NearRows()
        for example in examples:
            if rows.see(example) == len(self._ids):
                self._ids.append(example.id)
        self._near = rows.near_keys()

    def apply(self, example: Example) -> Example | None:
        """None where it was found."""
        return None if self._near and comparable(example).key in self._near else example

    def reason(self, example: Example) -> str:
        """Which row says it already."""
        return f"says nearly what {self._ids[self._near[comparable(example).key]]} says"


class DropConflicting(Fix):
    """Keep no row whose label or verdict another row contradicts: nothing here says which of them is right."""

    name = "drop-conflicting"
    safety = "lossy"
    says = (
        "Leaves out all rows that give different labels to one input, or judge one answer both good and bad."
    )

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._disputed: frozenset[int] = frozenset()

    def prepare(self, examples: Iterable[Example]) -> None:
        """Find the questions that rows disagree about."""
        conflicts = Conflicts()
        for example in examples:
            conflicts.see(example)
        self._disputed = frozenset([*conflicts.keys(Dispute.LABELS), *conflicts.keys(Dispute.VERDICTS)])

    def apply(self, example: Example) -> Example | None:
        """None where its question is disputed."""
        return None if self._disputed and question_key(example) in self._disputed else example
