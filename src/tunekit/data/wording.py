"""How data errors show values: short, quoted, with the nearest name. Knows wording only."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from tunekit.data.patterns.veil import veiled

_MAX_CHARS = 40
_READ_CHARS = 400
"""Of a value, to see whether what is shown of it is a part of a secret."""
_MAX_NAMES = 20
_JSON_NAMES = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
}


def brief(value: Any, *, quote: bool = True) -> str:
    """The value in at most 40 characters, secrets masked: messages may end up in logs, and rows can be megabytes."""
    if isinstance(value, str):
        text = veiled(value[:_READ_CHARS], excerpt=True)[: _MAX_CHARS + 1]
        text = repr(text) if quote else text
    else:
        text = veiled((repr(value) if quote else str(value))[:_READ_CHARS], excerpt=True)
    return text if len(text) <= _MAX_CHARS + 2 else text[: _MAX_CHARS - 3] + "..."


def shown(value: Any) -> str:
    """What kind of JSON value this is, for a person."""
    if value is None:
        return "null or nothing"
    return _JSON_NAMES.get(type(value), f"a Python {type(value).__name__}")


def listed(names: Iterable[str]) -> str:
    """Names in quotes with commas; at most 20 of them."""
    known = list(names)
    rest = f" and {len(known) - _MAX_NAMES} more" if len(known) > _MAX_NAMES else ""
    return ", ".join(brief(name) for name in known[:_MAX_NAMES]) + rest


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint with the most similar name, or ""."""
    # Case and stray spaces are the usual slips, and plain similarity misses short names in another case.
    folded = {other.strip().casefold(): other for other in names}
    near = difflib.get_close_matches(name.strip().casefold(), folded, n=1)
    return f"did you mean {brief(folded[near[0]])}?" if near else ""


def counted(count: int, noun: str) -> str:
    """The number and the noun: "1 row", "2,000 rows", "3 classes"."""
    if count == 1:
        return f"1 {noun}"
    return f"{count:,} {noun}es" if noun.endswith("s") else f"{count:,} {noun}s"
