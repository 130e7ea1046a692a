"""Plain text tables for terminals and pipes. Knows columns; knows nothing about what is in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a left-aligned table, without trailing blanks.

    Examples:
        >>> list(table(("A", "B"), [("one", "1")]))
        ['A    B', 'one  1']
    """
    lines = [[_one_line(cell) for cell in line] for line in (header, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _one_line(cell: str) -> str:
    """Strangers name things, too: a line break in a name must not look like another row."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in cell)
