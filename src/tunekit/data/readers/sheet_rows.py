"""From the cells of a sheet to rows by column name: where the table begins, what is worth knowing of it.

Knows sheets of any workbook as numbered rows of texts; no file format, and not what a column means.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from statistics import median
from typing import Protocol, TypeAlias

from tunekit.data.readers import table_layout
from tunekit.data.readers.base import Notes, ReadOptions, Row
from tunekit.data.readers.counted import Counted
from tunekit.data.readers.table_layout import Layout
from tunekit.data.readers.table_notes import TableNotes
from tunekit.data.wording import brief
from tunekit.errors import DataError

Cells: TypeAlias = "Sequence[str] | DataError"
Spot: TypeAlias = tuple[int, int, str]
"""Row, column from 0, and what stands in that cell."""

LOOK_AHEAD, LOOK_AHEAD_CELLS = 100, 100_000
"""Rows in which a header is looked for, and the cells in them."""

MAX_SPOTS = 100_000
"""Cells of one kind that are kept to tell of. A list of every cell of a large sheet would be larger than the sheet."""

_LEAST_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class SheetPart:
    """A sheet of a workbook.

    Attributes:
        name: As people see it.
        place: Where the workbook keeps it.
        hidden: Whether it is not shown.
        filled: Whether cells have values; None where nobody looked.
    """

    name: str
    place: str
    hidden: bool
    filled: bool | None = None


@dataclass(slots=True)
class Seen:
    """What shows in a sheet besides its rows, complete after the last row.

    Attributes:
        errors: Cells with an error.
        not_computed: Cells with a formula and no value.
        long: Whole numbers with more digits than a sheet keeps.
        hidden: Numbers of rows that are not shown.
        merged: Ranges of merged cells: first row, first column, last row, last column; columns from 0.
    """

    errors: list[Spot] = field(default_factory=list)
    not_computed: list[Spot] = field(default_factory=list)
    long: list[Spot] = field(default_factory=list)
    hidden: list[int] = field(default_factory=list)
    merged: list[tuple[int, int, int, int]] = field(default_factory=list)


def see(spots: list[Spot], row: int, column: int, text: str) -> None:
    """Keep a cell to tell of, with the beginning of its text, unless there are too many."""
    if len(spots) < MAX_SPOTS:
        spots.append((row, column, text[:40]))


class Sheet(Protocol):
    """One sheet, to be gone through once."""

    @property
    def seen(self) -> Seen:
        """What showed so far."""

    def rows(self) -> Iterator[tuple[int, Cells]]:
        """Rows that are not blank, with their numbers; cells up to the last that the row has, or more."""


def rows(sheet: Sheet, name: str, options: ReadOptions, notes: Notes) -> Iterator[Row]:
    """Records of a sheet: texts by column name.

    Raises:
        DataError: It has no rows, or its header or a wanted column is not there.
    """
    numbered = sheet.rows()
    ahead = list(_first(numbered))
    readable = [(number, cells) for number, cells in ahead if not isinstance(cells, DataError)]
    if not readable:
        raise DataError(f"the sheet {brief(name)} is blank", hint="pass sheet= with another's name")
    layout = _layout(readable, options)
    seen = TableNotes(notes, layout, "row")
    seen.begin(layout)
    layout.check(options.wanted)
    body = chain((row for row in ahead if row[0] > layout.line), numbered)
    first = next(body, None)
    if first is None:
        raise DataError(
            f"the sheet {brief(name)} has a header and no rows",
            line=layout.line,
            hint="look at what wrote it; did its query find anything?",
        )
    beside = Counted()
    try:
        yield from _records(chain([first], body), layout, seen, beside)
    finally:
        seen.finish()
        if beside.count:
            message = "text right of the table in {rows}; such a column is called by its position"
            notes.findings.append(beside.finding("cells-beside-table", "info", message))
        _note_seen(sheet.seen, layout, notes)


def _first(numbered: Iterator[tuple[int, Cells]]) -> Iterator[tuple[int, Cells]]:
    """The rows to look for a header in: a hundred, or fewer where they are very wide."""
    cells_left = LOOK_AHEAD_CELLS
    for number, cells in islice(numbered, LOOK_AHEAD):
        yield number, cells
        cells_left -= 0 if isinstance(cells, DataError) else len(cells)
        if cells_left < 0:
            return


def _layout(ahead: Sequence[tuple[int, Sequence[str]]], options: ReadOptions) -> Layout:
    width = max(len(cells) for _, cells in ahead)
    padded = [(number, [*cells, *[""] * (width - len(cells))]) for number, cells in ahead]
    titles = _titles(padded) if options.header is None else 0
    if any(set(options.wanted) <= set(cells) for _, cells in padded[:titles] if options.wanted):
        titles = 0
    layout = table_layout.of(padded[titles:], width, options)
    return (
        replace(layout, above=(*(number for number, _ in padded[:titles]), *layout.above))
        if titles
        else layout
    )


def _titles(rows: Sequence[tuple[int, Sequence[str]]]) -> int:
    """Rows at the top that are much emptier than those below: a title, or names of groups of columns."""
    filled = [sum(map(bool, cells)) for _, cells in rows]
    return next(index for index, count in enumerate(filled) if count >= _LEAST_SHARE * median(filled))


def _records(
    numbered: Iterator[tuple[int, Cells]], layout: Layout, seen: TableNotes, beside: Counted
) -> Iterator[Row]:
    keys, nameless = layout.names.keys, layout.nameless
    width, header = len(keys), _trimmed(layout.cells)
    following = 0
    for number, cells in numbered:
        if number != following and following:
            for blank in range(following, number):
                seen.blank.add(seen.row(blank))
        following = number + 1
        if isinstance(cells, DataError):
            yield number, cells
            continue
        record: dict[str, str] = dict(zip(keys, cells))  # noqa: B905 - missing and further cells come below
        if len(cells) != width:
            record |= dict.fromkeys(keys[len(cells) :], "")
            for position in range(width, len(cells)):
                if cells[position]:
                    record[f"column {position + 1}"] = cells[position]
                    beside.add(seen.row(number), f"column {position + 1}", cells[position][:40])
        for position in nameless:
            if record[keys[position]]:
                seen.spilled(seen.row(number), position, record[keys[position]])
            else:
                del record[keys[position]]
        if header and cells[0] == header[0] and _trimmed(cells) == header:
            seen.repeated.add(seen.row(number))
        else:
            yield number, record


def _trimmed(cells: Sequence[str]) -> list[str]:
    """The cells up to the last that is not blank."""
    last = next((place for place in range(len(cells), 0, -1) if cells[place - 1]), 0)
    return list(cells[:last])


# --- what else there is -------------------------------------------------------------------------------


def _note_seen(seen: Seen, layout: Layout, notes: Notes) -> None:
    spots = (
        (seen.errors, "error-cells", "an error in {rows} was read as a blank cell"),
        (
            seen.not_computed,
            "formulas-without-values",
            "a formula in {rows} was never computed, and was read as a blank cell; open the workbook with a"
            " spreadsheet program and save it",
        ),
        (
            seen.long,
            "long-integers",
            "a whole number of 16 digits or more in {rows}, of which a sheet keeps 15; format such a column as text"
            " where it comes from",
        ),
        (
            list(_below_first(seen.merged)),
            "merged-cells",
            "merged cells in {rows}, of which only the first has the value",
        ),
    )
    for found, code, message in spots:
        counted = Counted()
        for row, column, text in sorted(found):
            if row > layout.line:
                counted.add(notes.row(row), _key(layout, column), text)
        if counted.count:
            said = message if len(found) < MAX_SPOTS else message.replace("{rows}", "{rows} or more")
            notes.findings.append(counted.finding(code, "warning", said))
    hidden = Counted()
    for row in sorted(seen.hidden):
        if row > layout.line:
            hidden.add(notes.row(row))
    if hidden.count:
        message = "{rows} that the sheet does not show, by a filter or by hand, were read as well"
        notes.findings.append(hidden.finding("hidden-rows", "info", message))


def _below_first(merged: Sequence[tuple[int, int, int, int]]) -> Iterator[Spot]:
    """The cells of merged ranges that have no value, as far as a finding lists them."""
    return islice(
        (
            (row, column, "")
            for top, left, bottom, right in merged
            for row in range(top, bottom + 1)
            for column in range(left, right + 1)
            if (row, column) != (top, left)
        ),
        MAX_SPOTS,
    )


def _key(layout: Layout, column: int) -> str:
    keys = layout.names.keys
    return keys[column] if column < len(keys) else column_letters(column)


def column_position(letters: str) -> int:
    """Position of a column from 0: that of A is 0, of XFD 16,383."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number - 1


def column_letters(position: int) -> str:
    """Letters of a column by its position from 0.

    Examples:
        >>> column_letters(0), column_letters(27), column_letters(16_383)
        ('A', 'AB', 'XFD')
    """
    found, number = "", position + 1
    while number:
        number, rest = divmod(number - 1, 26)
        found = chr(65 + rest) + found
    return found
