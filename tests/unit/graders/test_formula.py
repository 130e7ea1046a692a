"""Formulas of a `multi`: like Python's arithmetic where Python has the same, and an error where there is no value."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.graders.formula import Formula

NUMBERS = st.floats(min_value=0.0, max_value=100.0, allow_subnormal=False)
LEAVES = st.sampled_from(["a", "b", "2", "0.5", "1e1", ".25"])
FORMULAS = st.recursive(
    LEAVES,
    lambda inside: st.one_of(
        st.tuples(inside, st.sampled_from(["+", "-", "*", "/", "^"]), inside).map(" ".join),
        inside.map(lambda text: f"({text})"),
        inside.map(lambda text: f"-{text}"),
        inside.map(lambda text: f"abs({text})"),
        st.tuples(inside, inside).map(lambda pair: f"min({pair[0]}, {pair[1]})"),
        inside.map(lambda text: f"sqrt({text})"),
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.5 * a + 0.5 * b", 0.75),
        ("(a + b) / 2", 0.75),
        ("2 ^ 3 ^ 2", 512.0),
        ("-2 ^ 2", -4.0),
        ("2 ^ -1", 0.5),
        ("8 / 4 / 2", 1.0),
        ("10 - 4 - 3", 3.0),
        ("--a", 1.0),
        ("min(a, b, 0.25)", 0.25),
        ("max(a, b)", 1.0),
        ("max(b)", 0.5),
        ("floor(1.7) + ceil(1.2)", 3.0),
        ("log(exp(b))", 0.5),
        ("sqrt(16) * abs(-2)", 8.0),
        ("(100 - abs(90 - 100 * a)) / 100", 0.9),
    ],
)
def test_values(text: str, value: float) -> None:
    assert Formula.parse(text).value({"a": 1.0, "b": 0.5}) == pytest.approx(value, abs=1e-15)


@settings(max_examples=150, deadline=None)
@given(text=FORMULAS, a=NUMBERS, b=NUMBERS)
def test_formulas_are_those_of_python(text: str, a: float, b: float) -> None:
    names = {"abs": abs, "min": min, "sqrt": math.sqrt, "a": a, "b": b, "__builtins__": {}}
    try:
        wanted = eval(text.replace("^", "**"), names)
    except (ArithmeticError, ValueError, TypeError):
        wanted = math.nan  # no value, or one that only complex numbers have
    if isinstance(wanted, complex) or not math.isfinite(wanted):
        with pytest.raises(ValueError, match=r"\S"):
            Formula.parse(text).value({"a": a, "b": b})
    else:
        assert Formula.parse(text).value({"a": a, "b": b}) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a +",
        "* a",
        "a b",
        "(a",
        "a)",
        "0.5 * a + 0.5 * b)",
        "max()",
        "abs(a, b)",
        "sin(a)",
        "a.real",
        "a ** b",
        "a % b",
        "'text'",
        "__import__('os')",
        "a = 1",
        "1e",
        "(" * 100 + "a" + ")" * 100,
        "2" + "^2" * 100,
        "+" * 20_000,
    ],
)
def test_what_is_no_formula_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        Formula.parse(text)


@pytest.mark.parametrize(
    "text", ["1 / a", "log(a)", "sqrt(-1)", "(-1) ^ 0.5", "10 ^ 400", "exp(1000)", "a ^ -1"]
)
def test_no_value_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        Formula.parse(text).value({"a": 0.0})


def test_names_are_known() -> None:
    assert Formula.parse("max(b_1, a) / a + 2e3").names == ("a", "b_1")
