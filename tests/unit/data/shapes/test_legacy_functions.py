"""OpenAI's former functions: calls get ids in their order, and the old form comes back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from tests.unit.data import strategies
from tests.unit.data.shapes.law import comes_back, is_normal, means, read, refusal
from tunekit.data.shapes.legacy_functions import OPENAI_FUNCTIONS
from tunekit.examples import ChatExample, Message, ToolCall

U = {"role": "user", "content": "hi"}
A = {"role": "assistant", "content": "yo"}
CALLING = {"role": "assistant", "function_call": {"name": "f", "arguments": '{"a":1}'}}
RESULT = {"role": "function", "content": "4", "name": "f"}
FUNCTION = {"name": "f", "description": "does f", "parameters": {"type": "object", "properties": {}}}


@given(strategies.chat(ids=False, parallel=False, parts=True, weights=True, reasoning=True))
def test_every_chat_with_single_calls_comes_back(example: ChatExample) -> None:
    comes_back(OPENAI_FUNCTIONS, example)


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [U, A], "functions": [FUNCTION]},
        {"messages": [U, CALLING], "functions": [FUNCTION]},
        {"messages": [U, CALLING, RESULT, CALLING, RESULT, A]},
        {
            "messages": [U, {**CALLING, "content": "let me see"}, RESULT, A],
            "functions": [FUNCTION],
            "source": "x",
        },
        {"messages": [U, CALLING, {**RESULT, "name": "another"}, A]},
        {"messages": [U, RESULT, {**A, "weight": 0.5}]},
    ],
    ids=["unused", "call", "two calls", "said and called", "other name", "no call"],
)
def test_rows_in_normal_form(row: dict[str, Any]) -> None:
    is_normal(OPENAI_FUNCTIONS, row)


def test_calls_and_tools_in_the_modern_form() -> None:
    example = read(OPENAI_FUNCTIONS, {"messages": [U, CALLING, RESULT, CALLING], "functions": [FUNCTION]})
    calls = [ToolCall(id=f"call_{number}", name="f", arguments='{"a":1}') for number in (1, 2)]
    assert example == ChatExample(
        messages=(
            Message(role="user", content="hi"),
            Message(role="assistant", tool_calls=(calls[0],)),
            Message(role="tool", content="4", tool_call_id="call_1"),
            Message(role="assistant", tool_calls=(calls[1],)),
        ),
        tools=({"type": "function", "function": FUNCTION},),
    )


@pytest.mark.parametrize(
    ("turn", "normal"),
    [
        ({**CALLING, "content": None, "tool_calls": None}, CALLING),
        ({**RESULT, "content": None}, {**RESULT, "content": ""}),
        (
            {**CALLING, "function_call": {"name": "f", "arguments": {"a": 1}}},
            {**CALLING, "function_call": {"name": "f", "arguments": '{"a": 1}'}},
        ),
    ],
    ids=["nulls", "nothing returned", "object"],
)
def test_other_spellings(turn: dict[str, Any], normal: dict[str, Any]) -> None:
    row = {"messages": [U, CALLING, turn, A]}
    means(OPENAI_FUNCTIONS, row, {"messages": [U, CALLING, normal, A]})


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        (
            [U, {**CALLING, "function_call": {"name": "f"}}],
            "messages[1].function_call.arguments: expected an object or its JSON text, found null or nothing",
        ),
        ([U, {**CALLING, "function_call": "f"}], "messages[1].function_call: expected an object, found text"),
        (
            [U, {**CALLING, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}],
            "messages[1]: a turn has both function_call and tool_calls",
        ),
        ([U, {"role": "function", "content": 7}], "messages[1].content: expected text, found a number"),
        (
            [U, {**A, "function_calls": [1]}],
            "messages[1].function_calls: a message has the unknown key 'function_calls'",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_field(messages: Any, said: str) -> None:
    row = {"messages": messages, "functions": [FUNCTION]}
    assert refusal(lambda: OPENAI_FUNCTIONS.read(row, "r")) == said


CALL = ToolCall(id="call_1", name="f", arguments="{}")
ASKED = Message(role="user", content="hi")


@pytest.mark.parametrize(
    ("messages", "tools", "said"),
    [
        (
            (ASKED, Message(role="assistant", tool_calls=(CALL, CALL.replace(id="call_2")))),
            (),
            "messages[1].tool_calls: the shape 'openai-functions' cannot hold two calls in one turn",
        ),
        (
            (ASKED, Message(role="tool", content="4"), Message(role="assistant", content="a")),
            (),
            "messages[1].name: the shape 'openai-functions' cannot hold a tool turn without the name of its function",
        ),
        (
            (
                ASKED,
                Message(role="assistant", tool_calls=(CALL,)),
                Message(role="tool", content="4", tool_call_id="z"),
            ),
            (),
            "messages[2].tool_call_id: the shape 'openai-functions' has no ids, and the order does not say which call"
            " this turn answers",
        ),
        (
            (ASKED, Message(role="assistant", content="a")),
            ({"type": "web_search"},),
            "tools[0]: the shape 'openai-functions' cannot hold a tool that is no function",
        ),
    ],
)
def test_what_the_shape_cannot_hold(messages: tuple[Message, ...], tools: Any, said: str) -> None:
    assert refusal(lambda: OPENAI_FUNCTIONS.write(ChatExample(messages=messages, tools=tools))) == said


def test_ids_and_names_that_the_order_says_are_left_out() -> None:
    messages = (
        ASKED,
        Message(role="assistant", tool_calls=(CALL.replace(id="toolu_9"),)),
        Message(role="tool", content="4", tool_call_id="toolu_9", name="f"),
        Message(role="assistant", content="a"),
    )
    written = OPENAI_FUNCTIONS.write(ChatExample(messages=messages))
    assert written["messages"][1:3] == [
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "content": "4", "name": "f"},
    ]
