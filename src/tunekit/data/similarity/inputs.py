"""Which rows ask what is alike, so that a split can keep them together. Knows inputs only, no answers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from tunekit.data.similarity.comparable import Comparable
from tunekit.data.similarity.near import NearIndex, Text
from tunekit.data.similarity.normalise import normalise
from tunekit.data.views import answer_text, input_text
from tunekit.examples import Example

_SAMPLE_ROWS = 1000


def normalised_keys(examples: Sequence[Example]) -> list[list[bytes]]:
    """One key for each row: equal for inputs that differ in case, white space and punctuation only.

    Examples:
        >>> from tunekit.examples import CompletionExample
        >>> rows = [CompletionExample(prompt=text, completion="x") for text in ("Where is it?", "where is it")]
        >>> one, other = normalised_keys(rows)
        >>> one == other
        True
    """
    return [[text.encode("utf-8", "surrogatepass")] for text in map(_text, examples)]


def near_keys(examples: Sequence[Example]) -> list[list[bytes]]:
    """Keys for each row of which it shares one with every row whose input is nearly the same, directly or by others.

    Inputs are nearly the same as near duplicates are (`near.THRESHOLD`).
    """
    texts = [Text.of(Comparable(_text(example), "", "")) for example in examples]
    step = max(1, len(texts) // _SAMPLE_ROWS)
    index = NearIndex(islice(texts, 0, None, step))
    keys = []
    for number, text in enumerate(texts):
        shingled = index.shingled(text)
        nearest = index.nearest(shingled)
        index.add(shingled)
        own = [text.packed, b"near %d" % number]
        keys.append(own if nearest is None else [*own, b"near %d" % nearest])
    return keys


def _text(example: Example) -> str:
    return normalise(input_text(example) or answer_text(example))  # raw text is its own input
