"""Whether an answer is the right one: as text, by a pattern, as a number. Knows one answer and one reference.

Every function gives 1.0 or 0.0, and its mean over items is a share of right answers. For fields of JSON see
`json_fields`.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

from tunekit.data.wording import brief, listed
from tunekit.errors import EvaluationError, SpecError
from tunekit.evaluation.metrics import numeric
from tunekit.evaluation.metrics.numeric import DecimalMark
from tunekit.evaluation.metrics.patterns import Pattern

Normalise: TypeAlias = Literal["none", "whitespace", "text"]


def normalised(text: str, how: Normalise = "whitespace") -> str:
    """A text without what should not count.

    Args:
        text: Anything.
        how: "none" leaves it as it is. "whitespace" drops white space at the ends and makes the rest single spaces
            (NFC). "text" also drops letter case and ASCII punctuation, and unifies compatibility forms (NFKC).

    Raises:
        SpecError: `how` is something else.

    Examples:
        >>> normalised(" The  Answer! "), normalised(" The  Answer! ", "text")
        ('The Answer!', 'the answer')
    """
    if how not in _NORMALISERS:
        raise SpecError(f"normalise is {how!r}", hint=f"one of {listed(_NORMALISERS)}")
    return _NORMALISERS[how](text)


def exact_match(answer: str, reference: str, *, normalise: Normalise = "whitespace") -> float:
    """1 if the two texts are the same after normalisation; see `normalised`.

    Examples:
        >>> exact_match("Delivery.", "delivery", normalise="text"), exact_match("Delivery.", "delivery")
        (1.0, 0.0)
    """
    return float(normalised(answer, normalise) == normalised(reference, normalise))


def contains(answer: str, reference: str, *, normalise: Normalise = "whitespace") -> float:
    """1 if the reference stands in the answer, after normalisation of both.

    Raises:
        EvaluationError: Nothing is left of the reference, which stands in everything.
    """
    wanted = normalised(reference, normalise)
    if not wanted:
        raise EvaluationError(f"the reference {brief(reference)} is empty", hint="give the item a reference")
    return float(wanted in normalised(answer, normalise))


def pattern_match(answer: str, pattern: Pattern, *, whole: bool = False) -> float:
    """1 if the pattern matches somewhere in the answer, or all of it.

    Raises:
        EvaluationError: It took too long; see `patterns`.

    Examples:
        >>> pattern_match("ticket AB-1234 is open", Pattern("[A-Z]{2}-[0-9]{4}"))
        1.0
    """
    return float(pattern.is_all_of(answer) if whole else pattern.found_in(answer))


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberMatch:
    """Two readings of an answer in prose.

    Attributes:
        strict: 1 if the number after "####" is the right one.
        lenient: 1 if that number is, or where there is none, the last one.
        found: What the lenient reading found.
    """

    strict: float
    lenient: float
    found: Decimal | None


def number_match(
    answer: str,
    reference: str | float,
    *,
    absolute: float = 0.0,
    relative: float = 0.0,
    decimal: DecimalMark = ".",
) -> NumberMatch:
    r"""Whether the number that an answer comes to is the right one.

    Args:
        answer: What the model said.
        reference: The right number, or a text that comes to it, such as an answer of gsm8k.
        absolute: See `numeric.is_close`.
        relative: The same.
        decimal: How numbers are written; see `numeric.last_number`.

    Raises:
        EvaluationError: There is no finite number in the reference.
        SpecError: A tolerance is negative or not finite, or `decimal` unknown.

    Examples:
        >>> found = number_match("6 * 7 makes 42 apples.", "So 6 * 7 = 42.\n#### 42")
        >>> found.strict, found.lenient
        (0.0, 1.0)
    """
    wanted = _wanted(reference, decimal)
    tolerances: Mapping[str, float] = {"absolute": absolute, "relative": relative}
    marked = numeric.marked_number(answer, decimal=decimal)
    found = numeric.answered_number(answer, decimal=decimal)
    return NumberMatch(
        strict=float(marked is not None and numeric.is_close(marked, wanted, **tolerances)),
        lenient=float(found is not None and numeric.is_close(found, wanted, **tolerances)),
        found=found,
    )


def _wanted(reference: str | float, decimal: DecimalMark) -> Decimal:
    found = (
        numeric.answered_number(reference, decimal=decimal)
        if isinstance(reference, str)
        else numeric.decimal_of(reference)
    )
    if found is None or not found.is_finite():
        raise EvaluationError(
            f"there is no number in the reference {brief(reference)}", hint="give the item a number to match"
        )
    return found


def _one_space(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _letters_only(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.translate(_PUNCTUATION).split())


_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation, " "))
_NORMALISERS: Mapping[str, Callable[[str], str]] = {
    "none": str,
    "whitespace": _one_space,
    "text": _letters_only,
}
