"""ShareGPT rows: speakers by many names, calls as JSON texts, tools and system in columns."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from tests.unit.data import strategies
from tests.unit.data.shapes.law import comes_back, is_normal, means, read, refusal
from tunekit.data.shapes.sharegpt import SHAREGPT
from tunekit.examples import ChatExample, Message, ToolCall

H = {"from": "human", "value": "hi"}
G = {"from": "gpt", "value": "yo"}
S = {"from": "system", "value": "be brief"}
CALLING = {"from": "function_call", "value": '{"name": "f", "arguments": {"a": 1}}'}
SEEN = {"from": "observation", "value": "4"}


@given(strategies.chat(ids=False, calls_and_content=False, weights=True))
def test_every_chat_comes_back(example: ChatExample) -> None:
    comes_back(SHAREGPT, example)


@pytest.mark.parametrize(
    "row",
    [
        {"conversations": [H, G]},
        {"conversations": [S, H, G, H, G], "tools": '[{"name": "f", "description": "é"}]', "lang": "en"},
        {"conversations": [H, CALLING, SEEN, G]},
        {
            "conversations": [
                H,
                {
                    "from": "function_call",
                    "value": '[{"name": "f", "arguments": {}}, {"name": "g", "arguments": {}}]',
                },
                SEEN,
                SEEN,
                {**G, "weight": 0.0},
                H,
                G,
            ]
        },
        {
            "conversations": [H, G],
            "tools": '[{"type": "function", "function": {"name": "f"}, "strict": true}]',
        },
        {"conversations": [{**H, "value": ""}, G], "images": ["a.png"]},
    ],
    ids=["plain", "system and tools", "call", "parallel calls", "a tool with more", "empty"],
)
def test_rows_in_normal_form(row: dict[str, Any]) -> None:
    is_normal(SHAREGPT, row)


@pytest.mark.parametrize(
    ("turns", "normal"),
    [
        ([{"from": "user", "value": "hi"}, {"from": "ChatGPT", "value": "yo"}], [H, G]),
        ([{"from": " Human ", "value": "hi"}, {"from": "bing", "value": "yo"}], [H, G]),
        ([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}], [H, G]),
        ([{"role": "human", "value": "hi"}, {"from": "model", "content": "yo"}], [H, G]),
        (
            [
                H,
                {"from": "tool_call", "value": {"name": "f", "arguments": '{"a": 1}'}},
                {"from": "tool", "value": "4"},
                G,
            ],
            [H, CALLING, SEEN, G],
        ),
        ([H, {**G, "loss": None, "markdown": None, "train": False}, H, G], [H, {**G, "weight": 0.0}, H, G]),
    ],
    ids=["names", "case", "keys", "mixed", "objects", "empty keys"],
)
def test_other_spellings(turns: list[dict[str, Any]], normal: list[dict[str, Any]]) -> None:
    means(SHAREGPT, {"conversations": turns}, {"conversations": normal})


def test_other_columns() -> None:
    for column in ("conversation", "messages"):
        means(SHAREGPT, {column: [H, G]}, {"conversations": [H, G]})
    means(SHAREGPT, {"conversations": [H, G], "system": "be brief"}, {"conversations": [S, H, G]})
    means(SHAREGPT, {"conversations": [S, H, G], "system": "be brief"}, {"conversations": [S, H, G]})
    means(SHAREGPT, {"conversations": [H, G], "system": "", "tools": ""}, {"conversations": [H, G]})
    tools = [{"name": "f"}]
    means(
        SHAREGPT,
        {"conversations": [H, G], "tools": tools},
        {"conversations": [H, G], "tools": '[{"name": "f"}]'},
    )


def test_tools_become_tools_in_openais_form() -> None:
    example = read(SHAREGPT, {"conversations": [H, CALLING, SEEN, G], "tools": '[{"name": "f"}]'})
    assert example == ChatExample(
        messages=(
            Message(role="user", content="hi"),
            Message(role="assistant", tool_calls=(ToolCall(id="call_1", name="f", arguments='{"a": 1}'),)),
            Message(role="tool", content="4", tool_call_id="call_1"),
            Message(role="assistant", content="yo"),
        ),
        tools=({"type": "function", "function": {"name": "f"}},),
    )


def test_turns_with_ids_of_their_own_keep_them() -> None:
    calls = [{"id": id, "function": {"name": "f", "arguments": "{}"}} for id in ("x", "y")]
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "content": "2", "tool_call_id": "y"},
        {"role": "tool", "content": "1", "tool_call_id": "x"},
        {"role": "assistant", "content": "a"},
    ]
    example = read(SHAREGPT, {"conversations": turns})
    assert isinstance(example, ChatExample)
    assert [turn.tool_call_id for turn in example.messages[2:4]] == ["y", "x"]


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        ("x", "conversations: expected a list of messages, found text"),
        ([H, "x"], "conversations[1]: expected a turn, found text"),
        ([{"value": "x"}, G], "conversations[0]: a turn does not say who speaks"),
        ([{"from": "narrator", "value": "x"}, G], "conversations[0].from: unknown speaker 'narrator'"),
        ([{"role": 7, "content": "x"}, G], "conversations[0].role: unknown speaker 7"),
        ([{"from": "human", "value": 7}, G], "conversations[0].content: expected text, found a number"),
        (
            [H, {"from": "function_call", "value": "f(1)"}],
            "conversations[1].value: not valid JSON: Expecting value at column 1, in 'f(1)'",
        ),
        (
            [H, {"from": "function_call", "value": "7"}],
            "conversations[1].value: expected a call, found a number",
        ),
        (
            [H, {"from": "function_call", "value": "[]"}],
            "conversations[1].value: expected a call, found a list",
        ),
        (
            [H, {"from": "function_call", "value": '{"name": "f"}'}],
            "conversations[1].value.arguments: expected an object or its JSON text, found null or nothing",
        ),
        (
            [H, {**CALLING, "tool_calls": [1]}],
            "conversations[1].tool_calls: a turn has the unknown key 'tool_calls'",
        ),
        ([H, {**G, "id": "x"}], "conversations[1].id: a message has the unknown key 'id'"),
        ([H], "conversations: no assistant turn, so nothing to learn"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(turns: Any, said: str) -> None:
    assert refusal(lambda: SHAREGPT.read({"conversations": turns}, "r")) == said


def test_a_system_turn_and_another_system_column() -> None:
    said = refusal(lambda: SHAREGPT.read({"conversations": [S, H, G], "system": "be long"}, "r"))
    assert said == "system: there are a system turn and a system column"


ASKED = Message(role="user", content="hi")
CALL = ToolCall(id="call_1", name="f", arguments="{}")


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        (
            Message(role="assistant", content="let me see", tool_calls=(CALL,)),
            "messages[1].content: the shape 'sharegpt' cannot hold a call and a text in one turn",
        ),
        (
            Message(role="assistant", content="a", reasoning="hm"),
            "messages[1].reasoning: the shape 'sharegpt' cannot hold reasoning",
        ),
        (
            Message(role="assistant", content="a", name="Bob"),
            "messages[1].name: the shape 'sharegpt' cannot hold the name of a speaker",
        ),
        (
            Message(role="developer", content="a"),
            "messages[1].role: the shape 'sharegpt' cannot hold the role 'developer'",
        ),
        (
            Message(role="assistant", tool_calls=(CALL.replace(arguments="[1]"),)),
            "messages[1].tool_calls[0].arguments: arguments are a list, and this shape holds only an object",
        ),
        (
            Message(role="assistant", tool_calls=(CALL.replace(arguments='{"a": 1, "a": 2}'),)),
            """messages[1].tool_calls[0].arguments: the key 'a' occurs twice in one object, in '{"a": 1, "a": 2}'""",
        ),
    ],
)
def test_what_the_shape_cannot_hold(turn: Message, said: str) -> None:
    assert refusal(lambda: SHAREGPT.write(ChatExample(messages=(ASKED, turn)))) == said


def test_results_in_another_order_than_their_calls() -> None:
    calls = (CALL, CALL.replace(id="call_2"))
    results = [Message(role="tool", content="x", tool_call_id=call.id) for call in reversed(calls)]
    chat = ChatExample(messages=(ASKED, Message(role="assistant", tool_calls=calls), *results))
    said = refusal(lambda: SHAREGPT.write(chat))
    assert said.startswith(
        "messages[2].tool_call_id: the shape 'sharegpt' has no ids, and the order does not say"
    )
