"""Tables of cells with a header: CSV, TSV and their kin. Knows quoting and delimiters; not what a column means.

Reading is strict. Where Python's `csv` would guess (a quote that never closes, text after a closing quote, rows of
another width) rows are lost in silence, so those are errors here.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence

from tunekit.data.readers.lines import Line
from tunekit.data.wording import listed, nearest
from tunekit.errors import DataError

_DELIMITERS = (",", "\t", ";", "|")
_LONE_CR = re.compile(r"(?<=\r)(?!\n)")


def header(text: str, delimiter: str) -> list[str]:
    """Column names in the first line of a text, or [] where that is no header of this kind."""
    line = re.split(r"[\r\n]", text.lstrip("\r\n"), maxsplit=1)[0]
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def delimiter_of(text: str, wanted: Iterable[str]) -> str | None:
    """The delimiter that makes the wanted columns appear in the header, if one does."""
    names = set(wanted)
    return next((delimiter for delimiter in _DELIMITERS if names <= set(header(text, delimiter))), None)


def rows(
    lines: Iterable[Line], delimiter: str, wanted: Sequence[str]
) -> Iterator[tuple[int, dict[str, str] | DataError]]:
    """Line number and cells by column name, or the `DataError` that a row of another width is.

    The number is that of the line where the row begins; a quoted cell may go on over several. A lone carriage return
    counts as a line end, as in Python's universal newlines. Blank lines hold no row and are passed by.

    Raises:
        DataError: A column is missing, the quoting is broken, or a line cannot be decoded. No row after such a place
            can be trusted, so these end the reading.
    """
    records = _records(lines, delimiter)
    number, names = next(records, (1, []))
    if not names:
        raise DataError(
            "no header: the file holds no rows", line=1, hint="the first row must name the columns"
        )
    _check_columns(names, wanted, number)
    keys = _unique(names)
    empty = True
    for number, cells in records:
        empty = False
        if len(cells) == len(keys):
            # Spreadsheets pad tables with empty columns that have no name; those say nothing.
            yield (
                number,
                {key: cell for key, name, cell in zip(keys, names, cells, strict=True) if name or cell},
            )
        else:
            yield number, _ragged(len(cells), len(keys), delimiter)
    if empty:
        raise DataError(
            "the file has a header and no rows",
            line=number,
            hint="look at what wrote it; did its query find anything?",
        )


def _records(lines: Iterable[Line], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(_pieces(lines), delimiter=delimiter, strict=True)
    start = 1
    try:
        for cells in reader:
            if cells:
                yield start, cells
            start = reader.line_num + 1
    except csv.Error as error:
        raise _explained(error, start) from None


def _pieces(lines: Iterable[Line]) -> Iterator[str]:
    for number, text in lines:
        if isinstance(text, DataError):
            text.line = number
            raise text
        if "\r" in text:
            yield from (piece for piece in _LONE_CR.split(text) if piece)
        else:
            yield text


def _check_columns(names: Sequence[str], wanted: Sequence[str], line: int) -> None:
    for name in wanted:
        if name not in names:
            hint = nearest(name, names) or "name the columns to use with input= and target="
            raise DataError(f"no column {name!r}; the columns are {listed(names)}", line=line, hint=hint)
        if names.count(name) > 1:
            raise DataError(
                f"{names.count(name)} columns are named {name!r}", line=line, hint="rename all but one"
            )


def _unique(names: Sequence[str]) -> list[str]:
    """Keys for the cells: a column without a name, or with one that was there before, is told by its position."""
    keys: list[str] = []
    for position, name in enumerate(names, start=1):
        key = name or f"column {position}"
        while key in keys:
            key += f" ({position})"
        keys.append(key)
    return keys


def _ragged(cells: int, columns: int, delimiter: str) -> DataError:
    found = f"the row has {cells} cell{'' if cells == 1 else 's'}, the header has {columns}"
    if cells > columns:
        return DataError(found, hint=f"put quotes around a cell that holds {delimiter!r}")
    return DataError(
        found, hint="fill in the missing cells, or put quotes around a cell that holds a line break"
    )


def _explained(error: csv.Error, start: int) -> DataError:
    said = str(error)
    if said.startswith("field larger"):
        return DataError(
            f"a cell is longer than {csv.field_size_limit():,} characters",
            line=start,
            hint="a quote in this row may never close; if the cell is right, call csv.field_size_limit first",
        )
    if said == "unexpected end of data":
        hint = "close it; a quote inside a quoted cell is written twice"
        return DataError("a quote is opened in this row and never closed", line=start, hint=hint)
    if "expected after" in said:
        hint = "a quote inside a quoted cell is written twice"
        return DataError("a cell goes on after its closing quote", line=start, hint=hint)
    hint = "look at the quotes and the delimiter of this row; pass delimiter= for another than was found"
    return DataError(f"not a table row: {said}", line=start, hint=hint)
