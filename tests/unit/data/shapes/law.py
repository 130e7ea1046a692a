"""What every record shape keeps: nothing is lost on the way out and back, and no other shape claims its rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tunekit.data.shapes.base import Shape
from tunekit.data.shapes.catalogue import shapes
from tunekit.errors import DataError
from tunekit.examples import Example


def recognised_by(record: dict[str, Any]) -> list[str]:
    """Names of the shapes that claim a record."""
    return [shape.name for shape in shapes() if shape.recognises(record)]


def read(shape: Shape, record: dict[str, Any]) -> Example:
    """The one example of a record."""
    example = shape.read(record, "rows.jsonl:1")
    assert not isinstance(example, tuple)
    return example


def comes_back(shape: Shape, example: Example) -> None:
    """An example, written as a file would hold it, is read as an equal one; and that writes the same record."""
    record = json.loads(json.dumps(shape.write(example)))
    again = shape.read(record, example.id)
    assert not isinstance(again, tuple)
    assert again == example
    assert (again.id, again.meta) == (example.id, example.meta)
    assert shape.write(again) == record


def is_normal(shape: Shape, record: dict[str, Any]) -> None:
    """A record in the shape's normal form belongs to this shape alone, and comes back to the letter."""
    assert recognised_by(record) == [shape.name]
    written = shape.write(read(shape, record))
    assert written == record
    assert list(written) == list(record)


def means(shape: Shape, record: dict[str, Any], normal: dict[str, Any]) -> None:
    """A record in another spelling is read like the one in normal form."""
    assert recognised_by(record) == [shape.name]
    assert shape.write(read(shape, record)) == normal


def refusal(call: Callable[[], object]) -> str:
    """What the `DataError` says, with its field, before the hint; every one has a hint."""
    with pytest.raises(DataError) as caught:
        call()
    assert caught.value.hint
    return str(caught.value).split("\n")[0]
