"""Texts as sets of shingles, how much two sets overlap, and keys that similar sets are likely to share.

A shingle is a run of four UTF-16 units. Those are exactly 64 bits, so a shingle *is* a number: no hash, no collision,
and the sets are cut out of the text by one C call for each of four offsets. Four characters suit the short texts
of fine-tuning in every script (Leskovec, Rajaraman & Ullman, "Mining of Massive Datasets", section 3.2, advise five for
e-mails and nine for long documents of ASCII); that unrelated texts stay far below the threshold is in the tests.

The keys are MinHash with banding (section 3.4 there), where one hash is cut into bins instead of taking many hashes
(Li, Owen & Zhang 2012, "One Permutation Hashing") and an empty bin borrows from its neighbour (Shrivastava & Li 2014).
"""

from __future__ import annotations

import struct
from collections.abc import Set as AbstractSet

_UNITS = 4
BANDS = 10
_ROWS = 4
"""At a Jaccard similarity of 0.8, sets share one of 10 bands of 4 with probability 1 - (1 - 0.8**4)**10 = 0.995; at
0.3 with probability 0.08."""

SIGNATURE = BANDS * _ROWS
_PRIME = (1 << 61) - 1
_FACTOR = 0x1D3F_84A5_C2B7_9E61
_BORROWED = 0x0E37_79B9_7F4A_7C15
_ANSWER = 0x8000_0000_0000_5A5A


def shingles(text: str) -> set[int]:
    """The distinct runs of four characters; a shorter text is filled up with spaces.

    Examples:
        >>> len(shingles("abcab")), len(shingles("aaaaaaaa")), len(shingles(""))
        (2, 1, 1)
    """
    units = text.ljust(_UNITS).encode("utf-16-le", "surrogatepass")
    found: set[int] = set()
    for start in range(0, 2 * _UNITS, 2):
        found.update(struct.unpack_from(f"<{(len(units) - start) // 8}Q", units, start))
    return found


def jaccard(one: AbstractSet[int], other: AbstractSet[int]) -> float:
    """What the sets share, as a part of what they have together; 1.0 for two empty ones.

    Examples:
        >>> jaccard({1, 2, 3}, {2, 3, 4})
        0.5
    """
    shared = len(one & other)
    together = len(one) + len(other) - shared
    return shared / together if together else 1.0


def signature(read: AbstractSet[int], said: AbstractSet[int]) -> list[int]:
    """Forty numbers of an input and an answer; of two rows, about as many are equal as the shingles they share."""
    # Where both sides have a similarity of t or more, so has their tagged union.
    mixed = [shingle * _FACTOR % _PRIME for shingle in read]
    mixed += [(shingle ^ _ANSWER) * _FACTOR % _PRIME for shingle in said]
    mixed.sort(reverse=True)
    return _filled(
        {value % SIGNATURE: value for value in mixed}
    )  # the last, smallest value of each bin stays


def band_keys(signed: list[int], mark: int) -> list[int]:
    """Keys of a signature: similar rows with equal marks very likely share one of them."""
    return [_band_key(signed[start : start + _ROWS], start + mark) for start in range(0, SIGNATURE, _ROWS)]


def _filled(bins: dict[int, int]) -> list[int]:
    if len(bins) == SIGNATURE:
        return [bins[number] for number in range(SIGNATURE)]
    least = [0] * SIGNATURE
    value, distance = (bins[min(bins)], SIGNATURE - max(bins)) if bins else (0, 0)
    for number in range(SIGNATURE - 1, -1, -1):
        if number in bins:
            value, distance = bins[number], 0
        least[number] = value + distance * _BORROWED  # the distance keeps borrowed from own values apart
        distance += 1
    return least


def _band_key(values: list[int], salt: int) -> int:
    key = salt
    for value in values:
        key = (key ^ value) * _FACTOR % _PRIME
    return key
