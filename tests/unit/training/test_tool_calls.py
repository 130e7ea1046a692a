"""Tool calls in the text of an answer: found where they are whole, left in the text where they are not."""

from __future__ import annotations

import pytest

from tunekit.training.texts.tool_calls import split_calls

CALL = '<tool_call>\n{"name": "look", "arguments": {"x": [1, "ä"]}}\n</tool_call>'


def test_calls_have_the_shape_of_a_chat_completion() -> None:
    text, calls = split_calls(f"First. {CALL}{CALL} Then.")
    assert text == "First.  Then."
    function = {"name": "look", "arguments": '{"x":[1,"ä"]}'}
    assert calls == tuple({"id": f"call_{n}", "type": "function", "function": function} for n in range(2))


def test_arguments_that_are_text_stay_as_they_are() -> None:
    _, (call,) = split_calls('<tool_call>{"name": "look", "arguments": "{ }"}</tool_call>')
    assert call["function"]["arguments"] == "{ }"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " no call ",
        "<tool_call>",
        '<tool_call>{"name": "look"',
        "<tool_call>look()</tool_call>",
        '<tool_call>["look"]</tool_call>',
        '<tool_call>{"name": 4}</tool_call>',
        "<tool_call>" + "[" * 100_000 + "</tool_call>",
        "<tool_call>" * 50_000,
    ],
)
def test_what_is_no_call_stays_in_the_text(text: str) -> None:
    assert split_calls(text) == (text, ())
