"""Small pictures made of characters: bars and histograms. Knows numbers only."""

from __future__ import annotations

from collections.abc import Sequence

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_LEVELS = "▁▂▃▄▅▆▇█"


def bar(share: float, width: int) -> str:
    """A bar of up to `width` characters, exact to an eighth of one; the smallest share above 0 still shows.

    Examples:
        >>> bar(0.5, 4), bar(1.0, 4), bar(0.001, 4), bar(0.0, 4)
        ('██', '████', '▏', '')
    """
    eighths = round(share * width * 8) or (1 if share > 0 else 0)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def sparkline(counts: Sequence[int]) -> str:
    """One character for each count; a count of 0 is a space, every other shows.

    Examples:
        >>> sparkline([0, 1, 50, 100])
        ' ▁▄█'
    """
    highest = max(counts, default=0)
    return "".join(_LEVELS[max(0, -(-count * 8 // highest) - 1)] if count else " " for count in counts)
