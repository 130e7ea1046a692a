"""CSV and TSV. Knows quoting, and what a spreadsheet would run; not what a column means.

A cell that begins like a formula is run by the spreadsheet that opens the file (OWASP, "CSV injection"), and cells may
come from strangers. Such a cell gets a single quote in front, which spreadsheets take as "this is text"; `load` leaves
it there. Tables are for people and spreadsheets: what is to be read back unchanged is written as JSON lines.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tunekit.data.wording import listed, shown
from tunekit.errors import DataError

# Tabs and ends of lines in front are passed over by spreadsheets, which then see what follows; East Asian editions take
# the full-width signs for the plain ones. Plain numbers are safe.
_FORMULA = re.compile(r"[=@\t\r\n\uff1d\uff0b\uff0d\uff20]|[+-](?!\d+(?:\.\d+)?\Z)")


def neutral(cell: str) -> str:
    """The cell as a spreadsheet will show it, never run it.

    Examples:
        >>> neutral("=1+1"), neutral("-5"), neutral("five")
        ("'=1+1", '-5', 'five')
    """
    return "'" + cell if _FORMULA.match(cell) else cell


def encoded(
    records: Iterable[tuple[str, Mapping[str, Any]]],
    columns: Sequence[str],
    delimiter: str,
    guarded: Counter[str] | None = None,
) -> Iterator[bytes]:
    """The header, then a row for each record; UTF-8, line ends as RFC 4180 has them.

    Args:
        records: Row ids and rows.
        columns: Their columns.
        delimiter: What stands between two cells.
        guarded: Counts the cells, by column, that got a quote in front.

    Raises:
        DataError: A record has another column, or a cell that is no text and no number.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow([neutral(name) for name in columns])
    for row, record in records:
        other = [name for name in record if name not in columns]
        if other:
            raise DataError(
                f"row {row!r} has the columns {listed(other)}, which the first row has not",
                hint="write JSON lines, or map the rows to the same columns",
            )
        cells = [_cell(record.get(name), name, row) for name in columns]
        if guarded is not None:
            texts = zip(columns, cells, strict=True)
            guarded.update(name for name, cell in texts if cell[:1] == "'" and cell != record.get(name))
        writer.writerow(cells)
        yield _taken(buffer, row)
    rest = _taken(buffer, "header")
    if rest:
        yield rest


def _cell(value: Any, name: str, row: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        if "\0" in value:
            hint = 'write JSON lines, or take it out: data.fix("strip-control")'
            raise DataError(f"row {row!r} has a NUL in {name!r}, at which readers of tables stop", hint=hint)
        return neutral(value)
    if isinstance(value, (bool, int, float)):
        return str(value).lower() if isinstance(value, bool) else repr(value)
    raise DataError(
        f"row {row!r} has {shown(value)} in {name!r}, and a table's cells are texts and numbers",
        hint="write JSON lines, or map the rows to texts",
    )


def _taken(buffer: io.StringIO, row: str) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"row {row!r} holds half a surrogate pair, {error.object[error.start]!r}, which has no UTF-8 form",
            hint="map the dataset to examples of whole characters",
        ) from None
