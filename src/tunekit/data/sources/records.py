"""Dictionaries in memory, or out of any iterable. Knows what JSON can hold; not what a record means."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tunekit.data.patterns.veil import veiled
from tunekit.data.readers.base import Notes, Row
from tunekit.data.sources.base import Source
from tunekit.data.wording import brief
from tunekit.errors import DataError, SpecError
from tunekit.examples import Example


class RecordSource(Source):
    """Records of any iterable: a list can be gone through again, an iterator once.

    Args:
        records: The dictionaries.
        name: What row ids begin with.
        facts: What is known about where they come from.

    Raises:
        SpecError: `records` is one value, not several.
    """

    def __init__(self, records: Iterable[Any], name: str, facts: Mapping[str, Any] | None = None) -> None:
        if isinstance(records, (str, bytes, Mapping)) or not isinstance(records, Iterable):
            raise SpecError(
                f"records is one {type(records).__name__!r}, not several dictionaries",
                hint="pass a list of dictionaries; to read a file, use Dataset.load",
            )
        self.name = self.place = veiled(name)
        self._records = records
        self._facts = dict(facts or {})
        self._used = False

    @contextmanager
    def opened(self, notes: Notes) -> Iterator[Iterator[Row]]:
        """The records, checked one by one."""
        notes.facts.update(self._facts)
        records = iter(self._records)
        if records is self._records:
            self._refuse_second_use()
        yield _checked(records)

    def _refuse_second_use(self) -> None:
        if self._used:
            raise DataError(
                "the records come from an iterator, which has been used up",
                hint="pass a list, or an object whose __iter__ starts again; or collect the stream first",
            )
        self._used = True


def _checked(records: Iterator[Any]) -> Iterator[Row]:
    for number, record in enumerate(records, start=1):
        yield number, _unwritable(record) or _row(record)


def _row(record: Any) -> Any:
    """What the record is in JSON: a tuple is a list there, and one with names an object."""
    if not isinstance(record, tuple):
        return record
    return record._asdict() if hasattr(record, "_asdict") else list(record)


def _unwritable(record: Any) -> DataError | None:
    """What is wrong with a record that no later step could write."""
    if isinstance(record, Example):
        return DataError("the record is an example already", hint="pass the examples to Dataset(...)")
    for key in record if isinstance(record, Mapping) else ():
        if not isinstance(key, str):
            return DataError(f"the key {brief(key)} is no text", hint=f"call it {str(key)!r}")
    try:
        json.dumps(record, ensure_ascii=False, default=repr).encode()
    except UnicodeEncodeError as error:  # as text from a file that was read with surrogateescape
        half = error.object[error.start]
        hint = 'decode the text again with errors="replace" instead of "surrogateescape"'
        return DataError(
            f"the text holds {half!r}, half a surrogate pair, which is not a character", hint=hint
        )
    except (TypeError, ValueError, RecursionError) as error:
        hint = "keep to texts, numbers, lists and dictionaries with text keys, none inside itself"
        return DataError(f"the record holds what JSON cannot: {error}", hint=hint)
    return None
