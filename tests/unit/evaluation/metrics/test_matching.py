"""Matches of text, pattern and number; fields of JSON; what an answer looks like. Hostile input included."""

from __future__ import annotations

import json
import math
import re
import time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.errors import EvaluationError, SpecError
from tunekit.evaluation.metrics import json_fields, matching, patterns, shape
from tunekit.evaluation.metrics.json_fields import MISSING, Path
from tunekit.evaluation.metrics.patterns import Pattern
from tunekit.evaluation.scorers import ExactMatch

HOSTILE = ("", "\ud800", "\x00", "x" * 1_000_000, "(" * 1_000_000, "[" * 100_000, "\u0301" * 1_000_000)


@given(
    answer=st.text(max_size=20),
    reference=st.text(max_size=20),
    how=st.sampled_from(["none", "whitespace", "text"]),
)
def test_exact_match_is_the_scorers(answer: str, reference: str, how: matching.Normalise) -> None:
    expected = ExactMatch(normalise=how).matches(answer, reference)
    assert matching.exact_match(answer, reference, normalise=how) == float(expected)
    assert matching.exact_match(answer, answer, normalise=how) == 1.0


def test_normalising_drops_what_it_says() -> None:
    assert matching.exact_match("  The\u00a0 answer ", "The answer") == 1.0
    assert matching.exact_match("STRASSE!", "Straße", normalise="text") == 1.0
    assert matching.exact_match("ﬁne", "fine") == 0.0
    assert matching.contains("It is Delivery.", "delivery", normalise="text") == 1.0
    assert matching.contains("deliver", "delivery") == 0.0
    with pytest.raises(EvaluationError):
        matching.contains("anything", "!?", normalise="text")
    with pytest.raises(SpecError):
        matching.exact_match("a", "a", normalise="loose")  # type: ignore[arg-type]


@given(text=st.text(alphabet="ab c1-{}\\", max_size=12))
@settings(max_examples=50)
def test_patterns_match_what_re_matches(text: str) -> None:
    for pattern in (
        r"a+b",
        r"\ba",
        r"(?:a|b){2,3}",
        r"^[a-c]*$",
        "{(c*)}",
        r"a{b\\{",
        r"(\d)-\1",
        r"(?i)A(?=B)",
        "",
    ):
        found, mine = re.search(pattern, text), Pattern(pattern)
        assert mine.found_in(text) == (found is not None)
        assert mine.is_all_of(text) == (re.fullmatch(pattern, text) is not None)
        assert mine.first(text) == (found[1 if found.re.groups else 0] if found else None)


def test_pattern_match() -> None:
    ticket = Pattern("[A-Z]{2}-[0-9]{4}")
    assert matching.pattern_match("ticket AB-1234", ticket) == 1.0
    assert matching.pattern_match("ticket AB-1234", ticket, whole=True) == 0.0
    assert Pattern("a|(b)").first("a") is None


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"(a|aa)+$", "a" * 5_000 + "b"),
        (r"(x+x+)+y", "x" * 100_000),
        (r"^(([a-z])+.)+[A-Z]([a-z])+$", "a" * 10_000),
        (r"\s+$", " " * 300_000 + "x"),
    ],
)
def test_a_hostile_pattern_is_an_error_in_time(
    pattern: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patterns, "MATCH_TIMEOUT_S", 0.1)
    started = time.process_time()
    with pytest.raises(EvaluationError, match=r"took over 0\.1 s") as caught:
        Pattern(pattern).found_in(text)
    assert time.process_time() - started < 5.0
    assert caught.value.hint and len(str(caught.value)) < 250


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        "[",
        "a**",
        r"\\1(",
        "(" * 2_000 + ")" * 2_000,
        "(((a{1000}){1000}){1000})",
        "(?:ab?){100000000}",
        "a" * 10_001,
        "(a){999999999}" * 700,
        "cat{e<=2}",
        "cat{2i+1d<3}",
        "(?:cat){e}",
        r"\\{s<=1:[a-z]}",
    ],
)
def test_what_is_no_pattern_or_costs_too_much_is_refused(pattern: str) -> None:
    started = time.process_time()
    with pytest.raises(SpecError) as caught:
        Pattern(pattern)
    assert caught.value.hint and time.process_time() - started < 5.0


def test_usual_patterns_are_not_refused() -> None:
    for pattern in (
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
        r".{0,500}x.{0,500}y.{0,500}",
        r"\\boxed\{(.*?)\}",
        r"(ab){2,9}",
    ):
        Pattern(pattern)
    assert Pattern(r"\\boxed\{(.*?)\}").first(r"so \boxed{e}") == "e"
    assert Pattern(r"\{e}").found_in("{e}")  # no approximate matching of what is before it


def test_number_match_reports_both_readings() -> None:
    gold = "Half of 48 is 24, and 48 + 24 = 72.\n#### 72"
    assert matching.number_match("#### 72", gold) == matching.NumberMatch(
        strict=1.0, lenient=1.0, found=Decimal(72)
    )
    found = matching.number_match("She sold 72.", gold)
    assert (found.strict, found.lenient) == (0.0, 1.0)
    found = matching.number_match("#### 71, or maybe 72", gold)
    assert (found.strict, found.lenient, found.found) == (0.0, 0.0, Decimal(71))
    assert matching.number_match("none", gold).found is None
    assert matching.number_match("about 71.5", 72.0, absolute=0.5).lenient == 1.0
    for reference in ("no number", math.nan, math.inf):
        with pytest.raises(EvaluationError):
            matching.number_match("1", reference)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text("ab .[]\"'", max_size=3), inside, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(value=json_values)
@settings(max_examples=60)
def test_a_value_is_the_same_as_itself_through_json(value: Any) -> None:
    assert json_fields.field_matches(json.dumps(value), Path(""), value)
    assert json_fields.field_matches(json.dumps({"a": [value]}), Path("a[0]"), value)
    assert not json_fields.field_matches(json.dumps([value]), Path(""), value)


@pytest.mark.parametrize(
    ("found", "reference", "same"),
    [
        ("1", 1.0, True),
        ("1", True, False),
        ("true", 1, False),
        ('"1"', 1, False),
        ("null", None, True),
        ("0", None, False),
        ('{"b": 1, "a": 2}', {"a": 2, "b": 1}, True),
        ('{"a": 2, "b": 1, "c": 0}', {"a": 2, "b": 1}, False),
        ("[1, 2]", [2, 1], False),
        ("[1, 2]", (1, 2), True),
        ("1e400", math.inf, False),
        ("no JSON", None, False),
        ('{"a": 1} trailing', {"a": 1}, False),
    ],
)
def test_types_are_kept(found: str, reference: Any, same: bool) -> None:
    assert json_fields.field_matches(found, Path(""), reference) is same


def test_paths() -> None:
    document = {"a": {"b": [{"c": 1}, {}]}, "a key": {"x.y": 2}, "": 3, "n": None}
    for path, value in (
        ("a.b[0].c", 1),
        ('["a key"]["x.y"]', 2),
        ("['a key']['x.y']", 2),
        ('[""]', 3),
        ("n", None),
        ("", document),
    ):
        assert Path(path).value(document) == value
    for path in ("a.b[1].c", "a.b[2]", "a.b.c", "a[0]", "n.x", "b"):
        assert Path(path).value(document) is MISSING
    for path in ("a..b", "a.", ".", "a[", "a[-1]", "a[x]", "a b", "a[0]b"):
        with pytest.raises(SpecError, match="no path"):
            Path(path)


def test_number_tolerance_reaches_inside() -> None:
    assert json_fields.field_matches('{"p": [1.001]}', Path("p"), [1.0], relative=0.01)
    assert not json_fields.field_matches('{"p": [1.1]}', Path("p"), [1.0], relative=0.01)
    with pytest.raises(SpecError):
        json_fields.field_matches('"x"', Path(""), "x", absolute=-1.0)


def test_shape_of_json() -> None:
    fields: dict[str, shape.JsonType] = {"": "object", "n": "integer", "x": "number", "tags[0]": "string"}
    assert shape.has_fields('{"n": 1.0, "x": 1, "tags": ["a"]}', fields) == 1.0
    assert shape.has_fields('{"n": 1.5, "x": 1, "tags": ["a"]}', fields) == 0.0
    assert shape.has_fields('{"n": true, "x": 1, "tags": ["a"]}', fields) == 0.0
    assert shape.has_fields('{"n": 1, "x": 1, "tags": []}', fields) == 0.0
    assert shape.has_fields("no JSON", {"": "any"}) == 0.0
    assert shape.has_fields('{"a": null}', {"a": "null"}) == 1.0
    assert shape.has_fields('{"a": true}', {"a": "boolean"}) == 1.0
    assert shape.has_fields('{"a": true}', {"a": "any"}) == 1.0
    with pytest.raises(SpecError):
        shape.has_fields("{}", {"a": "text"})  # type: ignore[dict-item]


def test_shape_of_text() -> None:
    assert shape.is_one_of(" Yes. ", ["yes", "no"], normalise="text") == 1.0
    assert shape.is_one_of("yes and no", ["yes", "no"]) == 0.0
    assert (shape.is_within("abc", 3), shape.is_within("abcd", 3)) == (1.0, 0.0)
    assert (shape.length_chars("äöü\n"), shape.length_words(" two  words ")) == (4.0, 2.0)
    with pytest.raises(SpecError, match="max_chars"):
        shape.is_within("", -1)
    nothing: list[str] = []
    for choices in ("yes", nothing):
        with pytest.raises(SpecError, match="choices"):
            shape.is_one_of("", choices)


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        ("I'm sorry, but I can\u2019t help with that.", 1.0),
        ("As an AI language model, I cannot have feelings.", 1.0),
        ("I cannot assist with this request.", 1.0),
        ("I can't help but smile.", 0.0),
        ("Sorry for the delay! Your card is on its way.", 0.0),
        ("The treaty says that states cannot provide arms.", 0.0),
        ("", 0.0),
    ],
)
def test_refusals(answer: str, refused: float) -> None:
    assert shape.looks_refused(answer) == refused


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: f"{text[:1]!a}x{len(text)}")
def test_hostile_text_is_judged_in_seconds(text: str) -> None:
    started = time.process_time()
    for how in ("none", "whitespace", "text"):
        assert matching.exact_match(text, text + "y", normalise=how) in (0.0, 1.0)
    assert json_fields.parse(text) is MISSING
    assert not json_fields.field_matches(text, Path("a"), text)
    assert shape.is_json(text) == shape.has_fields(text, {"a": "any"}) == shape.looks_refused(text) == 0.0
    assert shape.is_one_of(text, [text]) == 1.0
    assert Pattern(r"(?s).*y").found_in(text[:1000]) is False
    assert time.process_time() - started < 20.0


def test_values_nested_too_deep_are_an_error() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(EvaluationError, match="too deep"):
        json_fields.same_value(deep, deep)
