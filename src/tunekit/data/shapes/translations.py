"""Translations as Hugging Face's data sets have them: one text in several languages. Knows one form of row.

Every row is `{"translation": {"en": "...", "de": "..."}}`. Nothing in it says which language is the input: the first of
two is taken for it, and `input=` and `target=` name the languages the other way around, or two of more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tunekit.data.shapes import fields
from tunekit.data.shapes.columns import Columns
from tunekit.data.shapes.table import Guess
from tunekit.data.wording import listed
from tunekit.errors import DataError

_KEY = "translation"


def is_one(record: Mapping[str, Any]) -> bool:
    """Whether a row is a text in several languages."""
    said = record.get(_KEY)
    if not isinstance(said, Mapping) or len(said) < 2 or record.keys() & said.keys():
        return False
    return all(isinstance(each, str) or fields.missing(each) for each in said.values())


def flat(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The row with its languages as columns; any other row as it is."""
    if _KEY not in record or not is_one(record):
        return record
    return {**record[_KEY], **fields.rest(record, (_KEY,))}


def guess(records: Sequence[Mapping[str, Any]], asked: Columns) -> Guess | None:
    """The first of two languages as the input and the second as the completion; None where rows are no translations.

    Raises:
        DataError: There are more than two languages.
    """
    if not all(map(is_one, records)):
        return None
    first, second, *more = records[0][_KEY]
    if more:
        raise DataError(
            f"which languages are the input and the target is not clear; they are {listed(records[0][_KEY])}",
            field=_KEY,
            hint=f"pass the two that are meant, such as input={first!r}, target={second!r}",
        )
    columns = replace(asked, input=first, target=second, kind=asked.kind or "completion")
    return Guess(columns, f"they stand in this order under {_KEY!r}, for the other direction turn them round")
