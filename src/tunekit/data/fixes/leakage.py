"""Leave out rows that another set has too. Knows what goes; what leaked and from where is in the findings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from tunekit.data.checks.base import CheckContext
from tunekit.data.compact import Numbering, RowIds
from tunekit.data.findings import Safety
from tunekit.data.fixes.base import Fix
from tunekit.data.similarity.keys import content_key
from tunekit.data.similarity.leaks import Asked, Leak, OtherSet
from tunekit.examples import Example


class _DropLeaked(Fix):
    """Leave out rows into which the sets of the context leak."""

    safety: ClassVar[Safety] = "lossy"
    leaks: ClassVar[frozenset[Leak]]
    because: ClassVar[str]

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._leaked = Numbering()
        self._sources = RowIds()  # of the other sets, one for each leaked content

    def prepare(self, examples: Iterable[Example]) -> None:
        """Read the other sets, and hold every row against them."""
        others = [OtherSet(name, rows) for name, rows in self.context.against]
        for row in examples if others else ():
            source = self._source(row, others)
            if source is not None and self._leaked.number(content_key(row)) == len(self._sources):
                self._sources.append(source)

    def _source(self, example: Example, others: Iterable[OtherSet]) -> str | None:
        asked = Asked.of(example)
        # Every set looks at every row, as in the check: what one has room for depends on the rows before.
        found = [(other, other.find(asked)) for other in others]
        leaks = (other.ids[leak.row] for other, leak in found if leak is not None and leak.leak in self.leaks)
        return next(leaks, None)

    def apply(self, example: Example) -> Example | None:
        """None where it leaks."""
        leaks = len(self._leaked) and self._leaked.find(content_key(example)) is not None
        return None if leaks else example

    def reason(self, example: Example) -> str:
        """Which row of another set it leaks from."""
        number = self._leaked.find(content_key(example))
        return "" if number is None else self.because.format(self._sources[number])


class DropLeaked(_DropLeaked):
    """The same question in both sets."""

    name = "drop-leaked"
    says = "Leaves out every row that asks what a row of the other sets asks."
    leaks = frozenset({Leak.QUESTION})
    because = "asks what {} asks"


class DropNearlyLeaked(_DropLeaked):
    """Nearly the same question, or a passage in common."""

    name = "drop-nearly-leaked"
    says = "Leaves out every row that asks nearly what a row of the other sets asks, or shares a passage with one."
    leaks = frozenset({Leak.PASSAGE, Leak.NEAR})
    because = "asks nearly what {} asks, or shares a passage with it"
