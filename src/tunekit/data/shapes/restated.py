"""What a row of another program is once it is restated: a row that a shape can read, or none. Knows no program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tunekit.data.shapes.remarks import Remark


class Restated(NamedTuple):
    """A row as a shape can read it.

    Attributes:
        record: The row.
        shape: What it is, where that is certain; else its keys say so.
        remarks: What was restated.
        is_accepted: Whether it holds anything that its annotators accepted.
    """

    record: Mapping[str, Any]
    shape: str | None = None
    remarks: tuple[Remark, ...] = ()
    is_accepted: bool = True


class Program(NamedTuple):
    """A program that writes rows of no shape.

    Attributes:
        keys: Of which every row of its own has one.
        wrote: Whether a row with such a key is its own.
        restated: The row as it can be read. Raises `DataError` with the field.
        shapes: What its rows can become.
    """

    keys: frozenset[str]
    wrote: Callable[[Mapping[str, Any]], bool]
    restated: Callable[[Mapping[str, Any]], Restated]
    shapes: frozenset[str]
