"""A text as reports may show it: secrets and personal data in it keep their form and say nothing. Judges no data."""

from __future__ import annotations

import re

from tunekit.data.patterns import personal, secrets
from tunekit.data.patterns.sensitive import form

# Reports cut texts and fold their case, and half a key has no known form any more: so has every long run of letters
# with digits among them, which is no word in any language.
_RUN = re.compile(r"[A-Za-z0-9_-]{20,}")
_PART = re.compile(r"(?=[a-z]*[0-9])(?=[0-9]*[a-z])[a-z0-9]{20,}|[0-9]+[a-z_-]+[0-9]", re.IGNORECASE)


def veiled(text: str) -> str:
    """The text, as long as it was, with letters as "x" and digits as "0" where it must not be shown.

    Examples:
        >>> veiled("ask ann.lee@acme.org about it")
        'ask xxx.xxx@xxxx.xxx about it'
        >>> veiled("Bearer 8f14e45fceea167a5a36dedd4bea2543")
        'Bearer 0x00x00xxxxx000x0x00xxxx0xxx0000'
    """
    spans = [found[1:] for find in (secrets.find, personal.find) for found in find(text)]
    spans += [run.span() for run in _RUN.finditer(text) if _PART.search(run[0])]
    for start, end in spans:
        text = text[:start] + form(text[start:end]) + text[end:]
    return text
