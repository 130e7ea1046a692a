"""Leave out rows that another set has too. Knows what goes; what leaked and from where is in the findings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from tunekit.data.checks.base import CheckContext
from tunekit.data.findings import Safety
from tunekit.data.fixes.base import Fix
from tunekit.data.similarity.keys import content_key
from tunekit.data.similarity.leaks import Asked, Leak, OtherSet
from tunekit.examples import Example


class _DropLeaked(Fix):
    """Leave out rows into which the sets of the context leak."""

    safety: ClassVar[Safety] = "lossy"
    leaks: ClassVar[frozenset[Leak]]

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._leaked: frozenset[int] = frozenset()

    def prepare(self, examples: Iterable[Example]) -> None:
        """Read the other sets, and hold every row against them."""
        others = [OtherSet(name, rows) for name, rows in self.context.against]
        if others:
            self._leaked = frozenset(content_key(row) for row in examples if self._leaks(row, others))

    def _leaks(self, example: Example, others: Iterable[OtherSet]) -> bool:
        asked = Asked.of(example)
        # Every set looks at every row, as in the check: what one has room for depends on the rows before.
        found = [other.find(asked) for other in others]
        return any(leak is not None and leak.leak in self.leaks for leak in found)

    def apply(self, example: Example) -> Example | None:
        """None where it leaks."""
        return None if self._leaked and content_key(example) in self._leaked else example


class DropLeaked(_DropLeaked):
    """The same question in both sets."""

    name = "drop-leaked"
    says = "Leaves out every row that asks what a row of the other sets asks."
    leaks = frozenset({Leak.QUESTION})


class DropNearlyLeaked(_DropLeaked):
    """Nearly the same question, or a passage in common."""

    name = "drop-nearly-leaked"
    says = "Leaves out every row that asks nearly what a row of the other sets asks, or shares a passage with one."
    leaks = frozenset({Leak.PASSAGE, Leak.NEAR})
