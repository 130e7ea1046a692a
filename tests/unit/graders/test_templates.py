"""Templates: what is put in is what comes out, and what is not there is an error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.graders import Sample
from tunekit.graders.flags import Unreadable
from tunekit.graders.templates import Template

CALL = {"id": "c", "type": "function", "function": {"name": "get", "arguments": '{"x": 1}'}}
NAMES = st.text(alphabet="abcäö_-09", min_size=1, max_size=6)
TEXTS = st.text(max_size=20).filter(lambda text: "{" not in text and "}" not in text)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(NAMES, inside, max_size=3),
    max_leaves=6,
)


def rendered(text: str, sample: str = "", item: dict[str, Any] | None = None) -> str:
    return Template.parse(text).render(Sample(sample, (CALL,)), item or {})


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{item.x}}", "1"),
        ("{{ item.x }} and {{item.x}}", "1 and 1"),
        ('{"x": {{item.x}}}', '{"x": 1}'),
        ("{{{item.x}}}", "{1}"),
        ("{{item.deep.list[1].b}}", "two"),
        ("{{item['deep'][\"list\"][0]}}", "one"),
        ("{{item.nothing}}", "null"),
        ("{{item.yes}}", "true"),
        ("{{sample.output_text}}", '{"a": {"b": 0.5}}'),
        ("{{sample.output_json.a.b}}", "0.5"),
        ("{{sample.output_json.a}}", '{"b": 0.5}'),
        ("{{sample.output_tools[0].function.name}}", "get"),
        ("{{sample.choices[0].message.content}}", '{"a": {"b": 0.5}}'),
        ("no variable {", "no variable {"),
    ],
)
def test_paths(template: str, text: str) -> None:
    item = {"x": 1, "nothing": None, "yes": True, "deep": {"list": ["one", {"b": "two"}]}}
    assert rendered(template, '{"a": {"b": 0.5}}', item) == text


@pytest.mark.parametrize(
    "template",
    [
        "{{}}",
        "{{ item }}",
        "{{item.}}",
        "{{items.x}}",
        "{{item.x|upper}}",
        "{{item.x",
        "{{ item.x }",
        "{{item[x]}}",
        "{{item[-1]}}",
        "{{sample.output_audio}}",
        "{{sample.text}}",
        "{{ 1 + 1 }}",
        "{{item.x.__class__}} {{",
    ],
)
def test_what_is_no_path_is_found_when_the_grader_is_read(template: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        Template.parse(template)


@pytest.mark.parametrize(
    ("template", "sample", "flag"),
    [
        ("{{item.y}}", "", "invalid_variable_error"),
        ("{{item.x.y}}", "", "invalid_variable_error"),
        ("{{item.x.__class__}}", "", "invalid_variable_error"),
        ("{{item.list[2]}}", "", "invalid_variable_error"),
        ("{{item.list.append}}", "", "invalid_variable_error"),
        ("{{sample.output_json.a}}", "no JSON", "sample_parse_error"),
        ("{{sample.output_json}}", "[1", "sample_parse_error"),
        ("{{sample.output_json.a}}", '{"b": 1}', "sample_parse_error"),
        ("{{sample.output_json.a}}", "[" * 100_000, "sample_parse_error"),
        ("{{sample.output_json.a}}", '{"a": NaN}', "sample_parse_error"),
        ("{{sample.output_tools[1].id}}", "", "sample_parse_error"),
    ],
)
def test_a_path_that_leads_nowhere_is_an_error(template: str, sample: str, flag: str) -> None:
    with pytest.raises(Unreadable) as failed:
        rendered(template, sample, {"x": "text", "list": [1, 2]})
    assert failed.value.flag == flag


def test_an_answer_that_is_null_is_json() -> None:
    assert rendered("{{sample.output_json}}", "null") == "null"


@settings(max_examples=60, deadline=None)
@given(before=TEXTS, name=NAMES, value=JSON, after=TEXTS)
def test_a_value_stands_where_its_variable_stood(before: str, name: str, value: Any, after: str) -> None:
    found = rendered(f"{before}{{{{ item.{name} }}}}{after}", item={name: value})
    assert found.startswith(before) and found.endswith(after)
    inner = found[len(before) : len(found) - len(after)]
    if isinstance(value, str):
        assert inner == value
    else:
        assert json.loads(inner) == value


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="{}[]. itemsample'\"0", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        Template.parse(text)
    except ValueError:
        return


def test_reading_is_linear() -> None:
    for text in ("{{" * 200_000, "{{item." * 100_000, "{{item" + ".a" * 200_000, "{{" + " " * 400_000):
        with pytest.raises(ValueError, match=r"\S"):
            Template.parse(text)
    assert Template.parse("{{item" + ".a" * 50_000 + "}}").pieces
