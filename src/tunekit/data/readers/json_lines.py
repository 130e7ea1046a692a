"""JSON lines: one decoded value for each line. Knows how lines are read; not what the values mean."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO

from tunekit.data.readers.base import Made, Notes, ReadOptions, Row
from tunekit.data.readers.encoding import Decoder
from tunekit.data.readers.json_value import value
from tunekit.data.readers.text_file import TextFile
from tunekit.errors import DataError

_INDENTED = (
    "these look like indented objects; JSON lines hold one whole object on each line,"
    " as `jq -c . FILE` writes them, and a JSON document one array of all"
)
_LONE_BRACKET_CHARS = 80


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
    number = 1  # of the next line
    try:
        for block in text.newline_blocks():
            fast = notes.decode and isinstance(block, bytes) and notes.decode(block, number)
            if fast:
                decoder.multibyte += not block.isascii()
                yield number, Made(fast)
                number += len(fast)
            else:
                lines = _lines(block)
                yield from _careful(lines, number, decoder, notes)
                number += len(lines) - 1
    except DataError as error:
        error.line = error.line or number
        raise
    finally:
        decoder.finish(notes)


def _lines(block: bytes | str) -> Sequence[bytes | str]:
    """The lines, and after the last newline nothing."""
    newline, nothing = ("\n", "") if isinstance(block, str) else (b"\n", b"")
    if block.find(newline) == len(block) - 1:  # type: ignore[arg-type]  # of the block's type
        return block, nothing  # not a copy of it: one line alone may be large
    return block.split(newline)  # type: ignore[arg-type]


def _careful(lines: Iterable[bytes | str], first: int, decoder: Decoder, notes: Notes) -> Iterator[Row]:
    is_utf8 = decoder.encoding.is_utf8  # which the JSON decoder reads itself
    for number, line in enumerate(lines, first):
        if not line or line.isspace():
            continue
        if not is_utf8:
            line = decoder.block(line, number)
        try:
            found = value(line)
            decoder.multibyte += not line.isascii()
        except DataError as error:
            found = _second_look(line, number, error, decoder, notes)
        if decoder.marks:
            found = decoder.settle(number)[1] or found
        yield number, found


def _second_look(line: bytes | str, number: int, error: DataError, decoder: Decoder, notes: Notes) -> Any:
    """The value of a line that is good but for its encoding; otherwise the error that it is."""
    if isinstance(line, bytes) and (b"\0" in line or not line.isascii()):
        text = decoder.line(line, number)
        odd, problem = decoder.settle(number)
        if problem:
            return problem
        if odd:
            decoder.note(notes.row(number), "", text)
            return _value_or_error(text)
    if line[:3] == codecs.BOM_UTF8 or line[:1] == "\ufeff":
        error.hint = (
            "a byte order mark stands before this line, as where files were put end to end; take it out"
        )
    if len(line) < _LONE_BRACKET_CHARS and line.strip() in (b"{", b"[", "{", "["):
        error.hint = _INDENTED
    return error


def _value_or_error(text: str) -> Any:
    try:
        return value(text)
    except DataError as error:
        return error
