"""Cells of a workbook as a person sees them, which is as text. Knows Python values; not what a column means.

A sheet keeps every number as a float and every moment as a count of days. What comes out is what saving the sheet as
CSV would give, with dates in ISO form: "7", not "7.0"; "2017-07-02 14:30:00"; "TRUE".
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import Any

LONG = 1e15
"""Integers from here on have more digits than Excel's fifteen: those after them are zeros, or wrong."""


def texts(block: Sequence[Sequence[Any]]) -> Iterator[tuple[str, ...]]:
    """Rows of cells as rows of texts. Column by column, because most columns hold values of one kind.

    Examples:
        >>> list(texts([["a", 7.0, True], ["b", 0.1 + 0.2, ""]]))
        [('a', '7', 'TRUE'), ('b', '0.3', '')]
    """
    return zip(*map(_column, zip(*block, strict=True)), strict=True)


def _column(cells: tuple[Any, ...]) -> Sequence[str]:
    kinds = set(map(type, cells))
    if kinds == {str}:
        return cells
    if kinds == {float} and max(map(abs, cells)) < LONG:
        return ["%.15g" % cell for cell in cells]  # noqa: UP031  # half the time of format()
    return [cell if type(cell) is str else text(cell) for cell in cells]


def text(cell: Any) -> str:
    """One cell as text.

    Examples:
        >>> text(datetime.datetime(2024, 1, 2, 3, 4)), text(datetime.timedelta(hours=26, minutes=5)), text(2e15)
        ('2024-01-02 03:04:00', '26:05:00', '2000000000000000')
    """
    match cell:
        case str():
            return cell
        case bool():
            return "TRUE" if cell else "FALSE"
        case float() if LONG <= abs(cell) < 1e21 and cell.is_integer():
            return str(int(cell))
        case float():
            return f"{cell:.15g}"  # as many digits as Excel keeps: 0.3, not 0.30000000000000004
        case datetime.datetime():
            return cell.isoformat(sep=" ")
        case datetime.timedelta():
            return _duration(cell)
        case datetime.date() | datetime.time():
            return cell.isoformat()
        case _:
            return "" if cell is None else str(cell)


def _duration(length: datetime.timedelta) -> str:
    """Hours may go beyond a day: "26:05:00"."""
    sign = "-" if length < datetime.timedelta(0) else ""
    seconds = abs(length).seconds + abs(length).days * 86_400
    rest = f".{abs(length).microseconds:06}" if length.microseconds else ""
    return f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{rest}"


def is_long(cell: Any) -> bool:
    """Whether this is a whole number of more digits than a sheet can keep."""
    return type(cell) is float and abs(cell) >= LONG and cell.is_integer()
