"""Text that goes round in circles, as broken generation does. Knows texts; not which texts are answers."""

from __future__ import annotations

MIN_CHARS = 200
"""Shorter repetition is a refrain, a laugh or a line of dashes."""
WINDOW = 1_500
"""Characters looked at together: a loop of up to a quarter of it is found."""
MAX_WINDOWS = 64
"""Windows looked at in one text, evenly spread, so that a text of any length takes the same time at most."""
ANCHOR = 24
"""Characters whose return is the first sign: about four words."""
MIN_REPEATS = 4
MIN_LETTERS = 6
"""Letters that an anchor must have: tables, indentation, zeros and rules repeat by right."""
SHINGLE = 16
MAX_DISTINCT = 0.25
"""Share of distinct stretches of 16 characters up to which a window is a loop; tables have 0.4 and more."""


def loop(text: str) -> int | None:
    """Where a stretch begins in which the same words come back again and again; None where none does.

    Examples:
        >>> loop("Eat a banana!" * 100), loop("Eat a banana, an apple and a pear.")
        (0, None)
    """
    if len(text) < MIN_CHARS:
        return None
    step = max(WINDOW, len(text) // MAX_WINDOWS)
    for end in range(len(text), 0, -step):
        start = max(0, end - WINDOW)
        for at in (end, (start + end) // 2):
            anchor = text[max(start, at - ANCHOR) : at]
            if (
                text.count(anchor, start, end) >= MIN_REPEATS
                and _has_words(anchor)
                and _is_loop(text[start:end])
            ):
                return start
    return None


def _has_words(anchor: str) -> bool:
    return sum(map(str.isalpha, anchor)) >= MIN_LETTERS


def _is_loop(window: str) -> bool:
    count = len(window) - SHINGLE + 1
    distinct = len({window[at : at + SHINGLE] for at in range(count)})
    return len(window) >= MIN_CHARS and distinct <= MAX_DISTINCT * count
