"""Numbers in what a model said, and how close two of them are. Knows how numbers are written; not what they count.

Two ways to find the answer, and a report shows both: a fine-tuned model often "wins" only by writing its answer where
it is looked for. The strict one wants the mark of gsm8k, "#### 42". The lenient one falls back to the last number.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Literal, TypeAlias

from tunekit.errors import SpecError

DecimalMark: TypeAlias = Literal[".", ","]

_MAX_CHARS = 400
"""Of a number. Longer runs of digits are no answers, and would only cost time."""
_MARK = re.compile("#{4,}+")


def _number_pattern(point: str, comma: str) -> re.Pattern[str]:
    # Possessive, and groups are at most 30, so that hostile runs of digits take time linear in their length.
    whole = rf"(?:[0-9]{{1,3}}(?:{comma}[0-9]{{3}}){{1,30}}+(?![0-9])|[0-9]++)"
    sign = r"(?:(?<![0-9A-Za-z.,)\]])[-\u2212])?"
    return re.compile(
        rf"{sign}(?:{whole}(?:{point}[0-9]++)?|{point}[0-9]++)(?:[eE][-+]?[0-9]{{1,3}}(?![0-9]))?"
    )


_NUMBERS: dict[str, re.Pattern[str]] = {
    ".": _number_pattern(r"\.", ","),
    ",": _number_pattern(",", r"[. \u00a0\u202f']"),
}


def last_number(text: str, *, decimal: DecimalMark = ".") -> Decimal | None:
    """The last number of a text: the lenient reading of an answer in prose.

    Args:
        text: Anything. Digits are 0 to 9; signs of currency and per cent are passed over.
        decimal: What divides whole from broken: "." takes commas between groups of three digits as nothing; "," takes
            points, spaces and apostrophes so.

    Raises:
        SpecError: `decimal` is something else.

    Examples:
        >>> last_number("That is 1,250.50 $ in 2 parts, so 625.25."), last_number("1.250,50 EUR", decimal=",")
        (Decimal('625.25'), Decimal('1250.50'))
    """
    found = deque(_found(text, decimal), maxlen=1)
    return found[0] if found else None


def marked_number(text: str, *, decimal: DecimalMark = ".") -> Decimal | None:
    r"""The number after the first "####" that has one, as gsm8k marks its answers: the strict reading.

    Examples:
        >>> marked_number("6 * 7 = 42\n#### 42"), marked_number("It is 42.")
        (Decimal('42'), None)
    """
    _check(decimal)
    for mark in _MARK.finditer(text):
        shown = text[mark.end() : mark.end() + _MAX_CHARS].lstrip(" \t$\u20ac\u00a3")
        found = _NUMBERS[decimal].match(shown)
        if found and (number := _value(found[0], decimal)) is not None:
            return number
    return None


def answered_number(text: str, *, decimal: DecimalMark = ".") -> Decimal | None:
    r"""The marked number, or else the last one: the lenient reading, equal to the strict one where that finds any.

    Examples:
        >>> answered_number("#### 42\nThat took 3 steps."), answered_number("It is 42.")
        (Decimal('42'), Decimal('42'))
    """
    marked = marked_number(text, decimal=decimal)
    return last_number(text, decimal=decimal) if marked is None else marked


def whole_number(text: str, *, decimal: DecimalMark = ".") -> Decimal | None:
    """The number that a text is, with nothing around it but space.

    Examples:
        >>> whole_number(" 1,250 "), whole_number("1,250 parts")
        (Decimal('1250'), None)
    """
    _check(decimal)
    stripped = text.strip()
    return _value(stripped, decimal) if _NUMBERS[decimal].fullmatch(stripped) else None


def is_close(
    value: Decimal | float, reference: Decimal | float, *, absolute: float = 0.0, relative: float = 0.0
) -> bool:
    """Whether a number is within the larger of two tolerances of its reference.

    Computed without rounding, so that 0.3 is within 0.1 of 0.2. What is not finite is close to nothing.

    Args:
        value: The answer.
        reference: What it should be.
        absolute: In units of the numbers.
        relative: As a share of the reference: 0.01 is 1 %.

    Raises:
        SpecError: A tolerance is negative or not finite.

    Examples:
        >>> is_close(0.3, 0.2, absolute=0.1), is_close(101, 100, relative=0.01), is_close(100, 101)
        (True, True, False)
    """
    for name, tolerance in (("absolute", absolute), ("relative", relative)):
        if not 0.0 <= tolerance < float("inf"):
            raise SpecError(f"{name} is {tolerance!r}", hint="a tolerance is 0 or more, and finite")
    left, right = _exact(value), _exact(reference)
    if left is None or right is None:
        return False
    width = max(Fraction(decimal_of(absolute)), Fraction(decimal_of(relative)) * abs(right))
    return abs(left - right) <= width


def _found(text: str, decimal: DecimalMark) -> Iterator[Decimal]:
    _check(decimal)
    for match in _NUMBERS[decimal].finditer(text):
        number = _value(match[0], decimal)
        if number is not None:
            yield number


def _check(decimal: str) -> None:
    if decimal not in _NUMBERS:
        raise SpecError(f"decimal is {decimal!r}", hint='one of "." and ","')


def _value(written: str, decimal: DecimalMark) -> Decimal | None:
    if len(written) > _MAX_CHARS:
        return None
    plain = written.replace("\u2212", "-")
    if decimal == ",":
        plain = re.sub("[. \u00a0\u202f']", "", plain).replace(",", ".")
    return Decimal(plain.replace(",", ""))


def _exact(value: Decimal | float) -> Fraction | None:
    decimal = decimal_of(value)
    return Fraction(decimal) if decimal.is_finite() else None


def decimal_of(value: Decimal | float) -> Decimal:
    """A number as it is written: 0.1 is a tenth here, not the binary number nearest to it."""
    return Decimal(value) if isinstance(value, int | Decimal) else Decimal(str(float(value)))
