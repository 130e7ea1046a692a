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
"""Rows that are looked at: the last of a block, as the first of a sheet are titles."""

_MOST_COLUMNS = 100  # compiling one takes a millisecond

# Cells as Excel, LibreOffice and openpyxl write them. Errors, and formulas without a value, are left to others.
_ATTRIBUTES = r'(?: s="[0-9]++")?+(?: t="(?!e")[a-zA-Z]++")?+'
_SEEN = re.compile(rf'<c r="([A-Z]{{1,3}})[0-9]++"({_ATTRIBUTES})>(<f)?+')
_FORMULA = r"(?:<f[^<>]*+>(?:[^<]*+</f>)?+(?=<v>[^<]))?+"
_VALUE = r"<v>([^<]*+)</v>"
_INLINE = r'<is><t(?: xml:space="preserve")?+>([^<]*+)</t></is>'
_EITHER = r'(?:<v>|<is><t(?: xml:space="preserve")?+>)([^<]*+)(?:</v>|</t></is>)'


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows that a pattern took apart, by column.

    Attributes:
        between: What stands before each, and after the last: other rows, if any.
        digits: Number of each.
        attributes: Other attributes of each.
        columns: For each column the attributes of its cells, such as `' s="1" t="s"'`, one text where all have the
            same; and their values, "" for a cell that is blank.
    """

    between: Sequence[str]
    digits: Sequence[str]
    attributes: Sequence[str]
    columns: Sequence[tuple[Sequence[str] | str, Sequence[str]]]


@dataclass(frozen=True, slots=True)
class RowPattern:
    """How rows look.

    Attributes:
        expression: Matches a row. Its groups are the number of the row, attributes of the row, and for each column the
            attributes of the cell, where `kinds` does not have them, and its value.
        kinds: For each column, the attributes that all cells have; None where they differ.
    """

    expression: re.Pattern[str]
    kinds: tuple[str | None, ...]

    def split(self, block: str) -> Rows:
        """Take a block of XML apart."""
        parts = self.expression.split(block)
        step = self.expression.groups + 1
        between, digits, attributes, *groups = (parts[place::step] for place in range(step))
        cells = map(_filled, groups)
        columns = [(next(cells) if kind is None else kind, next(cells)) for kind in self.kinds]
        return Rows(between, digits, attributes, columns)


def _filled(group: list[str]) -> list[str]:
    """Without None, which stands for a cell that is not there."""
    return group if all(group) else [each or "" for each in group]


def of(block: str) -> RowPattern | None:
    """The pattern of rows that end a block of XML; None where they are few, or have too many columns, or none."""
    rows = block.rsplit("<row ", LEAST_ROWS)[1:]
    seen: dict[int, set[str]] = {}
    formulas: set[int] = set()
    for letters, attributes, formula in _SEEN.findall("".join(rows)):
        column = column_position(letters)
        seen.setdefault(column, set()).add(attributes)
        if formula:
            formulas.add(column)
    width = max(seen, default=-1) + 1
    if len(rows) < LEAST_ROWS or not 0 < width <= _MOST_COLUMNS:
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
    return rf'(?:{begin}(?:{kind}>{formula}{value}</c>|(?: s="[0-9]++")?+/>))?+'
