"""Parquet and Arrow files (IPC files and streams) through pyarrow, batch by batch. Knows their types; no record shape.

Values come out as plain JSON: moments in ISO form, decimals as text, maps as objects. Class labels that the file names,
as those written by `datasets` do, come out as their names. Memory holds one batch: of Parquet some megabytes, of Arrow
as much as its writer put into one, which is a thousand rows where `datasets` wrote it.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from tunekit.data.findings import Finding, Severity
from tunekit.data.readers import json_value
from tunekit.data.readers.base import Notes, ReadOptions, Row
from tunekit.data.readers.column_names import ColumnNames
from tunekit.data.readers.plain import plain
from tunekit.data.readers.rewindable import rewindable
from tunekit.data.wording import brief, listed
from tunekit.errors import DataError, MissingExtraError, TunekitError

if TYPE_CHECKING:
    import pyarrow

BATCH_BYTES = 8 << 20
"""Of values decoded at once, as the file declares their size."""

MAX_BATCH_ROWS = 32
"""Decoded at once, however small they are declared: one value that is named for all of them is copied so often."""

MAX_EXPANSION, FREE_BYTES = 1000, 16 << 20
"""Bytes of values out of one byte of file, beyond the free ones. As for packed files: honest ones stay below 213."""

MAX_ROWS_PER_BYTE = 1000
"""A file that declares more is damaged or an attack: it would give rows without end. A column with one value for all
rows takes next to nothing, but no data set is only that."""

_INDEX = "__index_level_"  # what pandas calls the columns that it makes of an index
_SHOWN = 5
_THRIFT_BYTES = 64 << 20  # of one text, and items of one list, in the metadata
_BUILT = "it is damaged, or built to exhaust memory; write it again"
_HINT = "write it again, or as JSON lines, with the program that made it"


def rows(file: BinaryIO, options: ReadOptions, notes: Notes) -> Iterator[Row]:
    """Rows as plain records, numbered from 1; a `DataError` for one that JSON cannot hold.

    Raises:
        DataError: It is no such file, is damaged, or a wanted column is not there.
        MissingExtraError: pyarrow is not installed.
    """
    with rewindable(file) as (content, start), _arrow_errors():
        content.seek(start)
        magic = content.read(6)
        content.seek(start)
        schema, batches = _parquet(content) if magic.startswith(b"PAR1") else _arrow(content, magic)
        reading = _Reading(schema, notes)
        ColumnNames(tuple(schema.names)).check(options.wanted)
        number = 0
        for batch in _bounded(batches, content):
            yield from enumerate(reading.records(batch), start=number + 1)
            number += batch.num_rows


@contextmanager
def _arrow_errors() -> Iterator[None]:
    """Whatever pyarrow has against a file, as a `DataError`. Its errors are of many classes, and some say a lot."""
    try:
        yield
    except TunekitError:
        raise
    except ImportError as error:
        raise MissingExtraError(error.name or "pyarrow", extra="parquet") from None
    except (ArithmeticError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError) as error:
        said = " ".join(str(error).split())
        raise DataError(
            f"the file is damaged, or of a kind that is not read: {brief(said, quote=False)}", hint=_HINT
        ) from None


# --- files --------------------------------------------------------------------------------------------


def _parquet(content: IO[bytes]) -> tuple[pyarrow.Schema, Iterator[pyarrow.RecordBatch]]:
    from pyarrow import parquet

    file = parquet.ParquetFile(
        content,
        pre_buffer=False,
        buffer_size=1 << 20,  # columns stream, instead of being read whole
        thrift_string_size_limit=_THRIFT_BYTES,
        thrift_container_size_limit=_THRIFT_BYTES,
    )
    metadata = file.metadata
    _check_rows(metadata.num_rows, len(file.schema_arrow.names), content)
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    declared = sum(group.total_byte_size for group in groups)
    _check_expansion(declared, content)
    per_row = max(1, declared // max(1, metadata.num_rows))
    rows_at_once = max(1, min(MAX_BATCH_ROWS, BATCH_BYTES // per_row))
    return file.schema_arrow, file.iter_batches(batch_size=rows_at_once, use_threads=False)


def _arrow(content: IO[bytes], magic: bytes) -> tuple[pyarrow.Schema, Iterator[pyarrow.RecordBatch]]:
    import pyarrow

    if magic == b"ARROW1":
        file = pyarrow.ipc.open_file(content)
        return file.schema, _valid(
            (file.get_batch(index) for index in range(file.num_record_batches)), content
        )
    stream = pyarrow.ipc.open_stream(content)
    return stream.schema, _valid(iter(stream), content)


def _valid(batches: Iterator[pyarrow.RecordBatch], content: IO[bytes]) -> Iterator[pyarrow.RecordBatch]:
    rows = 0
    for batch in batches:
        rows += batch.num_rows
        _check_rows(rows, batch.num_columns, content)
        # Offsets in a file may point anywhere; Arrow trusts them unless it is asked to look.
        batch.validate(full=True)
        yield batch


def _bounded(batches: Iterator[pyarrow.RecordBatch], content: IO[bytes]) -> Iterator[pyarrow.RecordBatch]:
    """Batches of a few rows, values that are named by number in their place."""
    values = 0
    for batch in batches:
        for start in range(0, batch.num_rows, MAX_BATCH_ROWS):
            part = _decoded(batch.slice(start, MAX_BATCH_ROWS))
            values += part.nbytes
            _check_expansion(values, content)
            yield part


def _decoded(batch: pyarrow.RecordBatch) -> pyarrow.RecordBatch:
    from pyarrow import types

    for index, column in enumerate(batch.columns):
        if types.is_dictionary(column.type):
            batch = batch.set_column(index, batch.schema.names[index], column.dictionary_decode())
    return batch


def _check_rows(rows: int, columns: int, content: IO[bytes]) -> None:
    size = _size(content)
    if not columns or rows > MAX_ROWS_PER_BYTE * size:
        raise DataError(
            f"the file declares {rows:,} rows of {columns:,} columns in {size:,} bytes", hint=_BUILT
        )


def _check_expansion(values: int, content: IO[bytes]) -> None:
    size = _size(content)
    if values > FREE_BYTES + MAX_EXPANSION * size:
        raise DataError(f"the file of {size:,} bytes gives values of {values:,} bytes", hint=_BUILT)


def _size(content: IO[bytes]) -> int:
    place = content.tell()
    size = content.seek(0, io.SEEK_END)
    content.seek(place)
    return size


# --- rows ---------------------------------------------------------------------------------------------


class _Reading:
    """Turns batches into records."""

    def __init__(self, schema: pyarrow.Schema, notes: Notes) -> None:
        twice = {name for name in schema.names if schema.names.count(name) > 1}
        if twice:
            raise DataError(
                f"several columns are called {listed(sorted(twice))}", hint="rename all but one of them"
            )
        self._notes = notes
        self._labels = _label_names(schema)
        self._index = {name for name in schema.names if name.startswith(_INDEX)}
        self._plain = {field.name for field in schema if _is_plain(field.type)} - self._labels.keys()
        self._is_text: dict[str, bool] = {}
        notes.facts["columns"] = [name for name in schema.names if name not in self._index]
        for column, labels in self._labels.items():
            told = ", ".join(f"{number} {brief(name)}" for number, name in enumerate(labels[:_SHOWN]))
            more = ", ..." if len(labels) > _SHOWN else ""
            message = f"numbers in {brief(column)} are now the names that the file gives them: {told}{more}"
            self._say("label-names", "info", message, column=column, names=labels)
        for column in sorted(self._index):
            self._say("index-left-out", "info", "the index of the pandas frame was not read", column=column)

    def records(self, batch: pyarrow.RecordBatch) -> Iterator[dict[str, Any] | DataError]:
        """The rows of a batch."""
        try:
            found = batch.to_pylist(maps_as_pydicts="strict")
        except (ArithmeticError, LookupError, TypeError, ValueError):
            # A moment in the year 20,000, a text that is no UTF-8: that row, and no other, cannot be used.
            found = [_row(batch, index) for index in range(batch.num_rows)]
        as_it_is = self._plain.issuperset(batch.schema.names) and not self._index
        for row in found:
            yield row if as_it_is or isinstance(row, DataError) else self._record(row)

    def _record(self, row: dict[str, Any]) -> dict[str, Any] | DataError:
        record = {}
        for name, value in row.items():
            if name in self._index:
                continue
            if name in self._plain:
                record[name] = value
            elif name in self._labels:
                record[name] = _named(self._labels[name], value)
            else:
                try:
                    record[name] = plain(self._without_bytes(name, value))
                except UnicodeDecodeError as error:
                    return DataError(f"not a text: {error.reason}", field=name, hint=_HINT)
        return record

    def _without_bytes(self, column: str, value: Any) -> Any:
        if isinstance(value, bytes):
            return self._text(column, value)
        if isinstance(value, dict):
            return {key: self._without_bytes(column, each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._without_bytes(column, each) for each in value]
        return value

    def _text(self, column: str, value: bytes) -> str:
        """Bytes as JSON can hold them. Old writers keep texts as bytes; the first value shows whether these are."""
        if column not in self._is_text:
            self._is_text[column] = _is_text(value)
            if not self._is_text[column]:
                message = f"the column {brief(column)} holds bytes that are no text; they are in base 64 now"
                self._say("binary-column", "warning", message, column=column)
        return value.decode() if self._is_text[column] else base64.b64encode(value).decode()

    def _say(self, code: str, severity: Severity, message: str, **facts: Any) -> None:
        self._notes.findings.append(Finding(code=code, severity=severity, message=message, facts=facts))


def _is_plain(kind: pyarrow.DataType) -> bool:
    """Whether values of this type come out of Arrow as JSON holds them: texts, whole numbers, lists of these."""
    from pyarrow import types

    if types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    if kind.num_fields:
        return all(_is_plain(kind.field(index).type) for index in range(kind.num_fields))
    checks = (types.is_string, types.is_large_string, types.is_integer, types.is_boolean, types.is_null)
    return any(check(kind) for check in checks)


def _row(batch: pyarrow.RecordBatch, index: int) -> dict[str, Any] | DataError:
    row = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            row[name] = column[index].as_py(maps_as_pydicts="strict")
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            return DataError(
                f"a value that cannot be read: {brief(str(error), quote=False)}", field=name, hint=_HINT
            )
    return row


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


# --- names of class labels ----------------------------------------------------------------------------


def _label_names(schema: pyarrow.Schema) -> dict[str, list[str]]:
    """For each column of class labels, their names, as `datasets` writes them into the metadata of its files."""
    try:
        said = json_value.value((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = said["info"]["features"].items()
    except (DataError, LookupError, TypeError, AttributeError):
        return {}
    found = {column: _names_of(feature) for column, feature in features}
    return {column: names for column, names in found.items() if names and column in schema.names}


def _names_of(feature: Any) -> list[str]:
    if isinstance(feature, dict) and isinstance(feature.get("feature"), dict):
        feature = feature["feature"]  # a list of labels
    if not isinstance(feature, dict) or feature.get("_type") != "ClassLabel":
        return []
    names = feature.get("names")
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []


def _named(names: Sequence[str], value: Any) -> Any:
    """Names for numbers; a number without one stays, and -1, which stands for no label, is None."""
    if isinstance(value, list):
        return [_named(names, each) for each in value]
    if type(value) is int and -1 <= value < len(names):
        return None if value < 0 else names[value]
    return plain(value)
