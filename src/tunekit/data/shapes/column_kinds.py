"""What a column holds, judged by its name and by its values in the first rows. Knows no input and no target."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from tunekit.data.classes.targets import MAX_CLASS_CHARS
from tunekit.data.shapes import fields

ColumnKind: TypeAlias = Literal[
    "text", "label", "short text", "number", "id", "date", "nested", "constant", "empty"
]

_SPARSE = 0.05
"""A column with fewer filled cells than this share is what spilled over, not data."""
_FEW_ROWS = 6
"""With fewer rows than this, nothing can be said about how often values come back."""
_TEXT_CHARS = 12
_TEXT_WORDS = 3
_NUMBER = re.compile(r"[+-]?\d{1,30}(?:[.,]\d{1,30})?%?")
_WHOLE = re.compile(r"[+-]?\d{1,6}")
_DATE = re.compile(
    r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[T ]\d{1,2}:\d{2}\S{0,20})?"
    r"|\d{1,2}[- ][A-Za-z]{3,9}[- ]\d{2,4}"
    r"|[A-Za-z]{3,9} \d{1,2}, \d{4}"
)
_ID_NAMES = frozenset(
    {"", "id", "ids", "idx", "index", "uid", "uuid", "guid", "no", "nr", "row", "rank", "url", "link"}
)
_ID = re.compile(r"(?:[a-z0-9_]*_)?(?:id|idx|uuid|guid|url|index)|unnamed:_\d+|[a-z]+id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column and what it seems to hold.

    Attributes:
        name: As it is written.
        folded: Its name in lower case, spaces and hyphens as underscores.
        kind: What it seems to hold.
        distinct: Number of different values.
        filled: Number of values.
        is_word: Whether the values are words, not numbers.
        chars: Mean length of the values.
        questions: Share of the values that end with a question mark.
        longest: Length of the longest value.
    """

    name: str
    folded: str
    kind: ColumnKind
    distinct: int = 0
    filled: int = 0
    is_word: bool = False
    chars: float = 0.0
    questions: float = 0.0
    longest: int = 0

    @property
    def last_word(self) -> str:
        """The end of its name, which says what it is: "label" of "gold_label"."""
        return self.folded.rpartition("_")[2]


def folded(name: str) -> str:
    """A name as it is compared: no case, no stray spaces, one kind of separator."""
    return re.sub(r"[\s\-]+", "_", name.strip().casefold())


def columns(records: Sequence[Mapping[str, Any]]) -> tuple[Column, ...]:
    """Every column of the records, in the order in which they first appear."""
    names = list(dict.fromkeys(str(name) for record in records for name in record))
    return tuple(_column(name, [record.get(name) for record in records]) for name in names)


def _column(name: str, values: list[Any]) -> Column:
    found = [value for value in values if not fields.missing(value) and value != ""]
    texts = [text for value in found if (text := _said(value)) is not None and text.strip()]
    if len(found) < max(1.0, _SPARSE * len(values)):
        return Column(name=name, folded=folded(name), kind="empty")
    if len(texts) < len(found) / 2:
        tags = {tuple(value) for value in found} if _are_tags(found) else ()
        kind: ColumnKind = "label" if tags else "nested"
        return Column(name=name, folded=folded(name), kind=kind, distinct=len(tags), filled=len(found))
    return Column(
        name=name,
        folded=folded(name),
        kind=_kind(name, texts),
        distinct=len(set(texts)),
        filled=len(texts),
        is_word=not all(_NUMBER.fullmatch(text) for text in texts),
        chars=sum(map(len, texts)) / len(texts),
        questions=sum(text.rstrip().endswith(("?", "\uff1f", "\u061f")) for text in texts) / len(texts),
        longest=max(map(len, texts)),
    )


def _said(value: Any) -> str | None:
    return str(value).lower() if isinstance(value, bool) else fields.spelled(value)


def _are_tags(values: list[Any]) -> bool:
    return all(isinstance(value, list) and all(isinstance(each, str) for each in value) for value in values)


def _kind(name: str, texts: list[str]) -> ColumnKind:
    distinct, stripped = len(set(texts)), [text.strip() for text in texts]
    if distinct == 1 and len(texts) > 1:
        return "constant"
    if all(_DATE.fullmatch(text) for text in stripped):
        return "date"
    if _is_id(folded(name), stripped, distinct):
        return "id"
    few = len(texts) >= _FEW_ROWS and distinct * 3 < len(texts)
    if all(_NUMBER.fullmatch(text) for text in stripped):
        return "label" if few and all(_WHOLE.fullmatch(text) for text in stripped) else "number"
    if few and max(map(len, texts)) <= MAX_CLASS_CHARS:
        return "label"
    return "text" if _is_prose(stripped) else "short text"


def _is_id(name: str, texts: list[str], distinct: int) -> bool:
    if name in _ID_NAMES or _ID.fullmatch(name):
        return not _is_prose(texts)
    if distinct < len(texts) or len(texts) < _FEW_ROWS:
        return False
    # Whole numbers or codes such as "T-007"; what has a decimal point was measured.
    return all(
        text.isdigit() or (any(map(str.isdigit, text)) and not _NUMBER.fullmatch(text) and " " not in text)
        for text in texts
    )


def _is_prose(texts: list[str]) -> bool:
    """Sentences, also of scripts that write no spaces between words."""
    words = sum(len(text.split()) for text in texts) / len(texts)
    chars = sum(map(len, texts)) / len(texts)
    return (words >= _TEXT_WORDS and chars >= _TEXT_CHARS) or chars >= 2 * _TEXT_CHARS
