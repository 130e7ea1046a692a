"""Tables of cells in text: CSV, TSV and their kin. Knows how rows are read; not what a column means.

Reading is strict. Where Python's `csv` would guess (a quote that never closes, text after a closing quote, rows of
another width) rows are lost in silence, so those are errors here. Every cell stays the text that it is: NA, null and
007 too. What is decided by evidence (encoding, delimiter, quoting, header) is in the facts, and in a finding where
another choice is likely.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any, BinaryIO

from tunekit.data.readers import dialect, table_layout
from tunekit.data.readers.base import Notes, ReadOptions, Row
from tunekit.data.readers.dialect import MAX_CELL_CHARS, SAMPLE_CHARS
from tunekit.data.readers.encoding import Decoder
from tunekit.data.readers.table_layout import Layout
from tunekit.data.readers.table_notes import TableNotes
from tunekit.data.readers.text_file import TextFile
from tunekit.data.wording import brief
from tunekit.errors import DataError

MAX_LINE_BYTES = 2 * MAX_CELL_CHARS
"""A longer line is refused: a hundred million delimiters would become as many cells."""

_QUERY = "look at what wrote it; did its query find anything?"
_TWICE = (
    "a quote inside a quoted cell is written twice; pass quoting=False if quotes are part of the text here"
)


def rows(file: BinaryIO, options: ReadOptions, notes: Notes) -> Iterator[Row]:
    """Line number and cells by column name, or the `DataError` that a row is. Blank rows are passed by.

    The number is that of the line where the row begins; a quoted cell may go on over several. A lone carriage return
    counts as a line end, as in Python's universal newlines. A column without a name is in a row only where that row
    has something in it.

    Raises:
        DataError: A wanted column is missing, or the quoting is broken. No row after such a place can be trusted, so
            these end the reading.
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
    lines = chain.from_iterable(io.StringIO(block, newline="") for block in chain(sample, blocks))
    table = _Table(fit.dialect.delimiter, layout, text.decoder, seen)
    try:
        yield from table.rows(fit.dialect.reader(lines))
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

    def rows(self, reader: Any) -> Iterator[Row]:
        """Every row after the header."""
        keys, marks = self._keys, self._decoder.marks
        usual = len(keys) if not self._nameless else -1
        header = self._header[0] if self._header else None
        end = last = 0
        try:
            end = self._skip_header(reader)
            for cells in reader:
                start, end = end + 1, reader.line_num
                # Nearly every row of nearly every table: all cells, on one line, and nothing odd.
                if (
                    len(cells) == usual
                    and start == end
                    and not marks
                    and (first := cells[0])
                    and first != header
                ):
                    last = start
                    yield start, dict(zip(keys, cells))  # noqa: B905 - strict= costs a tenth, and the lengths are equal
                elif cells:
                    value = self._value(start, end, cells)
                    if value is not None:
                        last = start
                        yield start, value
        except dialect.csv_error() as error:
            raise _explained(error, end + 1) from None
        if not last:
            raise DataError("the file has a header and no rows", line=end, hint=_QUERY)

    def _skip_header(self, reader: Any) -> int:
        """Go to the first row of data; the line before it."""
        end = 0
        while end < self._layout.line:
            next(reader)
            end = reader.line_num
        problem = self._settle(self._layout.line, end, self._header)
        if problem:
            raise problem
        return end

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


def _explained(error: Exception, line: int) -> DataError:
    said = str(error)
    if said.startswith("field larger"):
        message = f"a cell is longer than {MAX_CELL_CHARS:,} characters"
        return DataError(message, line=line, hint="a quote in this row may never close")
    if said == "unexpected end of data":
        return DataError(
            "a quote is opened in this row and never closed", line=line, hint=f"close it; {_TWICE}"
        )
    if "expected after" in said:
        return DataError("a cell goes on after its closing quote", line=line, hint=_TWICE)
    hint = "look at the quotes and the delimiter of this row; pass delimiter= for another than was found"
    return DataError(f"not a table row: {said}", line=line, hint=hint)
