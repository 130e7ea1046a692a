"""JSON documents: an array of rows, or an object that holds them in one of the ways that `json_layout` knows.

Items stream: memory holds one, whatever the size of the file. An object is gone through twice, first to see what its
keys hold. Rows are numbered as items from 1, through all parts; errors say the line, too. Knows how to open a document
and where its encoding ends; what lies in it, `json_rows` reads.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from itertools import chain
from typing import IO, BinaryIO

from tunekit.data.readers.base import Notes, ReadOptions, Row
from tunekit.data.readers.encoding import Decoder, Encoding, recognised
from tunekit.data.readers.json_rows import JsonRows
from tunekit.data.readers.json_scanner import Scanner
from tunekit.data.readers.rewindable import rewindable
from tunekit.errors import DataError

CHUNK_BYTES = 256 << 10


def rows(file: BinaryIO, options: ReadOptions, notes: Notes) -> Iterator[Row]:
    """Numbered items of the document; a `DataError` for one that cannot be used where those after it still can.

    Raises:
        DataError: It is not JSON, breaks off, or holds no rows. No row after such a place can be trusted.
    """
    head = file.read(CHUNK_BYTES)
    encoding = recognised(head, options.encoding)
    notes.facts["encoding"] = encoding.name
    head = head.removeprefix(codecs.BOM_UTF8)
    # Of another encoding, `_utf8` makes good UTF-8.
    decoder = Decoder(encoding if encoding.is_utf8 else Encoding("utf-8", named=True))
    reading = JsonRows(decoder, options, notes)
    try:
        yield from _rows(head, file, encoding, reading)
    finally:
        decoder.finish(notes)


def _rows(head: bytes, file: BinaryIO, encoding: Encoding, reading: JsonRows) -> Iterator[Row]:
    begin = Scanner(_utf8(iter((head,)), encoding)).peek()
    if begin == b"[":
        yield from reading.array(Scanner(_utf8(chain((head,), _chunks(file)), encoding)))
    elif begin == b"{":
        with rewindable(file, head) as (again, start):

            def scanner(offset: int, line: int) -> Scanner:
                return _scanner(again, start, encoding, offset, line)

            yield from reading.object(scanner)
    elif begin:
        raise DataError(
            f"a JSON document of one value, which begins with {begin.decode('ascii', 'replace')!r}, holds no rows",
            line=1,
            hint='rows are the items of an array: [{"prompt": "...", "completion": "..."}, ...]',
        )
    else:
        raise DataError("the document is empty", hint="look at what wrote it; was it still writing?")


def _scanner(file: IO[bytes], start: int, encoding: Encoding, offset: int, line: int) -> Scanner:
    """At a place of the document, told in bytes of its UTF-8 form. Several may read one file in turns."""
    if encoding.is_utf8:
        return Scanner(_utf8(_chunks(file, start + offset), encoding), offset, line)
    return Scanner(_without(_utf8(_chunks(file, start), encoding), offset), offset, line)


def _chunks(file: IO[bytes], at: int | None = None) -> Iterator[bytes]:
    """From where the file stands; or from this place, wherever others have moved the file to."""
    while True:
        if at is not None:
            file.seek(at)
        data = file.read(CHUNK_BYTES)
        if not data:
            return
        at = None if at is None else at + len(data)
        yield data


def _without(chunks: Iterator[bytes], count: int) -> Iterator[bytes]:
    """All but so many bytes at the beginning."""
    for chunk in chunks:
        if count < len(chunk):
            yield chunk[count:]
        count = max(0, count - len(chunk))


def _utf8(chunks: Iterator[bytes], encoding: Encoding) -> Iterator[bytes]:
    """The same text in UTF-8. Bytes that stray from UTF-8 stay: they part no values."""
    if encoding.is_utf8:
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(encoding.codec)()
    try:
        yield decoder.decode(next(chunks, b"")).removeprefix("\ufeff").encode()
        for chunk in chunks:
            yield decoder.decode(chunk).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise DataError(
            f"not {encoding.name.upper()} from somewhere here on: {error}",
            hint="pass the file's real encoding=; if that is right, the file was cut or damaged",
        ) from None
