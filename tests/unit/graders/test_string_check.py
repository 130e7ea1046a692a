"""`string_check` by the words of OpenAI's guide: equal, not equal, contains, contains whatever the case."""

from __future__ import annotations

import pytest

from tunekit.graders import Sample, parse


@pytest.mark.parametrize(
    ("operation", "text", "reference", "grade"),
    [
        ("eq", "Graz", "Graz", 1.0),
        ("eq", "graz", "Graz", 0.0),
        ("eq", "Graz ", "Graz", 0.0),
        ("ne", "Graz", "Graz", 0.0),
        ("ne", "Wien", "Graz", 1.0),
        ("like", "It is Graz.", "Graz", 1.0),
        ("like", "It is GRAZ.", "Graz", 0.0),
        ("like", "Gra", "Graz", 0.0),
        ("like", "anything", "", 1.0),
        ("ilike", "It is GRAZ.", "graz", 1.0),
        ("ilike", "STRASSE", "straße", 1.0),
        ("ilike", "Wien", "graz", 0.0),
    ],
)
def test_operations(operation: str, text: str, reference: str, grade: float) -> None:
    grader = parse(
        {
            "type": "string_check",
            "name": "city",
            "input": "{{ sample.output_text }}",
            "reference": "{{ item.city }}",
            "operation": operation,
        }
    )
    found = grader.grade(Sample(text), {"city": reference})
    assert (found.value, found.error) == (grade, None)


def test_numbers_and_objects_compare_as_json() -> None:
    grader = parse(
        {
            "type": "string_check",
            "input": "{{ sample.output_json.found }}",
            "reference": "{{ item.wanted }}",
            "operation": "eq",
        }
    )
    assert grader.grade(Sample('{"found": 4}'), {"wanted": 4}).value == 1.0
    assert (
        grader.grade(Sample('{"found": {"b": 1, "a": [true]}}'), {"wanted": {"a": [True], "b": 1}}).value
        == 1.0
    )
    assert grader.grade(Sample('{"found": "4"}'), {"wanted": 5}).value == 0.0
