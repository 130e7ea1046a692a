"""Numbered lines of text out of a binary file, one at a time. Knows encodings and line ends; not what a line means."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from tunekit.errors import DataError, SpecError

MAX_LINE_BYTES = 64 << 20
"""A longer line is refused: it is a file without line ends, or an attack on memory."""

BUFFER_BYTES = 64 << 10
"""Read at once; what recognition sees of a file."""

Line = tuple[int, "str | DataError"]
"""1-based number, and the text with its line end, or why there is none."""


def check_encoding(encoding: str) -> None:
    """Raise `SpecError` unless Python knows this text encoding."""
    try:
        "\n".encode(encoding)
    except (LookupError, ValueError):
        raise SpecError(
            f"unknown encoding {encoding!r}", hint="common ones are utf-8, cp1252 and utf-16"
        ) from None


@contextmanager
def opened(path: str) -> Iterator[io.BufferedReader]:
    """The file, open for reading bytes; whatever the system has against that is a `DataError`."""
    try:
        with _open(path) as file:
            yield file
    except FileNotFoundError:
        hint = "check the path; relative paths start where Python runs"
        raise DataError("no such file", path=path, hint=hint) from None
    except IsADirectoryError:
        raise DataError("this is a directory, not a file", path=path, hint="name one file in it") from None
    except OSError as error:
        hint = "check its permissions, and the disk that it lies on"
        raise DataError(f"cannot be read: {error.strerror}", path=path, hint=hint) from error


def _open(path: str) -> io.BufferedReader:
    try:
        return io.BufferedReader(io.FileIO(path), BUFFER_BYTES)
    except ValueError as error:  # a NUL in the name
        raise DataError(f"cannot be opened: {error}", path=path, hint="check the path") from None


def lines(file: BinaryIO, encoding: str) -> Iterator[Line]:
    """Lines as the file has them. Memory holds one at a time.

    Raises:
        DataError: A line is too long, or an encoding with wide characters breaks off; with the line.
    """
    source = _narrow(file, encoding) if _is_narrow(encoding) else _wide(file, encoding)
    for number, text in source:
        if number == 1 and isinstance(text, str):
            text = text.removeprefix("\ufeff")  # a byte order mark is not part of the first cell
        if isinstance(text, str) and "\0" in text:
            hint = 'if this is UTF-16 text, pass encoding="utf-16"; else the file is binary or damaged'
            yield number, DataError("the line holds a NUL byte", hint=hint)
        else:
            yield number, text


def _is_narrow(encoding: str) -> bool:
    """Whether a newline is the byte 10 in it, and never a part of another character."""
    return "\n".encode(encoding).removeprefix(codecs.BOM_UTF8) == b"\n"


def _narrow(file: BinaryIO, encoding: str) -> Iterator[Line]:
    number = 0
    while raw := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        _refuse_long(len(raw), number)
        try:
            yield number, raw.decode(encoding)
        except UnicodeDecodeError as error:
            yield number, _undecodable(error, raw, encoding)


def _wide(file: BinaryIO, encoding: str) -> Iterator[Line]:
    decoder = codecs.getincrementaldecoder(encoding)()
    number, rest, ended = 1, "", False
    while not ended:
        chunk = file.read(
            max(BUFFER_BYTES, len(rest))
        )  # grows with the line, or long lines cost their square
        ended = not chunk
        try:
            *whole, rest = (rest + decoder.decode(chunk, final=ended)).split("\n")
        except UnicodeError as error:
            raise DataError(
                f"from here on this is not {encoding.upper()}: {error}",
                line=number,
                hint="pass the file's real encoding=; if that is right, the file was cut or damaged",
            ) from None
        for text in whole:
            yield number, text + "\n"
            number += 1
        _refuse_long(len(rest), number)
    if rest:
        yield number, rest


def _refuse_long(size: int, number: int) -> None:
    if size > MAX_LINE_BYTES:
        raise DataError(
            f"the line is longer than {MAX_LINE_BYTES >> 20} MB",
            line=number,
            hint="rows are lines: check that the file has line ends",
        )


def _undecodable(error: UnicodeDecodeError, raw: bytes, encoding: str) -> DataError:
    return DataError(
        f"byte 0x{raw[error.start]:02x} at position {error.start + 1} of the line is not {encoding.upper()}",
        hint='pass encoding=, for example "cp1252" for a file from Excel or Windows',
    )
