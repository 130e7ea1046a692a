"""An index of texts that answers which of them is nearly the same as a new one. Knows no rows and no findings.

Candidates come from shared keys and are verified: what it reports is similar for sure, and what is similar it finds
with a probability of 0.995 or more. Its memory and its work are bounded, whatever the texts are; what the bounds leave
out is counted.
"""

from __future__ import annotations

import operator
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tunekit.data.compact import Numbering
from tunekit.data.similarity.comparable import Comparable
from tunekit.data.similarity.keys import text_key
from tunekit.data.similarity.shingles import BANDS, SIGNATURE, band_keys, jaccard, shingles, signature

THRESHOLD = 0.8
"""Jaccard similarity from which two texts are nearly the same (the value of Lee et al. 2022, "Deduplicating Training
Data Makes Language Models Better", section 4.2)."""

_MAX_CHAIN = 1_000
"""Texts with the same key that a look-up considers, the newest first."""
_MAX_CANDIDATES = 32
"""Texts that a look-up reads again, the most likely first."""
_MAX_WORK = 100_000_000
"""What one index spends on candidates, in characters read again; about half a minute."""

_STEP_WORK = 10
"""What it costs to consider a text."""
_FEWEST_EQUAL = 16
"""Of 40 numbers of a signature; at the threshold 32 are expected, and fewer than 20 are five deviations away."""

_SAMPLE_TEXTS = 400
_SAMPLE_CHARS = 1_000_000
"""Texts that are looked at for a template, and how much of them."""
_FEWEST_FOR_TEMPLATE = 100


class Text(NamedTuple):
    """A row as the index keeps it.

    Attributes:
        packed: Normalised input and answer with a form feed between them, in UTF-8.
        mark: Rows with different marks are never similar.
    """

    packed: bytes
    mark: int

    @classmethod
    def of(cls, row: Comparable) -> Text:
        """Pack the texts of a row."""
        return cls(f"{row.input}\f{row.answer}".encode("utf-8", "surrogatepass"), text_key(row.exact))

    def sides(self) -> tuple[str, str]:
        """Input and answer."""
        read, _, said = self.packed.decode("utf-8", "surrogatepass").partition("\f")
        return read, said


class Shingled(NamedTuple):
    """A text with its sets of shingles, the low bytes of its signature, and its keys."""

    text: Text
    input: set[int]
    answer: set[int]
    signed: bytes
    keys: list[int]

    @property
    def size(self) -> int:
        """Shingles on both sides."""
        return len(self.input) + len(self.answer)


class NearIndex:
    """Texts, in the order in which they were added.

    Shingles that stand in more than half of a sample of the inputs are a template or the small words of the language,
    and count for nothing: rows that share a long instruction are not alike for it.

    Args:
        texts: What is to be added, or the like of it, to see what template they share. Fewer than 100 show none.
    """

    def __init__(self, texts: Iterable[Text]) -> None:
        self._template = _template(list(texts))
        self._texts: list[Text] = []
        self._sizes = array("I")
        self._signed = bytearray()
        self._bands = Numbering()
        # Entry n belongs to text n // BANDS; the entries of a key are a chain from the newest to the oldest.
        self._newest = array("i")
        self._before = array("i")
        self._work_left = _MAX_WORK
        self.cut = 0
        """Look-ups that stopped before all candidates were compared."""

    def __len__(self) -> int:
        return len(self._texts)

    def shingled(self, text: Text) -> Shingled:
        """The text as `nearest` and `add` want it."""
        read, said = self._sets(text)
        signed = signature(read, said)
        low = bytes([value & 255 for value in signed])
        return Shingled(text, read, said, low, band_keys(signed, text.mark))

    def add(self, row: Shingled) -> None:
        """Add the text; its number is how many there were before."""
        self._texts.append(row.text)
        self._sizes.append(row.size)
        self._signed += row.signed
        for key in row.keys:
            band = self._bands.number(key)
            if band == len(self._newest):
                self._newest.append(-1)
            self._before.append(self._newest[band])
            self._newest[band] = len(self._before) - 1

    def nearest(self, row: Shingled) -> int | None:
        """The number of a text that is nearly the same; of several, that with the most keys in common."""
        if self._work_left <= 0:
            self.cut += 1
            return None
        candidates, is_complete = self._candidates(row)
        for number in candidates[:_MAX_CANDIDATES]:
            if self._similar(row, number):
                return number
        self.cut += not is_complete or len(candidates) > _MAX_CANDIDATES
        return None

    def _candidates(self, row: Shingled) -> tuple[list[int], bool]:
        """Texts that share a key and could be similar, the most likely first; whether those are all."""
        shared: Counter[int] = Counter()
        is_complete = True
        for key in row.keys:
            band = self._bands.find(key)
            entry = -1 if band is None else self._newest[band]
            for _ in range(_MAX_CHAIN):
                if entry < 0:
                    break
                shared[entry // BANDS] += 1
                entry = self._before[entry]
            is_complete = is_complete and entry < 0
        self._work_left -= _STEP_WORK * shared.total()
        fitting = [number for number in shared if self._fits(row, number)]
        return sorted(fitting, key=lambda number: (-shared[number], number)), is_complete

    def _fits(self, row: Shingled, number: int) -> bool:
        """Whether sizes and signatures leave it possible that the two are similar."""
        small, large = sorted((row.size, self._sizes[number]))
        if small < THRESHOLD * large or self._texts[number].mark != row.text.mark:
            return False
        other = self._signed[number * SIGNATURE : (number + 1) * SIGNATURE]
        equal: int = sum(map(operator.eq, row.signed, other))
        return equal >= _FEWEST_EQUAL

    def _similar(self, row: Shingled, number: int) -> bool:
        self._work_left -= len(self._texts[number].packed)
        read, said = self._sets(self._texts[number])
        return jaccard(row.input, read) >= THRESHOLD and jaccard(row.answer, said) >= THRESHOLD

    def _sets(self, text: Text) -> tuple[set[int], set[int]]:
        read, said = text.sides()
        found = shingles(read)
        return found - self._template or found, shingles(
            said
        )  # what is nothing but template is compared as it is


def _template(texts: Sequence[Text]) -> frozenset[int]:
    """Shingles that stand in more than half of the inputs, as far as a sample tells."""
    if len(texts) < _FEWEST_FOR_TEMPLATE:
        return frozenset()
    sample = texts[:: max(1, len(texts) // _SAMPLE_TEXTS)]
    chars = sum(len(text.packed) for text in sample)
    sample = sample[:: 1 + chars // _SAMPLE_CHARS]
    counts: Counter[int] = Counter()
    for text in sample:
        counts.update(shingles(text.sides()[0]))
    return frozenset(shingle for shingle, count in counts.items() if 2 * count > len(sample))
