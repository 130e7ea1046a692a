"""Numbers found in prose, in any writing, and tolerances without rounding."""

from __future__ import annotations

import math
import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.errors import SpecError
from tunekit.evaluation.metrics import numeric

finite = st.decimals(min_value=-(10**12), max_value=10**12, allow_nan=False, allow_infinity=False, places=4)
prose = st.text(st.characters(exclude_categories=["Nd", "No", "Nl", "Cs"], exclude_characters=".,-\u2212#"))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("The answer is 42.", "42"),
        ("It costs $1,234,567.89!", "1234567.89"),
        ("between 3 and -7", "-7"),
        ("minus \u22127 degrees", "-7"),
        ("5-3", "3"),
        ("(-4)", "-4"),
        ("2 + 2 = 4", "4"),
        ("about 6.02e23 of them", "6.02E+23"),
        ("a share of .5", "0.5"),
        ("75%", "75"),
        ("1,23", "23"),  # no thousands, so two numbers
        ("1,2345", "2345"),
        ("1234,567", "567"),
        ("no number", None),
        ("", None),
        ("9" * 401, None),
    ],
)
def test_the_last_number(text: str, number: str | None) -> None:
    assert numeric.last_number(text) == (None if number is None else Decimal(number))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.234,56 EUR", "1234.56"),
        ("1\u202f234,5", "1234.5"),
        ("1'000'000 CHF", "1000000"),
        ("0,5", "0.5"),
        ("-3", "-3"),
    ],
)
def test_a_decimal_comma(text: str, number: str) -> None:
    assert numeric.last_number(text, decimal=",") == Decimal(number)


@pytest.mark.parametrize(
    ("text", "strict", "lenient"),
    [
        ("6 * 7 = 42\n#### 42", "42", "42"),
        ("#### 1,200\nThat took 3 steps.", "1200", "1200"),
        ("#### $-5.50", "-5.50", "-5.50"),
        ("####42", "42", "42"),
        ("It is 42.", None, "42"),
        ("#### Answer\nIt is 42.", None, "42"),
        ("#### none\n#### 7\n#### 8", "7", "7"),
        ("nothing", None, None),
    ],
)
def test_strict_and_lenient(text: str, strict: str | None, lenient: str | None) -> None:
    assert numeric.marked_number(text) == (None if strict is None else Decimal(strict))
    assert numeric.answered_number(text) == (None if lenient is None else Decimal(lenient))


@given(number=finite, before=prose, after=prose, grouped=st.booleans())
def test_what_is_written_is_found(number: Decimal, before: str, after: str, grouped: bool) -> None:
    written = f"{number:,f}" if grouped else f"{number:f}"
    assert numeric.last_number(f"{before} {written} {after}") == number
    assert numeric.marked_number(f"{before}#### {written} {after}") == number
    assert numeric.whole_number(f" {written}\n") == number
    continental = written.translate(str.maketrans(",.", ".,"))
    assert numeric.last_number(f"{before} {continental} {after}", decimal=",") == number


def test_a_whole_number_has_nothing_around_it() -> None:
    assert numeric.whole_number("42 apples") is None and numeric.whole_number("4 2") is None


@given(a=st.floats(-1e6, 1e6), b=st.floats(-1e6, 1e6), absolute=st.floats(0, 10), relative=st.floats(0, 1))
def test_tolerance_is_its_definition(a: float, b: float, absolute: float, relative: float) -> None:
    gap, width = abs(Decimal(str(a)) - Decimal(str(b))), max(absolute, relative * abs(b))
    if abs(float(gap) - width) > 1e-9 * max(1.0, width):  # nearer to the edge, floats cannot tell
        assert numeric.is_close(a, b, absolute=absolute, relative=relative) == (float(gap) < width)


def test_edges_are_within() -> None:
    assert numeric.is_close(0.3, 0.2, absolute=0.1)  # as binary numbers 0.3 - 0.2 is below and 0.1 above
    assert numeric.is_close(1.1, 1.0, relative=0.1) and not numeric.is_close(1.1000001, 1.0, relative=0.1)
    assert numeric.is_close(10**30 + 1, 10**30, absolute=1) and not numeric.is_close(10**30 + 1, 10**30)
    assert numeric.is_close(Decimal("1.10"), 1.1)
    for value in (math.nan, math.inf, -math.inf):
        assert not numeric.is_close(value, value, absolute=1.0) and not numeric.is_close(1.0, value)


@pytest.mark.parametrize("tolerance", [-0.1, math.nan, math.inf])
def test_tolerances_that_are_none(tolerance: float) -> None:
    for name in ("absolute", "relative"):
        with pytest.raises(SpecError, match=name):
            numeric.is_close(1, 1, **{name: tolerance})
    with pytest.raises(SpecError, match="decimal"):
        numeric.last_number("1", decimal=";")  # type: ignore[arg-type]


@pytest.mark.parametrize("piece", ["1", "1,111", "1.", "-", "#", "#### ", "1e1", ",111", "\ud800"])
def test_a_million_hostile_characters_take_seconds(piece: str) -> None:
    text = piece * (1_000_000 // len(piece)) + "1"
    started = time.process_time()
    numeric.answered_number(text)
    numeric.last_number(text + "x1", decimal=",")
    assert time.process_time() - started < 20.0
