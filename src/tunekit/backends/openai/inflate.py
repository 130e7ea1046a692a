"""Compressed replies, in pieces of a bounded size. Knows gzip; not what is in it, nor how much is too much."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

OFFERED = "gzip"
PIECE_BYTES = 1 << 18


class Inflater:
    """Turns what came over the wire into what was meant, never more than 256 KiB at once.

    Args:
        encoding: The reply's `content-encoding`.

    Raises:
        ValueError: Nobody asked for that encoding.

    Examples:
        >>> list(Inflater("").pieces(b"as it is"))
        [b'as it is']
    """

    def __init__(self, encoding: str) -> None:
        known = encoding.strip().lower()
        if known not in ("", "identity", OFFERED):
            raise ValueError(f"it is packed as {known[:40]!r}, which was not asked for")
        self._stream = _gunzip() if known == OFFERED else None
        self._begun = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What these bytes add.

        Raises:
            ValueError: They are damaged.
        """
        if self._stream is None:
            yield data
            return
        while data:
            if self._stream.eof:  # a gzip file may have several members
                self._stream = _gunzip()
            self._begun = True
            try:
                piece = self._stream.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                raise ValueError(f"it cannot be unpacked: {error}") from None
            data = self._stream.unconsumed_tail or self._stream.unused_data
            if piece:
                yield piece

    def finish(self) -> None:
        """Make sure that nothing is missing.

        Raises:
            ValueError: The end is.
        """
        if self._stream is not None and self._begun and not self._stream.eof:
            raise ValueError("it cannot be unpacked: the end is missing")


def _gunzip() -> zlib._Decompress:
    return zlib.decompressobj(zlib.MAX_WBITS | 16)
