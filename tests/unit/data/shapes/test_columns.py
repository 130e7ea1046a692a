"""Columns that the caller names: templates, several labels, names of labels, prompts to be graded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.data.shapes.columns import Columns, read
from tunekit.data.shapes.fields import BlankTarget
from tunekit.errors import DataError, SpecError
from tunekit.examples import CompletionExample, Example, LabelledExample, Message, PromptExample


def one(record: dict[str, Any], *args: Any, **options: Any) -> Example:
    asked = Columns.of(*args, **options)
    assert asked is not None
    return read(asked, record, "r:1")


def test_nothing_said_is_nothing_asked() -> None:
    assert Columns.of(None, None, None) is None


@pytest.mark.parametrize(
    ("template", "prompt", "meta"),
    [
        ("{premise} -> {hypothesis}", "It rains. -> It is wet.", {}),
        ("Is it so?\n{premise}", "Is it so?\nIt rains.", {"hypothesis": "It is wet."}),
        ('{{"a": "{premise}"}}', '{"a": "It rains."}', {"hypothesis": "It is wet."}),
        ("{premise}{premise}", "It rains.It rains.", {"hypothesis": "It is wet."}),
        ("premise", "It rains.", {"hypothesis": "It is wet."}),
    ],
)
def test_a_template_reads_from_several_columns(template: str, prompt: str, meta: dict[str, Any]) -> None:
    row = {"premise": "It rains.", "hypothesis": "It is wet.", "label": 0}
    found = one(row, template, "label", None)
    assert found == CompletionExample(prompt=prompt, completion="0")
    assert found.meta == meta


def test_a_template_names_columns_and_nothing_inside_them() -> None:
    row = {"a.b": "x", "c[0]": "y", "d:e!r": "z", "out": "o"}
    assert one(row, "{a.b}{c[0]}{d:e!r}", "out", None) == CompletionExample(prompt="xyz", completion="o")
    with pytest.raises(DataError, match=r"no key 'out.__class__'; the keys are"):
        one(row, "{out.__class__}", "out", None)


def test_a_column_with_braces_in_its_name_is_that_column() -> None:
    assert one({"{x}": "a", "y": "b"}, "{x}", "y", None) == CompletionExample(prompt="a", completion="b")


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5), min_size=1, max_size=3), st.text(max_size=9))
def test_a_template_is_literal_but_for_the_columns(row: dict[str, str], text: str) -> None:
    literal = text.replace("{", "{{").replace("}", "}}")
    column = "column one"
    found = one({**row, column: "x", "target": "y"}, f"{literal}{{{column}}}{literal}", "target", None)
    assert isinstance(found, CompletionExample)
    assert found.prompt == f"{text}x{text}"


def test_wanted_columns_are_those_of_the_template() -> None:
    asked = Columns.of("{a}: {b}", ["x", "y"], None)
    assert asked is not None and asked.names == ("a", "b", "x", "y")
    alone = Columns.of(None, "x", None)
    assert alone is not None and alone.names == ("x",)


# --- labels -------------------------------------------------------------------------------------------


def test_columns_of_zeros_and_ones_are_labels() -> None:
    row = {"text": "you idiot", "toxic": "1", "insult": 1.0, "threat": False, "obscene": " 0 ", "id": "7"}
    found = one(row, "text", ["toxic", "insult", "threat", "obscene"], None)
    assert found == LabelledExample(text="you idiot", label=("toxic", "insult"))
    assert found.meta == {"id": "7"}
    assert one({**row, "toxic": 0, "insult": 0}, "text", ["toxic", "insult"], None) == LabelledExample(
        text="you idiot", label=()
    )


@pytest.mark.parametrize("value", ["2", "", None, "maybe", 0.5, [1]])
def test_what_is_neither_one_nor_zero_is_refused(value: Any) -> None:
    with pytest.raises(DataError) as caught:
        one({"text": "a", "toxic": value}, "text", ["toxic"], None)
    assert caught.value.field == "toxic"
    assert caught.value.hint


@pytest.mark.parametrize(
    ("names", "value", "label"),
    [
        (["neg", "pos"], 1, "pos"),
        (["neg", "pos"], "1", "pos"),
        (["neg", "pos"], 1.0, "pos"),
        ({0: "neg", 1: "pos"}, " 0 ", "neg"),
        ({"0": "neg"}, 0, "neg"),
        ({True: "yes", False: "no"}, True, "yes"),
        ({-1: "bad", 0.5: "half"}, 0.5, "half"),
        ({"A": "art"}, ["A", "A"], ("art", "art")),
    ],
)
def test_labels_get_their_names(names: Any, value: Any, label: str | tuple[str, ...]) -> None:
    found = one({"t": "a", "y": value}, "t", "y", None, names)
    assert found == LabelledExample(text="a", label=label)


def test_a_separator_parts_labels_only_when_asked() -> None:
    row = {"t": "a", "y": "news; sport;"}
    assert one(row, "t", "y", "labelled") == LabelledExample(text="a", label="news; sport;")
    assert one(row, "t", "y", None, label_separator=";") == LabelledExample(text="a", label=("news", "sport"))


def test_labels_are_kept_to_the_letter() -> None:
    for label in (" Spam", "spam ", "007", "NA", "null", "None", "nan"):
        assert one({"t": "a", "y": label}, "t", "y", "labelled") == LabelledExample(text="a", label=label)
    assert one({"t": "a", "y": 7.0}, "t", "y", "labelled") == LabelledExample(text="a", label="7")
    assert one({"t": "a", "y": False}, "t", "y", "labelled") == LabelledExample(text="a", label="false")


@pytest.mark.parametrize("value", ["", " ", None, float("nan")])
def test_an_empty_target_is_nothing_to_learn(value: Any) -> None:
    for kind in ("completion", "labelled", "prompt"):
        with pytest.raises(BlankTarget):
            one({"t": "a", "y": value}, "t", "y", kind)


# --- prompts ------------------------------------------------------------------------------------------


def test_prompts_to_be_graded() -> None:
    row = {"question": "2+2?", "gold": 4, "level": "easy"}
    found = one(row, "question", "gold", "prompt")
    assert found == PromptExample(messages=(Message(role="user", content="2+2?"),), reference={"gold": 4})
    assert found.meta == {"level": "easy"}


# --- arguments ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (
            {"target": []},
            "target must name a column, or list several, not []",
            "pass a text, such as target='label'",
        ),
        ({"target": [1]}, "target must name a column, or list several, not [1]", "pass a text"),
        ({"input": 3, "target": "y"}, "input must be the name of one column, not 3", "pass a text"),
        ({"input": "t"}, "input='t' needs a target", "pass target="),
        ({"kind": "chat"}, "unknown kind 'chat'", "kinds are 'completion', 'labelled', 'prompt'"),
        ({"target": "y", "kind": "labelled"}, "kind='labelled' needs input=", "name the column"),
        ({"target": ["x", "y"]}, "kind='labelled' needs input=", "name the column"),
        ({"target": "y", "kind": "prompt"}, "kind='prompt' needs input=", "name the column"),
        (
            {"input": "t", "target": ["x"], "kind": "completion"},
            "kind='completion' has no labels",
            "leave kind out, or pass kind='labelled'",
        ),
        ({"kind": "prompt", "label_names": ["a"]}, "kind='prompt' has no labels", "leave kind out"),
        ({"label_names": "neg,pos"}, "label_names is 'neg,pos'", 'pass a list, such as ["no", "yes"]'),
        ({"label_names": 3}, "label_names is 3", "pass a list"),
        ({"label_names": ["a", " "]}, "label_names has the name ' '", "names of labels are texts"),
        ({"label_names": {None: "a"}}, "label_names has the key None", "keys are what stands in the column"),
        ({"label_separator": ""}, "label_separator is ''", "pass a text, such as ';'"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str, hint: str) -> None:
    given = {"input": None, "target": None, "kind": None, **arguments}
    with pytest.raises(SpecError) as caught:
        Columns.of(**given)
    assert caught.value.message == message
    assert caught.value.hint.startswith(hint)
