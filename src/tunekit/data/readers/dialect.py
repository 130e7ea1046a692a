"""How a table is written: what stands between cells, and whether quotes are around cells or in them.

Knows forensics: it parses the beginning of the file under every rule and sees under which it is a table. Does not
know which row names the columns.

A table in which quotes are text (as most TSV of texts is) read as one in which they are not loses rows in silence,
where two such quotes pair up over several lines; and the other way round every cell keeps its quotes.
"""

from __future__ import annotations

import io
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec, module_from_spec
from itertools import islice
from typing import Any

from tunekit.data.readers.base import ReadOptions

DELIMITERS = ("\t", ";", "|", ",")
"""Where several fit equally, the one that prose holds least."""

MAX_CELL_CHARS = 4 << 20
"""A longer cell is refused; a quote that never closes makes one of the rest of the file."""

SAMPLE_CHARS = 1 << 20
_SAMPLE_LINES = 20_000
_SAMPLE_FOR_DELIMITER = 128 << 10
_MOSTLY = 0.9
_LEAST_SCORE = 1 / 3
_FEW_UNCLOSED = 2


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the cells of a table are written.

    Attributes:
        delimiter: Stands between cells.
        quoting: Whether cells may stand in double quotes, which are not a part of them.
        padded: Whether a space after the delimiter comes before such quotes.
        escaped: Whether a quote inside such quotes has a backslash before it, as Spark, MySQL and PHP write it, and is
            not written twice.
    """

    delimiter: str
    quoting: bool = True
    padded: bool = False
    escaped: bool = False

    def reader(self, lines: Iterable[str]) -> Any:
        """A strict `csv.reader` of these lines; it raises `csv_error`."""
        csv = _own_csv()
        return csv.reader(
            self.plain(lines),
            delimiter=self.delimiter,
            quoting=csv.QUOTE_MINIMAL if self.quoting else csv.QUOTE_NONE,
            skipinitialspace=self.padded,
            strict=True,
        )

    def plain(self, lines: Iterable[str]) -> Iterable[str]:
        """The lines with quotes written twice instead of behind backslashes."""
        # Not by csv's `escapechar`: that takes away every backslash, and of these writers only MySQL escapes them all.
        return map(_unescaped, lines) if self.escaped else lines


_ESCAPED = re.compile(r'\\(["\\])')


def _unescaped(line: str) -> str:
    return _ESCAPED.sub(lambda found: '""' if found[1] == '"' else "\\", line) if "\\" in line else line


@cache
def _own_csv() -> Any:
    """Python's csv module once more: its limit for a cell (131,072 characters) is one for the whole process.

    A host may rely on that, and may be changing it in another thread; this copy has a limit of its own.
    """
    spec = find_spec("_csv")
    if spec is None or spec.loader is None:  # an interpreter with another csv module than CPython's
        return sys.modules["_csv"]
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    module.field_size_limit(MAX_CELL_CHARS)
    return module


def csv_error() -> type[Exception]:
    """What a reader raises at broken quoting."""
    error: type[Exception] = _own_csv().Error
    return error


@dataclass(frozen=True, slots=True)
class Fit:
    """What the beginning of a file looks like under one dialect.

    Attributes:
        dialect: The rules.
        records: Rows that could be read, each with the line where it begins.
        width: Cells that most rows have.
        share: Of the lines, those in rows of that width.
    """

    dialect: Dialect
    records: list[tuple[int, list[str]]]
    width: int
    share: float

    @property
    def is_table(self) -> bool:
        """Whether rows have more than one cell, and mostly the same number."""
        return self.width > 1 and self.share >= _MOSTLY


def of(sample: str, options: ReadOptions) -> Fit:
    r"""The dialect under which the beginning of a file is a table, as far as `options` leave that open.

    Args:
        sample: Whole lines.
        options: A delimiter or quoting that is given is not looked for; columns that are wanted show the delimiter
            in the line that names them.

    Examples:
        >>> of('id;text\n1;"a; b"\n2;c, d\n', ReadOptions()).dialect
        Dialect(delimiter=';', quoting=True, padded=False, escaped=False)
        >>> of('ham\t"ok" he said\nspam\t"WIN\n', ReadOptions()).dialect
        Dialect(delimiter='\t', quoting=False, padded=False, escaped=False)
    """
    lines = _lines(sample)
    delimiter = options.delimiter or _delimiter(_lines(sample[:_SAMPLE_FOR_DELIMITER]), options)
    return _fitting(delimiter, lines, options)


def _fitting(delimiter: str, lines: list[str], options: ReadOptions) -> Fit:
    if options.quoting is None:
        return _best_quoting(delimiter, lines)
    said = Dialect(delimiter, bool(options.quoting), escaped=options.quoting == "backslash")
    return _fit(said, lines)


def _lines(sample: str) -> list[str]:
    return list(islice(io.StringIO(sample, newline=""), _SAMPLE_LINES))


def _delimiter(lines: list[str], options: ReadOptions) -> str:
    scores = {delimiter: _score(delimiter, lines, options) for delimiter in DELIMITERS}
    best = max(DELIMITERS, key=lambda delimiter: scores[delimiter])
    return best if scores[best] > (False, _LEAST_SCORE) else ","


def _score(delimiter: str, lines: list[str], options: ReadOptions) -> tuple[bool, float]:
    """Whether the wanted columns are there, and how much of a table it is."""
    if not any(delimiter in line for line in lines):
        return False, 0
    fit = _fitting(delimiter, lines, options)
    if fit.width < 2 or not fit.records:
        return False, 0
    first = fit.records[0][1]
    names = {cell.strip() for cell in first}
    # The line that names the columns is the surest of all.
    share = fit.share if len(first) == fit.width else fit.share / 2
    return bool(options.wanted) and names.issuperset(options.wanted), share


def _best_quoting(delimiter: str, lines: list[str]) -> Fit:
    quoted = _fit(Dialect(delimiter), lines)
    if not any('"' in line for line in lines):
        return quoted
    if any(f'{delimiter} "' in line for line in lines):
        padded = _fit(Dialect(delimiter, padded=True), lines)
        quoted = max(quoted, padded, key=lambda fit: fit.share)
    if quoted.share < 1 and any('\\"' in line for line in lines):
        escaped = _fit(replace(quoted.dialect, escaped=True), lines)
        quoted = max(quoted, escaped, key=lambda fit: (fit.share, fit.width))
    plain = _fit(Dialect(delimiter, quoting=False), lines)
    return quoted if _is_quoted(quoted, plain) or _is_all_quoted(quoted, lines) else plain


def _is_all_quoted(quoted: Fit, lines: list[str]) -> bool:
    """Whether a writer that quotes every cell wrote these very lines; cells of delimiters look like lone quotes."""
    text, at, delimiter = "".join(lines), 0, quoted.dialect.delimiter
    for _, cells in quoted.records:
        row = delimiter.join('"' + cell.replace('"', '""') + '"' for cell in cells)
        if not text.startswith(row, at):
            return False
        at += len(row)
        while text.startswith(("\r", "\n"), at):
            at += 1
    return at == len(text)


def _is_quoted(quoted: Fit, plain: Fit) -> bool:
    """Whether quotes are around cells, as CSV has it, unless several cells that open one do not close it."""
    opened = [cell for _, cells in plain.records for cell in cells if cell.startswith('"')]
    closed = sum(len(cell) > 1 and cell.endswith('"') for cell in opened)
    if closed >= _MOSTLY * len(opened) or len(opened) - closed < _FEW_UNCLOSED:
        return True  # one may be damage, which is an error with its line
    # Quotes that stand alone, as ditto marks do, pair up over lines without a trace.
    return quoted.share > plain.share or (quoted.share == plain.share and 2 * closed >= len(opened))


def _fit(dialect: Dialect, lines: list[str]) -> Fit:
    rows = list(_rows(dialect, lines))
    if rows and rows[-1][2] is None and _size(rows[-1]) <= (1 - _MOSTLY) * len(lines):
        rows.pop()  # the sample may end inside a row
    sizes = Counter[int]()
    for row in rows:
        sizes[len(row[2] or ())] += _size(row)
    lost = sizes.pop(0, 0)
    width, most = sizes.most_common(1)[0] if sizes else (0, 0)
    return Fit(
        dialect,
        records=[(start, cells) for start, _, cells in rows if cells],
        width=width,
        share=most / (sizes.total() + lost) if most else 0,
    )


_Row = tuple[int, int, "list[str] | None"]


def _size(row: _Row) -> int:
    return row[1] - row[0]


def _rows(dialect: Dialect, lines: list[str]) -> Iterator[_Row]:
    """First line, line after the last, and cells of every row; None for cells where the quoting is broken."""
    rest, start, error = iter(lines), 1, csv_error()
    while True:
        reader, first = dialect.reader(rest), start
        try:
            for cells in reader:
                end = first + reader.line_num
                if cells:
                    yield start, end, cells
                start = end
        except error:
            end = first + reader.line_num
            yield start, end, None
            start = end
        else:
            return
