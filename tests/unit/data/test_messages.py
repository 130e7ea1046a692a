"""Answers in any form, and what counts as one; the text in JSON texts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from tests.unit.data import strategies
from tunekit.data.json_text import parsed, written
from tunekit.data.messages import answer, has_answer
from tunekit.data.tool_calls import from_functions, to_functions
from tunekit.errors import DataError
from tunekit.examples import Message, ToolCall, message_to_dict

A = {"role": "assistant", "content": "4"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("4", "4"),
        ("", ""),
        (A, "4"),
        ([A], "4"),
        ({**A, "content": ""}, ""),
        ({**A, "weight": 1}, "4"),
        ({**A, "name": "Bob"}, (Message(role="assistant", content="4", name="Bob"),)),
        ({**A, "role": "user"}, (Message(role="user", content="4"),)),
        ([A, A], (Message(role="assistant", content="4"),) * 2),
    ],
)
def test_an_answer_is_a_text_where_it_is_one(value: Any, expected: Any) -> None:
    assert answer(value, "chosen") == expected


@given(strategies.answer())
def test_answers_come_back(said: str | tuple[Message, ...]) -> None:
    turns = said if isinstance(said, str) else [message_to_dict(turn) for turn in said]
    assert answer(turns, "chosen") == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (7, "chosen: expected a list of messages, found a number"),
        ([], "chosen: the list of messages is empty"),
        ({"role": "assistant"}, "chosen.content: a message has no content"),
        ([A, {"content": "x"}], "chosen[1]: a message has no role"),
    ],
)
def test_a_wrong_answer_is_said_with_its_field(value: Any, said: str) -> None:
    with pytest.raises(DataError) as caught:
        answer(value, "chosen")
    assert str(caught.value).split("\n")[0] == said


@pytest.mark.parametrize(
    ("turn", "counts"),
    [
        (Message(role="assistant", content="x"), True),
        (Message(role="assistant", tool_calls=(ToolCall(id="", name="f", arguments=""),)), True),
        (Message(role="assistant", reasoning="hm"), True),
        (Message(role="assistant", content="", parts=({"type": "refusal", "refusal": "no"},)), True),
        (Message(role="assistant", content=" \n", reasoning=" "), False),
        (Message(role="assistant", content="x", weight=0.0), False),
        (Message(role="assistant", content="", parts=({"type": "text", "text": ""},)), False),
        (Message(role="user", content="x"), False),
    ],
)
def test_what_can_be_learned(turn: Message, counts: bool) -> None:
    assert has_answer((turn,)) is counts


@given(strategies.OBJECT)
def test_a_json_text_keeps_every_value(value: dict[str, Any]) -> None:
    text = written(value, "arguments")
    assert parsed(text, "arguments") == value
    assert json.loads(text) == value


def test_what_is_no_json_is_not_written() -> None:
    for value in (float("nan"), {"a": object()}):
        with pytest.raises(DataError, match="arguments: not a JSON value"):
            written(value, "arguments")


def test_functions_and_tools() -> None:
    functions = (
        {"name": "f"},
        {"type": "web_search"},
        {"type": "function", "function": {"name": "g"}, "strict": True},
    )
    tools = from_functions(functions)
    assert tools == ({"type": "function", "function": {"name": "f"}}, *functions[1:])
    assert to_functions(tools) == list(functions)
    with pytest.raises(DataError, match=r"tools\[0\]: a function stands where a tool is expected"):
        to_functions(functions)
