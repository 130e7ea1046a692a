"""What a record shape is: how it is recognised, read and written. Knows no particular shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from tunekit.examples import Example

Record: TypeAlias = Mapping[str, Any]
"""A JSON object; the one shape whose records are lists takes and gives those."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One way in which people write examples as JSON objects.

    Attributes:
        name: What `Dataset.load(shape=...)` and `Dataset.to_records(shape=...)` call it.
        says: What it is, in a few words, for the note that names the guess.
        kinds: Example kinds that it can hold.
        recognises: Whether a record looks like it, by its keys and the types of their values; cheap.
        read: The example of a record with this id; several where one record holds several (their ids end in
            ".1", ".2", ...). Raises `DataError` with the field. Keys that mean nothing to the shape go to `meta`.
        write: The record of an example. Raises `DataError` where the shape cannot hold it, and says why.
            `read(write(example), id) == example`, and `write(read(record, id)) == record` for a record in the shape's
            normal form, both with `meta`. What says nothing may differ: the spelling of arguments where a shape holds
            them as objects, ids of calls where it has none or its own, and a content of one text part, which is a text.
    """

    name: str
    says: str
    kinds: frozenset[str]
    recognises: Callable[[Any], bool]
    read: Callable[[Any, str], Example | tuple[Example, ...]]
    write: Callable[[Example], Any]
