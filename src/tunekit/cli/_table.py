"""Plain text tables for terminals and pipes. Knows columns; knows nothing about what is in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a left-aligned table, without trailing blanks.

    Examples:
        >>> list(table(("A", "B"), [("one", "1")]))
        ['A    B', 'one  1']
    """
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
