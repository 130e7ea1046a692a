"""Spellings of a missing value that are a class of the data: "None" among the labels, "NA" among countries.

Knows how often each short answer is given; reads no rows. The check and the fix of missing answers share it.
"""

from __future__ import annotations

from collections import Counter

from tunekit.data.classes.targets import are_few
from tunekit.data.patterns import placeholders

FEWEST_ROWS = 10
"""A class with fewer rows is rare, and a few strays are no class."""

_TENTH = 10
_MAX_CLASSES = 200
_MAX_CLASS_CHARS = 64


class StandIns:
    """Feed it every answer once, then ask.

    Examples:
        >>> answers = StandIns()
        >>> for said in ["none", "late", "lost"] * 20 + ["N/A"]:
        ...     answers.add(said)
        >>> answers.is_class("none"), answers.is_class("N/A")
        (True, False)
    """

    def __init__(self) -> None:
        self._counts: Counter[str] | None = Counter()

    def add(self, said: str) -> None:
        """Take one answer into account."""
        if self._counts is None:
            return
        if len(said) > _MAX_CLASS_CHARS or len(self._counts) > _MAX_CLASSES:
            self._counts = None  # these are no classes
        else:
            self._counts[placeholders.spelling(said)] += 1

    @property
    def are_classes(self) -> bool:
        """Whether the answers may be names of classes: short, and not many."""
        return self._counts is not None

    def is_class(self, said: str) -> bool:
        """Whether the answers are classes, and this one is given as regularly as the others are.

        A class has ten rows, and a tenth of what each of the others would have if they were equally frequent.
        """
        # What the others are does not depend on how many strays are still there.
        others = [count for text, count in (self._counts or {}).items() if not placeholders.is_missing(text)]
        if self._counts is None or not are_few(len(others), sum(others)):
            return False
        count = self._counts[placeholders.spelling(said)]
        return count >= FEWEST_ROWS and _TENTH * count * len(others) >= sum(others)
