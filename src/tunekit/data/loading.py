"""From a file or an iterator of dictionaries to examples: open, recognise, read, collect. Knows no `Dataset`.

The one place that decides what happens to a row that cannot be used.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal, TypeAlias

from tunekit.data import recognise, splits
from tunekit.data.readers import csv, jsonl, lines
from tunekit.data.recognise import Format
from tunekit.data.shapes import DEFAULT_COLUMNS, BlankTarget, Columns, to_example
from tunekit.data.wording import listed
from tunekit.errors import DataError, SpecError
from tunekit.examples import Example

OnError: TypeAlias = Literal["raise", "skip"]
Row: TypeAlias = tuple[int, Any]
"""Number of a row, and its decoded value or the `DataError` that it is."""

_LISTED_LINES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A row that was left out because the caller said `on_error="skip"`.

    Attributes:
        id: Its row id, such as `"tickets.csv:12"`.
        line: 1-based line where it begins.
        reason: What was wrong with it.
    """

    id: str
    line: int
    reason: str


@dataclass(slots=True)
class Loaded:
    """What reading gave."""

    examples: list[Example] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Source:
    """A file, and what the caller says about its format."""

    path: str
    format: Format | None
    encoding: str | None
    delimiter: str | None

    @classmethod
    def of(
        cls, path: str | os.PathLike[str], *, format: str | None, encoding: str | None, delimiter: str | None
    ) -> Source:
        """Check the arguments of `Dataset.load`."""
        if format is not None and format not in recognise.FORMATS:
            raise SpecError(f"unknown format {format!r}", hint=f"formats are {listed(recognise.FORMATS)}")
        if encoding is not None:
            lines.check_encoding(encoding)
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '\r\n"'):
            raise SpecError(f"delimiter is {delimiter!r}", hint="use one character, such as ';'")
        return cls(os.fspath(path), format, encoding, delimiter)  # type: ignore[arg-type]  # checked against FORMATS

    @property
    def name(self) -> str:
        """The file's own name, first part of its row ids."""
        return PurePath(self.path).name


def load(source: Source, columns: Columns | None, *, limit: int | None, on_error: OnError) -> Loaded:
    """Examples of a file. See `Dataset.load`."""
    with lines.opened(source.path) as file:
        try:
            rows, columns = _rows(file, source, columns)
            return _collect(rows, columns, source.name, limit, on_error)
        except DataError as error:
            error.path = source.path
            raise


def from_records(
    records: Iterable[Mapping[str, Any]],
    columns: Columns | None,
    *,
    name: str,
    limit: int | None,
    on_error: OnError,
) -> Loaded:
    """Examples of dictionaries. See `Dataset.from_records`."""
    try:
        return _collect(_checked(records), columns, name, limit, on_error)
    except DataError as error:
        error.path = name
        raise


def _rows(
    file: io.BufferedReader, source: Source, columns: Columns | None
) -> tuple[Iterator[Row], Columns | None]:
    head = file.peek(1)  # all that the buffer holds: 64 KB of a file, whatever is there of a pipe
    recognise.refuse_binary(head, source.encoding)
    encoding = source.encoding or "utf-8"
    text = head.decode(encoding, "replace").removeprefix("\ufeff")
    wanted = (columns or DEFAULT_COLUMNS).names
    suffix = PurePath(source.path).suffix.lower()
    format = source.format or recognise.recognise(text, suffix, wanted, source.delimiter)
    numbered = lines.lines(file, encoding)
    if format == "jsonl":
        return jsonl.rows(numbered), columns
    default = "\t" if format == "tsv" else ","
    delimiter = source.delimiter or csv.delimiter_of(text, wanted) or default
    if columns is None:
        _ask_for_columns(text, delimiter)
    return csv.rows(numbered, delimiter, wanted), columns or DEFAULT_COLUMNS


def _ask_for_columns(text: str, delimiter: str) -> None:
    names = csv.header(text, delimiter)
    if names and not set(DEFAULT_COLUMNS.names) <= set(names):
        raise DataError(
            f"a table needs input= and target=; its columns are {listed(names)}",
            line=1,
            hint="name the column the model reads and the one it should answer with",
        )


def _checked(records: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    if isinstance(records, (str, bytes, Mapping)):
        raise SpecError(
            f"records is one {type(records).__name__!r}, not several dictionaries",
            hint="pass a list of dictionaries; to read a file, use Dataset.load",
        )
    for number, record in enumerate(records, start=1):
        yield number, _unwritable(record) or record


def _unwritable(record: Any) -> DataError | None:
    """Text from a file read with surrogateescape carries half characters that no later step could write."""
    try:
        json.dumps(record, ensure_ascii=False, default=repr).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        hint = 'decode the text again with errors="replace" instead of "surrogateescape"'
        return DataError(
            f"the text holds {half!r}, half a surrogate pair, which is not a character", hint=hint
        )
    except (TypeError, ValueError, RecursionError) as error:
        hint = "keep to texts, numbers, lists and dictionaries with text keys, none inside itself"
        return DataError(f"the record holds what JSON cannot: {error}", hint=hint)
    return None


def _collect(
    rows: Iterator[Row], columns: Columns | None, name: str, limit: int | None, on_error: OnError
) -> Loaded:
    if on_error not in ("raise", "skip"):
        raise SpecError(f"on_error is {on_error!r}", hint="use 'raise' or 'skip'")
    most = None if limit is None else splits.whole("limit", limit, least=1)
    found, blank = Loaded(), _Blank()
    for number, value in rows:
        try:
            if isinstance(value, DataError):
                raise value
            found.examples.append(to_example(value, columns, f"{name}:{number}"))
        except DataError as error:
            error.line = number
            if on_error == "skip":
                found.skipped.append(Skipped(id=f"{name}:{number}", line=number, reason=_reason(error)))
            elif isinstance(error, BlankTarget):
                blank.add(error, number)  # one message for all of them: people fix a column at once
            else:
                raise
        if len(found.examples) == most:
            break
    blank.check()
    _check_any(found)
    return found


def _reason(error: DataError) -> str:
    return f"{error.field}: {error.message}" if error.field else error.message


def _check_any(found: Loaded) -> None:
    if not found.examples:
        if found.skipped:
            first = found.skipped[0]
            said = f"no row can be used, all {len(found.skipped)} were skipped; the first: {first.reason}"
            hint = 'pass on_error="raise" for that error with its own hint'
            raise DataError(said, line=first.line, hint=hint)
        raise DataError("there are no rows", hint="look at what they come from")


class _Blank:
    """Rows with nothing to learn: where the first few are, and how many."""

    def __init__(self) -> None:
        self.first: DataError | None = None
        self.lines: list[int] = []
        self.count = 0

    def add(self, error: DataError, line: int) -> None:
        self.first = self.first or error
        self.count += 1
        if self.count <= _LISTED_LINES:
            self.lines.append(line)

    def check(self) -> None:
        if self.first is None:
            return
        more = ", ..." if self.count > len(self.lines) else ""
        where = (
            f" in {self.count} rows, on lines {', '.join(map(str, self.lines))}{more}"
            if self.count > 1
            else ""
        )
        raise DataError(
            self.first.message + where,
            line=self.lines[0],
            field=self.first.field,
            hint='fill them in, or pass on_error="skip" to leave such rows out and list them in `skipped`',
        )
