"""A file: opened, unpacked, recognised, and given to the reader of its format. Knows no format itself."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any

from tunekit.data import arguments, recognise
from tunekit.data.patterns.veil import veiled
from tunekit.data.readers import catalogue, compressed, files
from tunekit.data.readers.base import Notes, ReadOptions, Row
from tunekit.data.readers.encoding import check as check_encoding
from tunekit.data.recognise import Format
from tunekit.data.shapes import Columns
from tunekit.data.sources import folder
from tunekit.data.sources.base import Source
from tunekit.data.sources.saved import SavedDataset, is_saved
from tunekit.data.wording import brief, listed
from tunekit.errors import SpecError


class FileSource(Source):
    """Rows of a file, from its beginning each time.

    Args:
        path: The file.
        format: What the caller says it is, or None.
        options: What the caller says about what is in it.
    """

    def __init__(self, path: str, format: Format | None, options: ReadOptions) -> None:
        self.place = path
        self.name = veiled(PurePath(path).name)  # row ids begin with it, and are in every report
        self._format = format
        self._options = options

    @classmethod
    def of(
        cls,
        path: str | os.PathLike[str],
        *,
        format: Format | None,
        columns: Columns | None,
        **options: Any,
    ) -> Source:
        """From the arguments of `Dataset.load`.

        Raises:
            SpecError: One of them is wrong.
        """
        if format is not None and format not in [*catalogue.FORMATS]:  # a list also takes what has no hash
            raise SpecError(
                f"unknown format {brief(format)}", hint=f"formats are {listed(catalogue.FORMATS)}"
            )
        _check(**options)
        asked = ReadOptions(**options, wanted=columns.names if columns else ())
        place = arguments.path("path", path)
        return SavedDataset(place, asked) if is_saved(place) else cls(place, format, asked)

    @contextmanager
    def opened(self, notes: Notes) -> Iterator[Iterator[Row]]:
        """The rows, from the first."""
        notes.name = self.name
        if os.path.isdir(self.place):
            raise folder.refused(self.place)
        with files.opened(self.place) as packed:
            file = compressed.opened(packed, notes)
            format = recognise.recognise(_head(file), PurePath(self.place).name, self._options, self._format)
            notes.facts["format"] = format
            yield catalogue.reader(format)(file, self._options, notes)


def _head(file: io.BufferedReader) -> bytes:
    return file.peek(1)  # all that the buffer holds: 256 KB of a file, whatever is there of a pipe


def _check(
    *, encoding: Any, delimiter: Any, quoting: Any, header: Any, sheet: Any, part: Any, unit: Any
) -> None:
    if encoding is not None:
        check_encoding(arguments.text("encoding", encoding, such_as="utf-8"))
    if delimiter is not None and not (
        isinstance(delimiter, str) and len(delimiter) == 1 and delimiter not in '\r\n"'
    ):
        raise SpecError(f"delimiter is {brief(delimiter)}", hint="use one character, such as ';'")
    if not (quoting is None or isinstance(quoting, bool) or quoting == "backslash"):
        raise SpecError(f"quoting is {brief(quoting)}", hint='use True, False or "backslash"')
    if header is not None and not isinstance(header, bool):
        _check_header(header)
    if sheet is not None and not (isinstance(sheet, str) and sheet):
        arguments.whole("sheet", sheet, least=1)
    arguments.optional_text("part", part, such_as="train")
    if unit is not None:
        arguments.one_of("unit", unit, ("line", "paragraph", "document"))


def _check_header(header: Any) -> None:
    if isinstance(header, int) and header < 1:
        raise SpecError(
            f"header is {header!r}", hint="rows are counted from 1; use False where there is none"
        )
    names = header if isinstance(header, Sequence) and not isinstance(header, (str, bytes)) else ()
    if not isinstance(header, int) and not (names and all(isinstance(name, str) for name in names)):
        raise SpecError(f"header is {brief(header)}", hint="pass a list of names, such as ['text', 'label']")
