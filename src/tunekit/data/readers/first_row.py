"""Which row of a table names its columns, if one does. Knows what names look like beside values; not file formats.

The first row is taken for names unless there is more evidence that it is data, for most tables have a header and a row
of data with the wrong names shows at once. Each column votes by how its first cell compares with the cells below.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

SAMPLE_ROWS = 1000

_COMMON_NAME = re.compile(
    "(prompt|completion|text|label|question|answer|input|output|instruction|response|target|category|class|intent"
    "|sentiment|sentence|title|content|message|source|summary|id|index|name|date|query|context|document|review|rating"
    "|score|chosen|rejected|system|user|assistant)s?",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[-+]?[$€£]?\d[\d,. ]*%?")
_MISSING = frozenset(("", "-", "?", "na", "n/a", "nan", "none", "null"))
_SENTENCE_END = (".", "?", "!", "。", "？", "！")  # noqa: RUF001 - Chinese and Japanese end sentences with these
_TITLE_ROWS = 5
_MOSTLY = 0.9
_LONG_CHARS = 25

Row = Sequence[str]


@dataclass(frozen=True, slots=True)
class Header:
    """What was decided.

    Attributes:
        row: Position of the row that names the columns, from 0; None where there is none.
        reason: Why, in a few words.
        second: Whether the row after it looks like one more row of names.
    """

    row: int | None
    reason: str
    second: bool = False


def of(rows: Sequence[Row], wanted: Sequence[str] = ()) -> Header:
    """The header of a table that begins with these rows.

    Args:
        rows: The first rows with anything in them, at most `SAMPLE_ROWS` of which are looked at.
        wanted: Columns that must be there.

    Examples:
        >>> of([["text", "label"], ["Where is my card?", "card_arrival"]]).row
        0
        >>> of([["ham", "See you there."], ["spam", "WIN!"], ["ham", "Ok then."]])
        Header(row=None, reason="'ham' is a value of column 1", second=False)
    """
    rows = rows[:SAMPLE_ROWS]
    for position, row in enumerate(rows[: _TITLE_ROWS + 1]):
        if wanted and {cell.strip() for cell in row}.issuperset(wanted):
            return Header(
                position, "it has the columns that were asked for", _is_second(rows[position + 1 :])
            )
    position = _titles(rows)
    score, reason = _votes(rows[position], rows[position + 1 :]) if rows else (0, "there are no rows")
    if position and score <= 0:
        position, (score, reason) = 0, _votes(rows[0], rows[1:])
    if score < 0:
        return Header(None, reason)
    return Header(position, reason, _is_second(rows[position + 1 :]))


def _titles(rows: Sequence[Row]) -> int:
    """How many rows above the table hold nothing but a first cell, as a title does."""
    return next((position for position, row in enumerate(rows[: _TITLE_ROWS + 1]) if any(row[1:])), 0)


def _votes(first: Row, below: Sequence[Row]) -> tuple[int, str]:
    """Positive where the row names columns, negative where it is data; and the weightiest reason."""
    votes = [(0, "nothing says that it is data")]
    below = [row for row in below if row != first]
    for column, cell in enumerate(first):
        values = [row[column] for row in below if column < len(row) and row[column]]
        if cell.strip() and values:
            votes.append(_vote(cell.strip(), [value.strip() for value in values], column + 1))
    score = sum(weight for weight, _ in votes)
    side = [vote for vote in votes if vote[0] * score > 0] or votes[:1]
    return score, max(side, key=lambda vote: abs(vote[0]))[1]


def _vote(cell: str, values: Sequence[str], column: int) -> tuple[int, str]:
    said = repr(cell if len(cell) <= _LONG_CHARS else f"{cell[:_LONG_CHARS]}...")
    if cell in values:
        return -4, f"{said} is a value of column {column}"
    if _COMMON_NAME.fullmatch(cell):
        return 3, f"{said} is a usual name"
    if _share(values, _is_number) >= _MOSTLY:
        if _is_number(cell):
            return -1, f"{said} is a number, as all of column {column}"
        return 1, f"{said} stands above numbers"
    return _vote_by_length(cell, said, values, column)


def _vote_by_length(cell: str, said: str, values: Sequence[str], column: int) -> tuple[int, str]:
    usual = median(map(len, values))
    if len(cell) > 3 * max(map(len, values)):
        return 1, f"{said} is longer than all of column {column}"
    if usual < _LONG_CHARS:
        return 0, ""
    if _is_sentence(cell) and _share(values, _is_sentence) > 1 / 3:
        return -1, f"{said} is a sentence, as others of column {column}"
    if len(cell) < min(_LONG_CHARS, usual / 2):
        return 1, f"{said} is short above long texts"
    return -1, f"{said} is as long as the texts of column {column}"


def _is_second(below: Sequence[Row]) -> bool:
    """Whether the first of these rows has words where all others have numbers, in several columns and no number."""
    if len(below) < 3:
        return False
    words = numbers = 0
    for column, cell in enumerate(below[0]):
        values = [
            row[column] for row in below[1:] if column < len(row) and row[column].casefold() not in _MISSING
        ]
        if cell.casefold() not in _MISSING and values and _share(values, _is_number) >= _MOSTLY:
            words += not _is_number(cell)
            numbers += _is_number(cell)
    return words > 1 and not numbers


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text.strip()) is not None


def _is_sentence(text: str) -> bool:
    return text.count(" ") >= 2 and text.endswith(_SENTENCE_END)


def _share(values: Sequence[str], test: Callable[[str], bool]) -> float:
    return sum(map(test, values)) / len(values)
