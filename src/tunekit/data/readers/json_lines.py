"""JSON lines: one decoded value for each line. Knows how lines are read; not what the values mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

from tunekit.data.readers.base import Notes, ReadOptions, Row
from tunekit.data.readers.encoding import Decoder
from tunekit.data.readers.json_value import value
from tunekit.data.readers.text_file import TextFile
from tunekit.errors import DataError

_INDENTED = "this looks like one indented JSON document; JSON lines hold one whole object on each line"


def rows(file: BinaryIO, options: ReadOptions, notes: Notes) -> Iterator[Row]:
    """Line number and decoded value, or the `DataError` that a line is. Blank lines hold no row and are passed by.

    Only a newline ends a line. A key that occurs twice in one object is an error, as is all else that `json_value`
    refuses because data would be lost.

    Raises:
        DataError: A line is too long, or the file breaks off.
    """
    text = TextFile(file, options.encoding)
    decoder = text.decoder
    notes.facts["encoding"] = decoder.encoding.name
    try:
        for number, line in enumerate(_lines(text), start=1):
            if notes.decode is not None and type(line) is bytes and (found := notes.decode(line)) is not None:
                decoder.multibyte += not line.isascii()
                yield number, found
                continue
            try:
                found = value(line)
                decoder.multibyte += not line.isascii()
            except DataError as error:
                if not line.strip():
                    continue
                found = _second_look(line, number, error, decoder, notes)
            if decoder.marks:
                found = decoder.settle(number)[1] or found
            yield number, found
    finally:
        decoder.finish(notes)


def _lines(text: TextFile) -> Iterator[bytes | str]:
    """Lines as bytes where those are UTF-8, which the JSON decoder reads itself; else as text."""
    if text.decoder.encoding.is_utf8:
        return text.newline_lines()
    return (text.decoder.block(line, number) for number, line in enumerate(text.newline_lines(), start=1))


def _second_look(line: bytes | str, number: int, error: DataError, decoder: Decoder, notes: Notes) -> Any:
    """The value of a line that is good but for its encoding; otherwise the error that it is."""
    text = decoder.line(line, number) if isinstance(line, bytes) else line
    odd, problem = decoder.settle(number)
    if odd and not problem:
        decoder.note(notes.row(number), "", text)
        try:
            return value(text)
        except DataError as other:
            return other
    if text.strip() in ("{", "["):
        error.hint = _INDENTED
    return problem or error
