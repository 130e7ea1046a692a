"""The part of JSON Schema that is checked, against values that fit and values that do not."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.data.json_schema import problems, schema_problems

WEATHER = {
    "type": "object",
    "properties": {
        "place": {"type": "string"},
        "unit": {"enum": ["c", "f"]},
        "days": {"type": ["integer", "null"]},
        "points": {"type": "array", "items": {"type": "number"}},
        "by": {"anyOf": [{"type": "string"}, {"type": "object", "required": ["id"]}]},
    },
    "required": ["place"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "value",
    [
        {"place": "Rome"},
        {"place": "Rome", "unit": "c", "days": None, "points": [1, 2.5], "by": {"id": 1}},
        {"place": "", "days": 3.0},
    ],
)
def test_values_that_fit(value: Any) -> None:
    assert list(problems(value, WEATHER)) == []


@pytest.mark.parametrize(
    ("value", "where", "says"),
    [
        ([], "", "is a list, not object"),
        ({}, "place", "is missing"),
        ({"place": 7}, "place", "is a number, not string"),
        ({"place": "a", "unit": "k"}, "unit", "is 'k', not one of 'c', 'f'"),
        ({"place": "a", "days": 2.5}, "days", "is a number, not integer or null"),
        ({"place": "a", "days": True}, "days", "is true or false, not integer or null"),
        ({"place": "a", "points": [1, "2"]}, "points[1]", "is text, not number"),
        ({"place": "a", "by": {}}, "by", "fits none of 2 alternatives"),
        ({"place": "a", "more": 1}, "more", "is not among the properties"),
    ],
)
def test_values_that_do_not(value: Any, where: str, says: str) -> None:
    assert list(problems(value, WEATHER)) == [(where, says)]


@pytest.mark.parametrize(
    ("value", "schema", "fits"),
    [
        (1, {"const": True}, False),
        (True, {"enum": [1]}, False),
        ({"a": 1}, {"additionalProperties": {"type": "string"}}, False),
        ({"x-a": 1}, {"patternProperties": {"^x-": {}}, "additionalProperties": False}, True),
        ({"a": 1}, {"properties": {"a": False}}, False),
        ({"a": 1}, True, True),
        # What is not checked never fails.
        (7, {"minimum": 8}, True),
        ("a", {"$ref": "#/nowhere"}, True),
        ("a", {"type": "colour"}, True),
        ("a", "no schema", True),
        ({"a": 1}, {"properties": 7, "required": "a", "items": []}, True),
    ],
)
def test_corners(value: Any, schema: Any, fits: bool) -> None:
    assert (not list(problems(value, schema))) is fits


@pytest.mark.parametrize(
    ("schema", "where", "says"),
    [
        ("object", "", "is text, not an object"),
        ({"type": "text"}, "type", "'text' is no type"),
        ({"type": ["string", "text"]}, "type", "'text' is no type"),
        ({"properties": []}, "properties", "is a list, not an object"),
        ({"properties": {"a": 7}}, "properties.a", "is a number, not an object"),
        ({"required": "a"}, "required", "is text, not a list"),
        ({"required": ["a"], "properties": {"b": {}}}, "required", "'a' is not among the properties"),
        ({"enum": "a"}, "enum", "is text, not a list"),
        ({"items": {"type": "text"}}, "items.type", "'text' is no type"),
        ({"additionalProperties": 3}, "additionalProperties", "is a number, not an object"),
    ],
)
def test_schemas_that_are_wrong(schema: Any, where: str, says: str) -> None:
    assert list(schema_problems(schema)) == [(where, says)]


@pytest.mark.parametrize(
    "schema", [WEATHER, {}, True, {"type": "object", "required": ["left out to save tokens"]}]
)
def test_schemas_that_are_right(schema: Any) -> None:
    assert list(schema_problems(schema)) == []


def test_alternatives_within_alternatives_end() -> None:
    schema: Any = {"type": "string"}
    for _ in range(40):
        schema = {"anyOf": [schema, schema]}
    started = time.process_time()
    list(problems(7, schema))
    list(schema_problems(schema))
    assert time.process_time() - started < 5


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "enum",
                    "const",
                    "properties",
                    "required",
                    "items",
                    "anyOf",
                    "additionalProperties",
                    "a",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200)
@given(JSON, JSON)
def test_anything_may_stand_as_a_schema(value: Any, schema: Any) -> None:
    for where, says in [*problems(value, schema), *schema_problems(schema)]:
        assert says, where
