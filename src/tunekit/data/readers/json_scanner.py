"""A JSON document as bytes, gone through from the front in memory that does not grow with it.

Finds where values end; what is between is decoded by others. Knows brackets, quotes and lines; not what values mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import NoReturn

import msgspec

from tunekit.data.readers import json_value
from tunekit.errors import DataError

MAX_ITEM_BYTES = 32 << 20
"""A longer item is refused: it is no row, or an attack on memory, which holds it twice for a moment."""

MAX_DEPTH = 10_000
"""Deeper nesting ends the reading. What is deeper than `json_value` takes spoils its item only."""

# What lies between two brackets: anything outside of quotes, and whole texts. Possessive, so linear on any input.
_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_FLAT = re.compile(rb'[^"{}\[\]]*+(?:' + _TEXT + rb'[^"{}\[\]]*+)*+', re.DOTALL)
_WHOLE_TEXT = re.compile(_TEXT, re.DOTALL)
_PLAIN = re.compile(rb"[^\s,:\"{}\[\]]*+")
_SPACE = re.compile(rb"[ \t\r\n]*+")
_OPENING, _QUOTE = b"{[", ord('"')

_unread = msgspec.json.Decoder(msgspec.Raw).decode
_TRAILING = re.compile(r"trailing characters \(byte (\d+)\)")


class Scanner:
    """Where one is in a document.

    Args:
        chunks: The document, from the place that this begins at.
        offset: Of that place in the document, in bytes.
        line: Of that place, from 1.
    """

    def __init__(self, chunks: Iterator[bytes], offset: int = 0, line: int = 1) -> None:
        self._chunks = chunks
        self._data = b""
        self._at = 0
        self._offset = offset
        self._line = line

    @property
    def offset(self) -> int:
        """Bytes before the current place."""
        return self._offset + self._at

    @property
    def line(self) -> int:
        """Line of the current place, from 1."""
        return self._line + self._data.count(b"\n", 0, self._at)

    def peek(self) -> bytes:
        """The next byte that is no space; b"" at the end."""
        while True:
            found = self._data[self._at : self._at + 1]
            if found > b" ":
                return found
            self._at = _SPACE.match(self._data, self._at).end()  # type: ignore[union-attr]  # matches always
            if self._at < len(self._data):
                return self._data[self._at : self._at + 1]
            if not self._more():
                return b""

    def take(self, wanted: bytes) -> bytes:
        """The next byte that is no space, which must be one of these."""
        found = self.peek()
        if not found or found not in wanted:
            self.refuse(found, wanted)
        self._at += 1
        return found

    def value(self) -> bytes:
        """The next value. It is whole; it may still not be JSON."""
        self.peek()
        end = self._end()
        found = self._data[self._at : end]
        self._at = end
        return found

    def skip(self) -> None:
        """Pass the next value by, of whatever size."""
        self.peek()
        self._at = self._end(keep=False)

    def each_item(self) -> Iterator[None]:
        """Stand before each item of the array that comes next; the caller takes or skips it."""
        return self._each(b"[", b"]")

    def each_key(self) -> Iterator[str]:
        """The keys of the object that comes next; after each the caller takes or skips the value."""
        for _ in self._each(b"{", b"}"):
            if self.peek() != b'"':
                self.refuse(self.peek(), b'"')
            line = self.line
            try:
                key = json_value.value(self.value())
            except DataError as error:
                error.line = line
                raise
            self.take(b":")
            yield key

    def _each(self, opening: bytes, closing: bytes) -> Iterator[None]:
        self.take(opening)
        if self.peek() == closing:
            self._at += 1
            return
        while True:
            yield
            if self.take(b"," + closing) == closing:
                return

    def refuse(self, found: bytes, wanted: bytes) -> NoReturn:
        """Raise the error of another byte than is allowed here."""
        if not found:
            raise DataError(
                "the JSON breaks off",
                line=self.line,
                hint="the file was cut, or is still being written; get it whole",
            )
        expected = " or ".join(repr(chr(byte)) for byte in wanted) if wanted != b"value" else "another value"
        raise DataError(
            f"not valid JSON: expected {expected}, found {chr(found[0])!r}",
            line=self.line,
            hint="look at this line and the one before it with a JSON validator",
        )

    # --- where a value ends -------------------------------------------------------------------------------

    def _end(self, *, keep: bool = True) -> int:
        if self._at >= len(self._data):
            self.refuse(b"", b"value")
        if end := _end_of_first(memoryview(self._data)[self._at :]):
            return self._at + end
        first = self._data[self._at]
        if first in _OPENING:
            return self._end_of_brackets(keep)
        pattern = _WHOLE_TEXT if first == _QUOTE else _PLAIN
        found = pattern.match(self._data, self._at)
        while (not found or found.end() == len(self._data)) and self._more():
            found = pattern.match(self._data, self._at)
        # Matched again: a place in what was read before says nothing about what is held now.
        found = pattern.match(self._data, self._at)
        if not found or found.end() == self._at:
            self.refuse(self._data[self._at : self._at + 1] if found else b"", b"value")
        return found.end()

    def _end_of_brackets(self, keep: bool) -> int:
        depth, ahead = 0, 0
        while True:
            ahead = _FLAT.match(self._data, self._at + ahead).end() - self._at  # type: ignore[union-attr]
            at = self._at + ahead
            if at == len(self._data) or self._data[at] == _QUOTE:
                if not keep:
                    self._at, ahead = at, 0
                if not self._more():
                    self._refuse_open()
                continue
            depth += 1 if self._data[at] in _OPENING else -1
            ahead += 1
            if not depth:
                return at + 1
            if depth > MAX_DEPTH:
                raise DataError(
                    f"JSON nested deeper than {MAX_DEPTH:,} levels",
                    line=self.line,
                    hint="look for brackets that are never closed",
                )

    def _refuse_open(self) -> NoReturn:
        """Raise the error of a value without an end: often a quote too many in the middle, seldom a file cut off."""
        line = self.line
        try:
            json_value.value(self._data[self._at :])
        except DataError as error:
            broken = error.__context__
            if isinstance(broken, json.JSONDecodeError) and broken.pos < len(broken.doc) - 1:
                error.line = line + broken.lineno - 1
                raise
        self._at = len(self._data)
        self.refuse(b"", b"value")

    def _more(self) -> bool:
        """Read on; what lies before the current place is let go."""
        kept = self._data[self._at :]
        if len(kept) > MAX_ITEM_BYTES:
            raise DataError(
                f"a value is longer than {MAX_ITEM_BYTES >> 20} MB",
                line=self.line,
                hint="rows are the items of the outermost array; look at how deep they lie in this document",
            )
        # As much again as is kept: else a long value would be looked at once for each chunk.
        wanted = min(len(kept), MAX_ITEM_BYTES + 1 - len(kept))
        pieces, size = [kept], 0
        try:
            for chunk in self._chunks:
                pieces.append(chunk)
                size += len(chunk)
                if size >= wanted:
                    break
        except DataError as error:
            error.line = self.line
            raise
        self._line += self._data.count(b"\n", 0, self._at)
        self._offset += self._at
        self._data, self._at = b"".join(pieces), 0
        return size > 0


def _end_of_first(data: memoryview) -> int:
    """Where the first of several values ends, with the space after it; 0 where msgspec does not say.

    msgspec complains about what follows a value and says where: four times as fast as looking for brackets.
    """
    try:
        _unread(data)
    except (msgspec.DecodeError, RecursionError) as error:
        found = _TRAILING.search(str(error))
        return max(0, int(found[1]) - _shift()) if found else 0
    return 0  # all of it is one value, unless more is to come


@cache
def _shift() -> int:
    """How far beyond the end of the first value the place is that msgspec reports."""
    try:
        _unread(b"[],")
    except msgspec.DecodeError as error:
        if found := _TRAILING.search(str(error)):
            return int(found[1]) - len("[]")
    return 1 << 63  # it has come to say it in another way: no place then, and brackets are looked for
