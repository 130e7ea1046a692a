"""What strangers may have named or written, made fit for a terminal. Knows characters; prints nothing."""

from __future__ import annotations

import re

# What a terminal obeys, what turns text around, and halves of characters, which no file of text can hold.
_NOT_SHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(text: str) -> str:
    r"""The text with the numbers of such characters in place of them; line ends and tabs stay.

    Examples:
        >>> shown("a\x1b[2Jb")
        'a\\u001b[2Jb'
    """
    return _NOT_SHOWN.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
