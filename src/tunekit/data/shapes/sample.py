"""The first rows of a source, and the shape that each of them has. Knows how shapes are tried; chooses none.

Rows that cannot be restated, or that nobody accepted, tell nothing of the others and are passed over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from tunekit.data.shapes import prompts
from tunekit.data.shapes.base import Record, Shape
from tunekit.data.shapes.catalogue import shape as named
from tunekit.data.shapes.catalogue import shapes
from tunekit.data.shapes.columns import Columns
from tunekit.data.shapes.restated import Restated
from tunekit.data.shapes.restating import Restating
from tunekit.errors import DataError


@dataclass(frozen=True)
class Sample:
    """Some rows with their shapes.

    Attributes:
        records: The rows, as they were restated.
        shapes: What each is; None for a row of no shape.
    """

    records: tuple[Record, ...]
    shapes: tuple[Shape | None, ...]

    @classmethod
    def of(cls, records: Iterable[Record], asked: Columns, restating: Restating) -> Self:
        """The rows that can be read."""
        rows = [made for made in (_restated(record, restating) for record in records) if made]
        return cls(tuple(made.record for made in rows), tuple(recognised(made, asked) for made in rows))

    @cached_property
    def counts(self) -> Counter[str]:
        """How many rows each shape has, by its name."""
        return Counter(shape.name for shape in self.shapes if shape is not None)

    @cached_property
    def strange(self) -> list[Record]:
        """The rows of no shape."""
        return self.of_shape(None)

    def of_shape(self, shape: Shape | None) -> list[Record]:
        """The rows of one shape."""
        return [record for record, each in zip(self.records, self.shapes, strict=True) if each is shape]


def _restated(record: Record, restating: Restating) -> Restated | None:
    try:
        made = restating(record)
    except DataError:
        return None
    return made if made.is_accepted else None


def recognised(made: Restated, asked: Columns) -> Shape | None:
    """The shape of a row, of those that hold the kind of example that the caller asks for."""
    if made.shape is not None and (asked.kind is None or asked.kind in named(made.shape).kinds):
        return named(made.shape)
    if asked.kind == "prompt" and prompts.has(made.record) and "kind" not in made.record:
        return named("rft")  # what is asked for is not to be learned, whatever else the row could be
    fitting = (each for each in shapes() if asked.kind is None or asked.kind in each.kinds)
    return next((each for each in fitting if each.recognises(made.record)), None)
