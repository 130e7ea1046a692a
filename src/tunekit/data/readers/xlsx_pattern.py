"""One regular expression for a whole row of an Excel sheet, made after rows that were seen. Knows the XML of cells.

Rows of a table have the same columns, and the cells of a column mostly the same type and format. An expression that has
those written into it takes a row apart in a microsecond; a row that is unlike does not match, and is left to others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tunekit.data.readers.sheet_rows import column_letters, column_position

LEAST_ROWS = 50
"""Rows that are looked at."""

_MOST_COLUMNS = 100  # compiling one takes a millisecond

# Cells as Excel, LibreOffice and openpyxl write them. Errors, and formulas without a value, are left to others.
_ATTRIBUTES = r'(?: s="[0-9]++")?+(?: t="(?!e")[a-zA-Z]++")?+'
_SEEN = re.compile(rf'<c r="([A-Z]{{1,3}})[0-9]++"({_ATTRIBUTES})>(<f)?+')
_FORMULA = r"(?:<f[^<>]*+>(?:[^<]*+</f>)?+(?=<v>[^<]))?+"
_VALUE = r"<v>([^<]*+)</v>"
_INLINE = r'<is><t(?: xml:space="preserve")?+>([^<]*+)</t></is>'
_EITHER = r'(?:<v>|<is><t(?: xml:space="preserve")?+>)([^<]*+)(?:</v>|</t></is>)'


@dataclass(frozen=True, slots=True)
class RowPattern:
    """How rows look.

    Attributes:
        expression: Matches a row. Its groups are the number of the row, attributes of the row, and for each column the
            attributes of the cell, where `kinds` does not have them, and its value; "" for a cell that is blank.
        kinds: For each column, the attributes that all cells have, such as `' s="1" t="s"'`; None where they differ.
    """

    expression: re.Pattern[str]
    kinds: tuple[str | None, ...]


def of(block: str) -> RowPattern | None:
    """The pattern of rows that begin a block of XML; None where they have too many columns, or none."""
    seen: dict[int, set[str]] = {}
    formulas: set[int] = set()
    for letters, attributes, formula in _SEEN.findall("<row ".join(block.split("<row ", LEAST_ROWS)[:-1])):
        column = column_position(letters)
        seen.setdefault(column, set()).add(attributes)
        if formula:
            formulas.add(column)
    width = max(seen, default=-1) + 1
    if not 0 < width <= _MOST_COLUMNS:
        return None
    kinds = [_only(seen.get(column, set())) for column in range(width)]
    cells = (_cell(column, kind, column in formulas) for column, kind in enumerate(kinds))
    row = r'<row r="([1-9][0-9]{0,6})"((?:\s[^<>/]*+)?)>' + "".join(cells) + "</row>"
    return RowPattern(re.compile(row), tuple(kinds))


def _only(kinds: set[str]) -> str | None:
    return next(iter(kinds)) if len(kinds) == 1 else None


def _cell(column: int, kind: str | None, has_formula: bool) -> str:
    begin = rf'<c r="{column_letters(column)}\1"'
    formula = _FORMULA if has_formula or kind is None else ""
    if kind is None:
        return rf"(?:{begin}({_ATTRIBUTES})(?:/>|>{formula}{_EITHER}</c>))?+"
    value = _INLINE if 't="inlineStr"' in kind else _VALUE
    # A blank cell has a style at most.
    return rf'(?:{begin}{kind}>{formula}{value}</c>|{begin}(?: s="[0-9]++")?+/>)?+'


def columns(
    pattern: RowPattern, cells: Sequence[Sequence[str]]
) -> list[tuple[Sequence[str] | str, Sequence[str]]]:
    """For each column the attributes of its cells, one text where all have the same, and their values.

    Args:
        pattern: Of the rows.
        cells: What its groups for cells matched, group by group.
    """
    groups = iter(cells)
    return [(next(groups) if kind is None else kind, next(groups)) for kind in pattern.kinds]
