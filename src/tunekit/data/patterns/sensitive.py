"""A stretch of text that should not be shown or learned: how it is named, shown and replaced. Finds none itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

MAX_EVIDENCE = 40


class Sensitive(NamedTuple):
    """A secret or something personal in a text.

    Attributes:
        kind: What it is, such as `"email"`.
        start: Its first character.
        end: The character after its last.
    """

    kind: str
    start: int
    end: int


Finder: TypeAlias = Callable[[str], Iterable[Sensitive]]
"""Finds what is sensitive in a text: our own patterns, or what a host brings along."""


NOT_AFTER = r"(?<![0-9]\])"
NOT_BEFORE = r"(?!\[[A-Z])"
"""Right beside a placeholder such as `[EMAIL_1]` nothing begins or ends that did not before it was put there."""


PLACEHOLDER = re.compile(r"\[[A-Z][A-Z0-9_]{1,40}_[0-9]{1,9}\]")


def placeholder(kind: str, number: int) -> str:
    """What stands for it in a masked text.

    Examples:
        >>> placeholder("ip-address", 2)
        '[IP_ADDRESS_2]'
    """
    return f"[{kind.upper().replace('-', '_')}_{number}]"


def apart(found: Iterable[Sensitive]) -> tuple[Sensitive, ...]:
    """In the order of the text; of those that overlap, the first, and of those that begin together, the longest.

    Examples:
        >>> apart([Sensitive("phone", 5, 9), Sensitive("card", 0, 16), Sensitive("phone", 20, 30)])
        (Sensitive(kind='card', start=0, end=16), Sensitive(kind='phone', start=20, end=30))
    """
    kept: list[Sensitive] = []
    for each in sorted(found, key=lambda each: (each.start, -each.end, each.kind)):
        if not kept or each.start >= kept[-1].end:
            kept.append(each)
    return tuple(kept)


_LETTER = re.compile(r"[^\W\d_]")
_DIGIT = re.compile(r"\d")


def form(text: str) -> str:
    """Every letter as "x" and every digit as "0": how it is written, and nothing that it says."""
    return _DIGIT.sub("0", _LETTER.sub("x", text))


def masked(text: str, found: Sensitive) -> str:
    """What may be shown of it: its kind and its form, in at most 40 characters, and nothing that it says.

    Examples:
        >>> masked("Write to ann.lee@acme.org", Sensitive("email", 9, 25))
        'email xxx.xxx@xxxx.xxx'
    """
    shown = f"{found.kind} {form(text[found.start : min(found.end, found.start + MAX_EVIDENCE)])}"
    return shown if len(shown) <= MAX_EVIDENCE else shown[: MAX_EVIDENCE - 2] + ".."
