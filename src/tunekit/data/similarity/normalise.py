"""What is left of a text when only its words count, and the passages that it is made of. Knows no rows."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterator

from tunekit.data.patterns.characters import accents_in_order

# Full-width marks are their ASCII siblings after NFKC.
_MARKS = ".,;:!?\"'\u2018\u2019\u201c\u201d«»()[]{}¡¿。、"
_TO_SPACES = str.maketrans(dict.fromkeys(_MARKS, " "))
_ANY_MARKS = re.compile(f"[{re.escape(_MARKS)}]+")
_IDEOGRAPHS = re.compile("([\u2e80-\u9fff\uf900-\ufaff])")

_MAX_CHARS = 1_000_000
"""A longer text stays as it is, and has no passages: its words, as objects, would take ten times its own memory."""

PASSAGE_WORDS = 13
"""Words that two texts share by copying, hardly by chance (Brown et al. 2020, "Language Models are Few-Shot Learners",
appendix C: 13-grams of lower-cased text without punctuation)."""

# A prime below 2**61: values stay small integers, and different runs of words get different values.
_PRIME = (1 << 61) - 1
_BASE = 1_000_003
_LEAVING = pow(_BASE, PASSAGE_WORDS, _PRIME)


def normalise(text: str) -> str:
    """The text with compatible characters unified (NFKC), case folded, and sentence marks and white space as one space.

    Signs that carry meaning (`-+/%$#@*_`) stay, so `-5` and `5` differ; so does a text of nothing but marks.

    Examples:
        >>> normalise("  Where is my PARCEL?!")
        'where is my parcel'
    """
    if len(text) > _MAX_CHARS:
        return text
    if text.isascii():
        words = text.lower().translate(_TO_SPACES).split()
    else:
        if not unicodedata.is_normalized("NFKC", text):
            text = unicodedata.normalize("NFKC", accents_in_order(text, "NFKD"))
        words = _ANY_MARKS.sub(" ", text.casefold()).split()
    return " ".join(words or text.split())  # ":)" is all marks, and not ":("


def passages(normalised: str) -> Iterator[int]:
    """A number for each run of 13 words of a normalised text; equal runs have equal numbers.

    A Chinese or Japanese character counts as a word.

    Examples:
        >>> len(list(passages("to be or not to be that is the question whether it is nobler")))
        2
    """
    if len(normalised) > _MAX_CHARS:
        return
    if not normalised.isascii():
        normalised = _IDEOGRAPHS.sub(r" \1 ", normalised)
    words = [zlib.crc32(word.encode("utf-8", "surrogatepass")) for word in normalised.split()]
    value = 0
    for index, word in enumerate(words):
        value = (value * _BASE + word) % _PRIME
        if index >= PASSAGE_WORDS:
            value = (value - words[index - PASSAGE_WORDS] * _LEAVING) % _PRIME
        if index >= PASSAGE_WORDS - 1:
            yield value
