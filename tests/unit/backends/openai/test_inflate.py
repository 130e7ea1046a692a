"""Packed replies: what was packed comes out, in small pieces, and what is damaged is said to be."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.backends.openai.inflate import PIECE_BYTES, Inflater


def unpacked(data: bytes, encoding: str = "gzip", step: int = 1 << 16) -> bytes:
    inflater = Inflater(encoding)
    whole = bytearray()
    for start in range(0, len(data), step):
        for piece in inflater.pieces(data[start : start + step]):
            assert 0 < len(piece) <= PIECE_BYTES
            whole += piece
    inflater.finish()
    return bytes(whole)


@given(st.lists(st.binary(max_size=2000), max_size=4), st.integers(1, 300))
def test_any_members_cut_anywhere(members: list[bytes], step: int) -> None:
    assert unpacked(b"".join(map(gzip.compress, members)), step=step) == b"".join(members)


@given(st.binary(max_size=500), st.data())
def test_what_is_cut_short_is_not_taken_for_the_whole(content: bytes, data: st.DataObject) -> None:
    packed = gzip.compress(content)
    with pytest.raises(ValueError, match="the end is missing"):
        unpacked(packed[: data.draw(st.integers(1, len(packed) - 1))])


@given(st.binary(max_size=300))
def test_garbage_is_a_value_error_or_nothing(content: bytes) -> None:
    try:
        unpacked(content)
    except ValueError:
        return
    assert content == b"" or gzip.decompress(content) is not None


def test_a_bomb_comes_in_small_pieces() -> None:
    assert unpacked(gzip.compress(bytes(20_000_000), 9)) == bytes(20_000_000)


def test_what_was_not_asked_for() -> None:
    assert unpacked(b"as it is", "identity") == unpacked(b"as it is", "") == b"as it is"
    for encoding in ("br", "zstd", "deflate", "gzip, gzip"):
        with pytest.raises(ValueError, match="not asked for"):
            Inflater(encoding)
    with pytest.raises(ValueError, match="unpacked"):
        unpacked(zlib.compress(b"no gzip"))
