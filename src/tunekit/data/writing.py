"""Examples to files: which shape, which format, which bytes around them. Knows no reader and no backend."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import chain
from pathlib import Path, PurePath
from typing import IO, Any, BinaryIO, cast

from tunekit._canonical import fingerprint_rows
from tunekit._files import atomic_writer
from tunekit.data import arguments
from tunekit.data.profiles import Profile
from tunekit.data.shapes import catalogue
from tunekit.data.wording import brief, listed
from tunekit.data.writers import json_lines, table
from tunekit.data.writers.report import WriteReport
from tunekit.errors import DataError, MissingExtraError, SpecError
from tunekit.examples import Example, to_dict

OWN = "tunekit"
"""Name of tunekit's own record shape, which keeps everything."""

_TABLES = {"csv": ",", "tsv": "\t"}
_FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv"}


def write(
    path: str | os.PathLike[str],
    examples: Iterable[Example],
    *,
    shape: str | None = None,
    profile: Profile | None = None,
) -> WriteReport:
    """Publish the file whole. See `Dataset.write`."""
    file = Path(arguments.path("path", path))
    format, packed = _format(file)
    named = catalogue.shape(shape).name if shape is not None else None if profile else OWN
    tally = _Tally(named, profile, format)
    mark = codecs.BOM_UTF8 if profile and profile.byte_order_mark else b""
    counted = _publish(file, packed, chain([mark], _lines(tally.records(examples), format, tally.guarded)))
    return WriteReport(
        path=file,
        format=format,
        shape=tally.shape,
        rows=tally.rows,
        size_bytes=counted.size,
        sha256=counted.digest.hexdigest(),
        left_out=dict(sorted(tally.left_out.items())),
        guarded=dict(sorted(tally.guarded.items())),
        # Nothing in ["see you", "ham"] says which of the two is the label; every other shape has names.
        load_with={"shape": "pairs"} if tally.shape == "pairs" else {},
    )


def write_jsonl(path: str | os.PathLike[str], examples: Iterable[Example]) -> None:
    """Publish the file whole, whatever it is called. See `Dataset.write_jsonl`."""
    file = Path(arguments.path("path", path))
    _publish(file, _PACKERS.get(file.suffix.lower(), nullcontext), map(encoded, examples))


def _publish(path: Path, packed: _Packer, chunks: Iterable[bytes]) -> _Counted:
    # The user's own file: permissions as the umask says, unlike what tunekit keeps for itself.
    with atomic_writer(path, mode=0o666, hint="give a path that can be written") as file:
        counted = _Counted(file)
        with packed(counted) as out:
            for chunk in chunks:
                out.write(chunk)
    return counted


def check_name(path: Path) -> None:
    """Raise `SpecError` where no format is written under this name."""
    _format(path)


def fingerprint(examples: Iterable[Example]) -> str:
    """SHA-256 of the examples in order. See `Dataset.fingerprint`."""
    seen: list[Example] = []

    def content() -> Iterator[dict[str, Any]]:
        for example in examples:
            seen[:] = [example]
            yield to_dict(example, with_row=False)

    try:
        return fingerprint_rows(content())
    except (TypeError, ValueError, RecursionError):
        for example in seen:
            encoded(example, with_row=False)  # which says what is wrong, and where
        raise


def encoded(example: Example, *, with_row: bool = True) -> bytes:
    """One line of tunekit's own shape, its newline included.

    Raises:
        DataError: The row holds what JSON or UTF-8 cannot.
    """
    return json_lines.line(to_dict(example, with_row=with_row), example.id)


class _Tally:
    """Turns examples into records, and counts what is written and what is left out."""

    def __init__(self, shape: str | None, profile: Profile | None, format: str) -> None:
        self._named, self._profile, self._format = shape, profile, format
        self._writers: dict[str, Callable[[Example], Mapping[str, Any]]] = {}
        self.shape = ""
        self.rows = 0
        self.left_out: Counter[str] = Counter()
        self.guarded: Counter[str] = Counter()

    def records(self, examples: Iterable[Example]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for example in examples:
            self.rows += 1
            writer = self._writers.get(example.kind) or self._writer(example.kind)
            # A service takes no column that its contract does not name.
            if self._profile is not None and example.meta:
                self.left_out.update(map(str, self._profile.left_out(example)))
                example = self._profile.without_left_out(example)
            yield example.id, _written(writer, example)

    def _writer(self, kind: str) -> Callable[[Example], Mapping[str, Any]]:
        name = self._named or (self._profile.shape_of(kind) if self._profile else OWN)
        self.shape = self.shape or name
        if name == OWN and self._format in _TABLES:
            writer: Callable[[Example], Mapping[str, Any]] = _cells
        else:
            writer = catalogue.shape(name).write
        self._writers[kind] = writer
        return writer


def _written(writer: Callable[[Example], Mapping[str, Any]], example: Example) -> Mapping[str, Any]:
    try:
        return writer(example)
    except DataError as error:
        said = f"row {example.id!r}: {error.message}"
        raise DataError(said, field=error.field, hint=error.hint) from None


def _cells(example: Example) -> Mapping[str, Any]:
    """Row id, the content by its own names, then the meta columns: what a person wants to see in a spreadsheet."""
    body = to_dict(example)
    del body["kind"]
    meta = {str(name): value for name, value in body.pop("meta", {}).items()}
    # An id of the user's own says more than the row's; any other column would take the place of the content.
    for name in sorted(body.keys() & meta.keys() - {"id"}):
        raise DataError(
            f"the meta column {brief(name)} is called like what stands in the row",
            field=f"meta.{name}",
            hint="write JSON lines, which keep meta apart, or rename the column",
        )
    return {**body, **meta}


def _lines(
    records: Iterator[tuple[str, Mapping[str, Any]]], format: str, guarded: Counter[str]
) -> Iterator[bytes]:
    if format == "jsonl":
        return json_lines.encoded(records)
    first = next(records, None)
    if first is None:
        raise DataError("there are no rows, so a table would have no columns", hint="write JSON lines")
    if not isinstance(first[1], Mapping):
        raise SpecError(
            "this shape writes lists, which have no columns", hint="write JSON lines, or another shape"
        )
    return table.encoded(chain([first], records), tuple(first[1]), _TABLES[format], guarded)


# --- the file itself ----------------------------------------------------------------------------------


_Packer = Callable[["_Counted"], AbstractContextManager[Any]]


def _format(path: Path) -> tuple[str, _Packer]:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed: _Packer = nullcontext
    if suffixes and suffixes[-1] in _PACKERS:
        packed = _PACKERS[suffixes.pop()]
    found = _FORMATS.get(suffixes[-1] if suffixes else "")
    if found is None:
        raise SpecError(
            f"no format is written under the name {PurePath(path).name!r}",
            hint=f"end it in {listed(_FORMATS)}, with .gz or .zst after it to compress",
        )
    return found, packed


class _Counted(io.RawIOBase):
    """Bytes on their way to the file: how many, and their digest."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = 0
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._file.write(data)
        self.digest.update(data)
        self.size += len(data)
        return len(data)


@contextmanager
def _gzip(out: _Counted) -> Iterator[Any]:
    # No name and no time in the header: equal rows give equal bytes.
    with gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0) as file:
        yield file


@contextmanager
def _zstd(out: _Counted) -> Iterator[Any]:
    try:
        import zstandard
    except ImportError:
        raise MissingExtraError("zstandard", extra="zstd") from None
    with zstandard.ZstdCompressor(level=10).stream_writer(cast("IO[bytes]", out), closefd=False) as file:
        yield file


_PACKERS: Mapping[str, _Packer] = {".gz": _gzip, ".zst": _zstd}
