"""Files that gzip or zstd packed, unpacked as they are read. Knows the packing; not what is packed.

Memory holds one piece. What was packed to harm whoever unpacks it is refused by how much it expands.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NoReturn, Protocol

from tunekit.data.readers.base import Notes
from tunekit.errors import DataError, MissingExtraError

MAX_EXPANSION = 300
"""Bytes out of one byte in, over `WINDOW_BYTES`, from which on it is an attack and no data.

Of honest files the worst that we made are rows that all repeat one tool schema of 20 kB: 76 with gzip, 213 with zstd.
A file of one byte repeated gives 1,029 with gzip, the most that its format can, and 32,746 with zstd."""

WINDOW_BYTES = 16 << 20
"""Looked at together: too much for a coincidence, and unpacked in a tenth of a second."""

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
MAGIC_BYTES = 4
"""The longest of these beginnings."""

# Small beside a window of what it may unpack to, or a window could not be told from the next.
_READ_BYTES = 4 << 10
_PIECE_BYTES = 256 << 10
# zstandard cannot be told how much to give at once. It makes at most 128 kB of 4 bytes, and so 16 MB of this.
_ZSTD_FEED_BYTES = 512
# As the zstd command line: memory that a file may ask for. `zstd --ultra --long=31` asks for more.
_ZSTD_WINDOW_LOG = 27


class _Member(Protocol):
    """One compressed stream; a file may hold several, one after another."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What these bytes unpack to, in pieces of bounded size."""

    @property
    def eof(self) -> bool:
        """Whether its end was reached."""

    @property
    def unused_data(self) -> bytes:
        """What came after its end."""


@dataclass(frozen=True, slots=True)
class _Packing:
    name: str
    member: Callable[[], _Member]
    error: type[Exception]


def packing_of(head: bytes) -> str | None:
    r"""What packed a file that begins like this; None for what `opened` would leave as it is.

    Examples:
        >>> packing_of(b"\x1f\x8b\x08\x00")
        'gzip'
    """
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


def opened(file: io.BufferedReader, notes: Notes) -> io.BufferedReader:
    """What a compressed file holds, or the file itself where it is not compressed.

    Reading it raises `DataError` where the file is damaged, breaks off, or is a bomb.

    Raises:
        MissingExtraError: It is zstd-compressed, and nothing here can unpack that.
    """
    name = packing_of(file.peek(MAGIC_BYTES))
    if name is None:
        return file
    packing = _zstd() if name == "zstd" else _Packing("gzip", _Gzip, zlib.error)
    notes.facts["compression"] = packing.name
    return io.BufferedReader(_Unpacked(_pieces(file, packing)), _PIECE_BYTES)


class _Unpacked(io.RawIOBase):
    """A file to read, made of pieces that come one by one."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the whole buffer, so that who looks at the beginning sees much of it."""
        filled = 0
        while filled < len(buffer) and self._has_more():
            size = min(len(buffer) - filled, len(self._rest))
            buffer[filled : filled + size], self._rest = self._rest[:size], self._rest[size:]
            filled += size
        return filled

    def _has_more(self) -> bool:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return False
            self._rest = memoryview(piece)
        return True


def _pieces(file: io.BufferedReader, packing: _Packing) -> Iterator[bytes]:
    member: _Member | None = None
    meter = _Meter(packing.name)
    while data := file.read(_READ_BYTES):
        meter.taken += len(data)
        while data := data if member else data.lstrip(b"\0"):  # tapes and some downloads pad with zeros
            member = member or packing.member()
            try:
                for piece in member.feed(data):
                    meter.give(len(piece))
                    yield piece
            except packing.error as error:
                _refuse(f"the {packing.name} data are damaged: {error}")
            if not member.eof:
                break
            data, member = member.unused_data, None
    if member:
        _refuse(f"the {packing.name} data break off before their end")


def _refuse(said: str) -> NoReturn:
    raise DataError(said, hint="fetch or make the file again; the copy may have been cut short")


class _Meter:
    """Counts what goes in and comes out, and refuses a bomb."""

    def __init__(self, name: str) -> None:
        self.taken = 0
        self._name = name
        self._given = self._taken_before = 0

    def give(self, size: int) -> None:
        self._given += size
        if self._given < WINDOW_BYTES:
            return
        taken = self.taken - self._taken_before
        if self._given > taken * MAX_EXPANSION:
            raise DataError(
                f"a {self._name} bomb: {taken:,} bytes of it unpack to {self._given >> 20} MB and more",
                hint="do not unpack it, unless you know who made it and why it is so repetitive",
            )
        self._given, self._taken_before = 0, self.taken


class _Gzip:
    def __init__(self) -> None:
        self._unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    def feed(self, data: bytes) -> Iterator[bytes]:
        full = True
        while (data or full) and not self.eof:
            piece = self._unpacker.decompress(data, _PIECE_BYTES)
            data, full = self._unpacker.unconsumed_tail, len(piece) == _PIECE_BYTES
            yield piece

    @property
    def eof(self) -> bool:
        return self._unpacker.eof

    @property
    def unused_data(self) -> bytes:
        return self._unpacker.unused_data


def _zstd() -> _Packing:
    try:
        zstd = import_module("compression.zstd")  # Python 3.14
    except ImportError:
        return _zstd_of_the_extra()
    options = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
    return _Packing("zstd", lambda: _Zstd(zstd.ZstdDecompressor(options=options)), zstd.ZstdError)


def _zstd_of_the_extra() -> _Packing:
    try:
        zstandard = import_module("zstandard")
    except ImportError:
        raise MissingExtraError("zstandard", extra="zstd") from None
    # Not its stream_reader, which takes a file that breaks off for a whole one.
    unpacker = zstandard.ZstdDecompressor(max_window_size=1 << _ZSTD_WINDOW_LOG)
    return _Packing("zstd", lambda: _Zstandard(unpacker.decompressobj()), zstandard.ZstdError)


class _Zstd:
    """A member as the standard library unpacks it."""

    def __init__(self, unpacker: Any) -> None:
        self._unpacker = unpacker

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield self._unpacker.decompress(data, _PIECE_BYTES)
        while not self._unpacker.eof and not self._unpacker.needs_input:
            yield self._unpacker.decompress(b"", _PIECE_BYTES)

    @property
    def eof(self) -> bool:
        return bool(self._unpacker.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._unpacker.unused_data)


class _Zstandard(_Zstd):
    """A member as the zstandard package unpacks it."""

    _after = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _ZSTD_FEED_BYTES):
            end = start + _ZSTD_FEED_BYTES
            yield self._unpacker.decompress(data[start:end])
            if self.eof:
                self._after = data[end:]
                return

    @property
    def unused_data(self) -> bytes:
        return super().unused_data + self._after
