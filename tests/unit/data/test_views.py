"""One view of all kinds: every text has a field that leads to it, and answers are what a model is trained to say."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings

from tests.unit.data import strategies
from tests.unit.data.checks.looking import assistant, calls, chat, result, system, user
from tunekit.data.views import answer_text, input_text, texts
from tunekit.examples import (
    CompletionExample,
    Example,
    LabelledExample,
    PreferenceExample,
    PromptExample,
    Segment,
    SegmentsExample,
    UnpairedExample,
)


def follow(example: Any, field: str) -> Any:
    """What stands at a path such as `messages[1].tool_calls[0].function.name`."""
    for name, index in re.findall(r"(\w+)|\[(\d+)\]", field.replace(".function.", ".")):
        example = getattr(example, name) if name else example[int(index)]
    return example


@settings(max_examples=100, deadline=None)
@given(strategies.example())
def test_fields_lead_to_texts(example: Example) -> None:
    found = list(texts(example))
    assert len({field for field, _, _ in found}) == len(found)
    for field, text, _ in found:
        if not field.startswith("reference."):
            assert follow(example, field) == text


@settings(max_examples=100, deadline=None)
@given(strategies.example())
def test_inputs_and_answers_are_made_of_those_texts(example: Example) -> None:
    found = list(texts(example))
    if isinstance(example, SegmentsExample):  # what is learned and what is not take turns
        assert input_text(example) == "\n".join(text for _, text, learned in found if not learned)
        assert answer_text(example) == "\n".join(text for _, text, learned in found if learned)
        return
    everything = "\n".join(text for _, text, _ in found)
    assert input_text(example) in everything
    assert answer_text(example) in everything


@pytest.mark.parametrize(
    ("example", "read", "said", "answers"),
    [
        (CompletionExample(prompt="a", completion="b"), "a", "b", ["completion"]),
        (LabelledExample(text="a", label=("b", "c")), "a", "b\nc", ["label[0]", "label[1]"]),
        (
            SegmentsExample(segments=(Segment(text="a", learn=False), Segment(text="b", learn=True))),
            "a",
            "b",
            ["segments[1].text"],
        ),
        (
            chat(
                system("s"), user("a"), assistant("b", weight=0.0), user("c"), assistant("d", reasoning="hm")
            ),
            "s\na\nb\nc",
            "hm\nd",
            ["messages[4].reasoning", "messages[4].content"],
        ),
        (
            chat(user("a"), calls(("1", "look", "{}")), result("1", "r"), calls(("2", "sell", "{}"))),
            "a\nlook\n{}\nr",
            "sell\n{}",
            [
                f"messages[{n}].tool_calls[0].function.{part}"
                for n in (1, 3)
                for part in ("name", "arguments")
            ],
        ),
        (PreferenceExample(messages=(user("a"),), chosen="b", rejected="c"), "a", "b", ["chosen"]),
        (
            PreferenceExample(messages=(user("a"),), chosen=(assistant("b"),), rejected=(assistant("c"),)),
            "a",
            "b",
            ["chosen[0].content"],
        ),
        (UnpairedExample(messages=(user("a"),), completion="b", desirable=False), "a", "b", []),
        (UnpairedExample(messages=(user("a"),), completion="b", desirable=True), "a", "b", ["completion"]),
        (PromptExample(messages=(user("a"),), reference={"n": 7, "t": "b"}), "a", "7\nb", []),
        (chat(user("a")), "a", "", []),
    ],
)
def test_what_is_read_and_what_is_said(example: Example, read: str, said: str, answers: list[str]) -> None:
    assert (input_text(example), answer_text(example)) == (read, said)
    assert [field for field, _, is_answer in texts(example) if is_answer] == answers
