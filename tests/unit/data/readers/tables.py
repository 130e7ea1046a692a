"""Tables in text for tests of their readers."""

from __future__ import annotations

import io
from typing import Any

from hypothesis import strategies as st

from tunekit.data.readers.base import Notes, ReadOptions, Row
from tunekit.data.readers.catalogue import reader
from tunekit.errors import DataError

OPENED = "a quote is opened in this row and never closed"
CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


def read(content: str | bytes, format: str = "csv", **options: Any) -> tuple[list[Row], Notes]:
    notes = Notes(name="t.csv")
    raw = content if isinstance(content, bytes) else content.encode()
    return list(reader(format)(io.BytesIO(raw), ReadOptions(**options), notes)), notes


def values(content: str | bytes, **options: Any) -> list[Any]:
    return [value for _, value in read(content, **options)[0]]


def codes(notes: Notes) -> list[str]:
    return [finding.code for finding in notes.findings]


def refused(content: str | bytes, **options: Any) -> DataError:
    """The first error, raised or in the place of a row."""
    try:
        found = next(value for value in values(content, **options) if isinstance(value, DataError))
    except DataError as error:
        found = error
    assert found.line is not None and found.hint
    return found
