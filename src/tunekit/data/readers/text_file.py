"""The text of a binary file, in blocks of whole lines. Knows line ends; not what a line means.

Blocks and not lines, because decoding and splitting a quarter of a megabyte at once costs a fraction of doing it line
by line. Memory holds one block, or one line where that is longer.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import AnyStr, BinaryIO

from tunekit.data.readers.encoding import Decoder, recognised
from tunekit.errors import DataError

MAX_LINE_BYTES = 32 << 20
"""A longer line is refused: it is a file without line ends, or an attack on memory."""

MAX_BLANK_BYTES = 1 << 20
"""More blank lines than this in a row are refused: packed, they can be a thousand times as many."""

BLOCK_BYTES = 256 << 10
_MARK = "\ufeff"  # a byte order mark is not a part of the first cell
_LONE_RETURN = re.compile(r"\r([^\n]|\Z)")


class TextFile:
    """A file that is being read as text, once, from where it stands to its end.

    Args:
        file: Open for reading bytes.
        encoding: What the caller says it is.
        max_line_bytes: A longer line is refused.

    Attributes:
        decoder: Tells which lines were odd.
    """

    def __init__(self, file: BinaryIO, encoding: str | None, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        try:
            head = file.read(BLOCK_BYTES)
        except DataError as error:  # of a packed file
            error.line = 1
            raise
        self._chunks = chain([head], iter(lambda: file.read(BLOCK_BYTES), b""))
        self._max = max_line_bytes
        self.decoder = Decoder(recognised(head, encoding))

    def blocks(self) -> Iterator[str]:
        """The text, cut at line ends only: a newline, a carriage return, or both.

        Raises:
            DataError: A line is too long, or the file breaks off; with the line.
        """
        number = 1
        try:
            for block in self._whole_lines(b"\r", "\r"):
                text = self.decoder.block(block, number)
                yield text.removeprefix(_MARK) if number == 1 else text
                number += _line_ends(text)
        except DataError as error:
            error.line = error.line or number
            raise

    def lines(self) -> Iterator[str]:
        """The lines of `blocks`, each with its line end."""
        return chain.from_iterable(io.StringIO(block, newline="") for block in self.blocks())

    def newline_blocks(self) -> Iterator[bytes | str]:
        """Blocks of lines that only a newline ends, for formats in which a carriage return is just a space.

        As bytes, for `Decoder.line` or for who can do without decoding, where the encoding allows that.

        Raises:
            DataError: As in `blocks`; without a line, which the caller knows.
        """
        first = True
        for block in self._whole_lines(None, None):
            if first:
                mark = codecs.BOM_UTF8 if isinstance(block, bytes) else _MARK
                block = block.removeprefix(mark)  # type: ignore[arg-type]  # the mark is of the block's type
            first = False
            yield block

    def _whole_lines(self, byte_return: bytes | None, text_return: str | None) -> Iterator[bytes | str]:
        """Blocks that end where lines do, as bytes where the encoding allows that."""
        if self.decoder.encoding.is_narrow:
            return _whole_lines(self._chunks, b"\n", byte_return, self._max)
        return _whole_lines(self._wide(), "\n", text_return, self._max)

    def _wide(self) -> Iterator[str]:
        """Chunks of text where a newline is more than one byte, or another one."""
        decoder = codecs.getincrementaldecoder(self.decoder.encoding.codec)()
        for chunk in chain(self._chunks, [b""]):
            state = decoder.getstate()
            try:
                yield decoder.decode(chunk, final=not chunk)
            except UnicodeError as error:
                decoder.setstate(state)
                yield _before(error, chunk, decoder)
                raise DataError(
                    f"from here on this is not {self.decoder.encoding.name.upper()}: {error}",
                    hint="pass the file's real encoding=; if that is right, the file was cut or damaged",
                ) from None


def _before(error: UnicodeError, chunk: bytes, decoder: codecs.IncrementalDecoder) -> str:
    """The text of a chunk up to where it cannot be decoded."""
    if not isinstance(error, UnicodeDecodeError):
        return ""
    left_over = len(error.object) - len(chunk)  # from earlier chunks
    try:
        return decoder.decode(chunk[: max(0, error.start - left_over)])
    except UnicodeError:  # it also lacks the mark that Python's UTF-16 wants
        return ""


def _whole_lines(
    chunks: Iterable[AnyStr], newline: AnyStr, return_: AnyStr | None, most: int
) -> Iterator[AnyStr]:
    """The chunks joined and cut again so that each is whole lines."""
    size = blank = 0
    held: list[AnyStr] = []
    for chunk in chunks:
        # A carriage return at the very end may be half of a line end.
        cut = max(chunk.rfind(newline), chunk.rfind(return_, 0, -1) if return_ else -1) + 1
        if cut:
            held.append(chunk[:cut])
            block = newline[:0].join(held)
            held, size, chunk = [], 0, chunk[cut:]  # before the block is used: a line may be large
            blank = blank + len(block) if block.isspace() else 0
            _refuse_long(blank, MAX_BLANK_BYTES, "blank lines go on for more than")
            yield block
        held.append(chunk)
        size += len(chunk)
        _refuse_long(size, most, "the line is longer than")
    if size:
        yield newline[:0].join(held)


def _line_ends(text: str) -> int:
    count = text.count("\n")
    # Looking for two characters is slow beside looking for one, and lone carriage returns are rare.
    if _LONE_RETURN.search(text):
        count += text.count("\r") - text.count("\r\n")
    return count


def _refuse_long(size: int, most: int, said: str) -> None:
    if size > most:
        hint = "rows are lines: check that the file has line ends"
        raise DataError(f"{said} {most >> 20} MB", hint=hint)
