"""A text as reports may show it: secrets and personal data in it keep their form and say nothing. Judges no data.

The one function that masks what people and logs see. It stands at the edges: where a value becomes a part of a message
(`wording.brief`, `findings.evidence`), where a finding or a report is made, and where an error leaves a reader.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tunekit.data.patterns import personal, secrets
from tunekit.data.patterns.sensitive import form

# Excerpts are cut and fold their case, and half a key has no known form any more: so has every long run of letters and
# digits that change places in one word of it. Names of models and files, which hold dates and versions, have words of
# the one or of the other. Of keys that may have no digit, only those of AWS are common.
_RUN = re.compile(r"[A-Za-z0-9_-]{20,}")
_PART = re.compile(
    r"(?=[a-z]*[0-9])(?=[0-9]*[a-z])[a-z0-9]{20}"
    r"|(?<![a-z0-9])a[ks]ia[a-z2-7]{16}(?![a-z0-9])"
    r"|(?<![a-z0-9])(?=[a-z0-9]{5})(?:[a-z]+[0-9]+[a-z]|[0-9]+[a-z]+[0-9])",
    re.IGNORECASE,
)
# In a text that was quoted or is JSON, "\\nann@acme.org" has no "n" in it. A blank of the same length begins a word.
_ESCAPED = re.compile(r"\\[nrt]")


def veiled(text: str, *, excerpt: bool = False) -> str:
    """The text, as long as it was, with letters as "x" and digits as "0" where it must not be shown.

    Args:
        text: What is to be shown.
        excerpt: Whether it was cut, or may have been: then what looks like a part of a key is veiled, too.

    Examples:
        >>> veiled("ask ann.lee@acme.org about it")
        'ask xxx.xxx@xxxx.xxx about it'
        >>> veiled("Bearer 8f14e45fceea167a5a36dedd4bea2543", excerpt=True)
        'Bearer 0x00x00xxxxx000x0x00xxxx0xxx0000'
    """
    read = _ESCAPED.sub("  ", text) if "\\" in text else text
    spans = [found[1:] for find in (secrets.find, personal.find) for found in find(read)]
    if excerpt:
        spans += [run.span() for run in _RUN.finditer(read) if _PART.search(run[0])]
    for start, end in spans:
        text = text[:start] + form(text[start:end]) + text[end:]
    return text


def veiled_json(body: Mapping[Any, Any]) -> dict[str, Any]:
    """An object of JSON with every text in it veiled, keys too; a key that now looks like another gets its position.

    Examples:
        >>> veiled_json({"ann@acme.org": 1, "bob@acme.org": 2, "places": ["ok", 3]})
        {'xxx@xxxx.xxx': 1, 'xxx@xxxx.xxx (2)': 2, 'places': ['ok', 3]}
    """
    shown: dict[str, Any] = {}
    for position, (key, item) in enumerate(body.items(), start=1):
        name = veiled(key) if isinstance(key, str) else key
        shown[f"{name} ({position})" if name in shown else name] = _veiled_value(item)
    return shown


def _veiled_value(value: Any) -> Any:
    if isinstance(value, str):
        return veiled(value)
    if isinstance(value, Mapping):
        return veiled_json(value)
    return [_veiled_value(item) for item in value] if isinstance(value, (list, tuple)) else value
