"""Tables of cells in text: CSV, TSV and their kin. Knows how rows are read; not what a column means.

Reading is strict. Where Python's `csv` would guess (a quote that never closes, text after a closing quote, rows of
another width) rows are lost in silence, so those are errors here, each in the place of its row. Every cell stays the
text that it is: NA, null and 007 too. What is decided by evidence (encoding, delimiter, quoting, header) is in the
facts, and in a finding where another choice is likely.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, count, repeat
from operator import itemgetter
from typing import BinaryIO

from tunekit.data.readers import dialect, records, table_layout
from tunekit.data.readers.base import Notes, ReadOptions, Row
from tunekit.data.readers.dialect import MAX_CELL_CHARS, SAMPLE_CHARS
from tunekit.data.readers.encoding import Decoder
from tunekit.data.readers.records import UNCLOSED, Damage, Piece, Rows
from tunekit.data.readers.table_layout import Layout
from tunekit.data.readers.table_notes import TableNotes
from tunekit.data.readers.text_file import TextFile
from tunekit.data.wording import brief
from tunekit.errors import DataError

MAX_LINE_BYTES = 2 * MAX_CELL_CHARS
"""A longer line is refused: a hundred million delimiters would become as many cells."""

_QUERY = "look at what wrote it; did its query find anything?"
_TWICE = (
    "a quote inside a quoted cell is written twice; pass quoting=False if quotes are part of the text here, or"
    ' quoting="backslash" if they have backslashes before them'
)


def rows(file: BinaryIO, options: ReadOptions, notes: Notes) -> Iterator[Row]:
    """Line number and cells by column name, or the `DataError` that a row is. Blank rows are passed by.

    The number is that of the line where the row begins; a quoted cell may go on over several. A lone carriage return
    counts as a line end, as in Python's universal newlines. A column without a name is in a row only where that row
    has something in it.

    Raises:
        DataError: A wanted column is missing, there are no rows, or the file breaks off.
    """
    text = TextFile(file, options.encoding, MAX_LINE_BYTES)
    notes.facts["encoding"] = text.decoder.encoding.name
    blocks = text.blocks()
    sample = list(_sample(blocks))
    fit = dialect.of("".join(sample)[:SAMPLE_CHARS], options)
    layout = table_layout.of(fit.records, fit.width, options)
    seen = TableNotes(notes, layout)
    seen.dialect(fit.dialect, options)
    seen.begin(layout)
    layout.check(options.wanted)
    found = records.pieces(chain(sample, blocks), fit.dialect, len(layout.names.keys))
    try:
        yield from _Table(fit.dialect.delimiter, layout, text.decoder, seen).rows(found)
    finally:
        seen.finish()
        text.decoder.finish(notes)


def tab_rows(file: BinaryIO, options: ReadOptions, notes: Notes) -> Iterator[Row]:
    """Rows of a table that is known to have tabs between its cells."""
    return rows(file, replace(options, delimiter=options.delimiter or "\t"), notes)


def _sample(blocks: Iterator[str]) -> Iterator[str]:
    size = 0
    while size < SAMPLE_CHARS and (block := next(blocks, None)) is not None:
        size += len(block)
        yield block


class _Table:
    """The rows of one table."""

    def __init__(self, delimiter: str, layout: Layout, decoder: Decoder, seen: TableNotes) -> None:
        self._delimiter = delimiter
        self._layout = layout
        self._keys = layout.names.keys
        self._nameless = layout.nameless
        self._header = list(layout.cells)
        self._decoder = decoder
        self._seen = seen
        self._any = False  # rows, or errors in their place

    def rows(self, pieces: Iterable[Piece]) -> Iterator[Row]:
        """Every row after the header, and the error that a damaged one is."""
        last = 0
        for piece in pieces:
            if isinstance(piece, Damage):
                self._any = True
                if piece.is_end:
                    raise _explained(piece)
                yield piece.line, _explained(piece)
                continue
            last = piece.line + piece.lines - 1
            simple = self._simple(piece)
            if simple is None:
                yield from self._careful(piece)
            else:
                self._any = True
                yield from simple
        if not self._any:
            raise DataError("the file has a header and no rows", line=last, hint=_QUERY)

    def _simple(self, rows: Rows) -> Iterable[Row] | None:
        """Rows without anything odd, as nearly all of nearly every table are: all cells, on one line each."""
        cells = rows.cells
        if (
            self._nameless
            or self._decoder.marks
            or rows.line <= self._layout.line
            or rows.lines != len(cells)
            or set(map(len, cells)) != {len(self._keys)}
        ):
            return None
        firsts = list(map(itemgetter(0), cells))
        if not all(firsts) or (self._header and self._header[0] in firsts):
            return None  # one may hold nothing, or be the header once more
        return zip(count(rows.line), map(dict, map(zip, repeat(self._keys), cells)), strict=False)

    def _careful(self, rows: Rows) -> Iterator[Row]:
        """The same rows, each looked at."""
        keys, marks = self._keys, self._decoder.marks
        usual = len(keys) if not self._nameless else -1
        header = self._header[0] if self._header else None
        for start, end, cells in rows.numbered():
            if start <= self._layout.line:
                self._pass_by(start, end)
            elif (
                len(cells) == usual and not marks and start == end and (first := cells[0]) and first != header
            ):
                self._any = True
                yield start, dict(zip(keys, cells))  # noqa: B905 - strict= costs a tenth, and the lengths are equal
            elif cells:
                value = self._value(start, end, cells)
                if value is not None:
                    self._any = True
                    yield start, value

    def _pass_by(self, start: int, end: int) -> None:
        """Leave out what is above the table; note what is odd about the names."""
        problem = self._settle(start, end, self._header if start == self._layout.line else [])
        if problem:
            raise problem

    def _value(self, start: int, end: int, cells: list[str]) -> dict[str, str] | DataError | None:
        """A row that needs a second look; None where it holds nothing."""
        row, width = self._seen.row(start), len(self._keys)
        problem = self._settle(start, end, cells)
        if problem:
            return problem
        if not any(cells):
            self._seen.blank.add(row)
            return None
        if cells == self._header and width > 1:
            self._seen.repeated.add(row)
            return None
        if len(cells) > width and not any(cells[width:]):
            self._seen.padded.add(row)
            del cells[width:]
        if len(cells) != width:
            return self._ragged(len(cells))
        if end > start and _is_swallowed(cells, self._delimiter):
            self._seen.swallowed.add(row)
        return self._named(row, cells)

    def _named(self, row: str, cells: list[str]) -> dict[str, str]:
        named = dict(zip(self._keys, cells, strict=True))
        for position in self._nameless:
            # Spreadsheets pad tables with empty columns that have no name; those say nothing.
            if cells[position]:
                self._seen.spilled(row, position, cells[position])
            else:
                del named[self._keys[position]]
        return named

    def _settle(self, start: int, end: int, cells: list[str]) -> DataError | None:
        """Note the cells that were read as cp1252; or why the row cannot be used."""
        odd, problem = self._decoder.settle(end)
        if odd and not problem:
            for position, cell in enumerate(cells):
                if not cell.isascii():
                    field = self._keys[position] if position < len(self._keys) else ""
                    self._decoder.note(self._seen.row(start), field, cell)
        return problem

    def _ragged(self, cells: int) -> DataError:
        columns = len(self._keys)
        found = f"the row has {cells} cell{'' if cells == 1 else 's'}, the header has {columns}"
        if cells < columns:
            hint = "fill in the missing cells, or put quotes around a cell that holds a line break"
        else:
            hint = f"put quotes around a cell that holds {brief(self._delimiter)}"
        return DataError(found, hint=hint)


def _is_swallowed(cells: list[str], delimiter: str) -> bool:
    """Whether each of the lines that these cells are on has as many delimiters as a row, and not by chance.

    Prose has commas, too: three such lines in a row are no chance, where a table has three columns.
    """
    counts = [0]
    for position, cell in enumerate(cells):
        counts[-1] += position > 0
        first, *more = cell.split("\n")
        counts[-1] += first.count(delimiter)
        counts += [line.count(delimiter) for line in more]
    chance = delimiter == "," and (len(cells) < 3 or len(counts) < 3)
    return not chance and set(counts) == {len(cells) - 1}


def _explained(damage: Damage) -> DataError:
    line = damage.line
    beyond = f"; lines {line} to {damage.last} were passed by" if damage.last > line else ""
    beyond += ", and no row was found there" if damage.is_end else ""
    if damage.reason.startswith("field larger"):
        message, hint = (
            f"a cell is longer than {MAX_CELL_CHARS:,} characters",
            "a quote in this row may never close",
        )
    elif damage.reason == UNCLOSED:
        message, hint = "a quote is opened in this row and never closed", f"close it; {_TWICE}"
    elif "expected after" in damage.reason:
        message, hint = "a cell goes on after its closing quote", _TWICE
    else:
        message = f"not a table row: {damage.reason}"
        hint = "look at the quotes and the delimiter of this row; pass delimiter= for another than was found"
    return DataError(message + beyond, line=line, hint=hint)
