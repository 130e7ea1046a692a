"""What data look like at a glance: kinds, classes, lengths. Knows numbers; judges nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tunekit.data.patterns.veil import veiled_json
from tunekit.data.statistics import Statistics, by_frequency
from tunekit.data.views import texts
from tunekit.examples import Example

_JUDGED = ("rejected", "reference")
"""Fields that are compared with an answer, and neither read before it nor learned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """How long texts are, in characters.

    Attributes:
        longest: The longest.
        total: All of them together.
        buckets: How many are of length 0, 1, 2-3, 4-7, 8-15, ... characters: bucket `n` ends before `2**n`.
    """

    longest: int = 0
    total: int = 0
    buckets: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"longest": self.longest, "total": self.total, "buckets": list(self.buckets)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What data look like.

    Attributes:
        kinds: How many rows of each example kind.
        classes: How many rows of each class or label, most frequent first, secrets masked; empty where answers are no
            classes.
        read: Lengths of what a row gives the model to read.
        answered: Lengths of what a row teaches it to say.
    """

    kinds: dict[str, int] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)
    read: Lengths = Lengths()
    answered: Lengths = Lengths()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "kinds": self.kinds,
            "classes": self.classes,
            "read": self.read.to_dict(),
            "answered": self.answered.to_dict(),
        }


class Summarising:
    """Feed it every row once, then ask for the summary."""

    def __init__(self) -> None:
        self._statistics = Statistics()
        self._read, self._answered = _Measured(), _Measured()

    def see(self, example: Example) -> None:
        """Take one row into account."""
        self._statistics.see(example)
        read = answered = 0
        for where, text, is_answer in texts(example):
            if is_answer or where.startswith("completion"):  # a bad answer is one, too
                answered += len(text)
            elif not where.startswith(_JUDGED):
                read += len(text)
        self._read.add(read)
        self._answered.add(answered)

    def summary(self) -> Summary:
        """What was seen so far."""
        found = self._statistics
        classes = dict(found.labels) or dict(found.answers.classes)
        return Summary(
            kinds=by_frequency(found.kinds),
            classes=veiled_json(by_frequency(classes)),
            read=self._read.lengths(),
            answered=self._answered.lengths(),
        )


class _Measured:
    def __init__(self) -> None:
        self._longest = self._total = 0
        self._buckets: Counter[int] = Counter()

    def add(self, length: int) -> None:
        self._buckets[length.bit_length()] += 1
        self._total += length
        self._longest = max(self._longest, length)

    def lengths(self) -> Lengths:
        buckets = tuple(self._buckets[n] for n in range(self._longest.bit_length() + 1))
        return Lengths(longest=self._longest, total=self._total, buckets=buckets if self._buckets else ())
