"""Mistral's rows: other names for what OpenAI has, ids of nine letters and digits, thoughts in a part."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given

from tests.unit.data import strategies
from tests.unit.data.shapes.law import means, read, recognised_by, refusal
from tunekit.data.shapes.chat import OPENAI
from tunekit.data.shapes.mistral import MISTRAL
from tunekit.examples import ChatExample, Message

U = {"role": "user", "content": "hi"}
A = {"role": "assistant", "content": "yo"}
CALLS = [{"id": "TX92Jm8Zi", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]
CALLING = {"role": "assistant", "tool_calls": CALLS}
RESULT = {"role": "tool", "content": "4", "tool_call_id": "TX92Jm8Zi"}
TOOLS = [{"type": "function", "function": {"name": "f", "description": "", "parameters": {}}}]


def same_ids(chat: ChatExample, other: ChatExample) -> ChatExample:
    """The chat with the ids of another one, if they link the same turns."""
    pairs = {
        call.id: renamed.id
        for turn, again in zip(chat.messages, other.messages, strict=True)
        for call, renamed in zip(turn.tool_calls, again.tool_calls, strict=True)
    }
    assert len(set(pairs.values())) == len(pairs)
    return chat.replace(
        messages=tuple(
            turn.replace(
                tool_calls=tuple(call.replace(id=pairs[call.id]) for call in turn.tool_calls),
                tool_call_id=pairs.get(turn.tool_call_id or "", turn.tool_call_id),
            )
            for turn in chat.messages
        )
    )


@given(strategies.chat(weights=True, reasoning=True))
def test_every_chat_comes_back_with_ids_of_nine(example: ChatExample) -> None:
    record = MISTRAL.write(example)
    again = MISTRAL.read(record, example.id)
    assert isinstance(again, ChatExample)
    assert again == same_ids(example, again)
    assert again.meta == example.meta
    ids = [call.id for turn in again.messages for call in turn.tool_calls]
    assert all(re.fullmatch("[a-zA-Z0-9]{9}", id) for id in ids)
    assert MISTRAL.write(again) == record


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [U, A]},
        {"messages": [{"role": "system", "content": "be brief"}, U, CALLING, RESULT, A], "tools": TOOLS},
        {"messages": [U, {**A, "weight": 0.0}, U, A], "source": "x"},
    ],
    ids=["plain", "call", "weight"],
)
def test_rows_in_the_modern_form_are_openais_too(row: dict[str, Any]) -> None:
    assert recognised_by(row) == ["openai"]
    assert MISTRAL.write(read(MISTRAL, row)) == row
    assert read(MISTRAL, row) == read(OPENAI, row)


THOUGHT = {"type": "thinking", "thinking": "hm", "closed": True}


@pytest.mark.parametrize(
    ("row", "normal"),
    [
        ({"interactions": [U, A]}, [U, A]),
        ({"messages": [{"role": "user", "text": "hi"}, {"role": "assistant", "text": "yo"}]}, [U, A]),
        (
            {"messages": [U, A], "system_prompt": "be brief"},
            [{"role": "system", "content": "be brief"}, U, A],
        ),
        ({"messages": [U, A, U, A, U], "only_last": True}, [U, {**A, "weight": 0.0}, U, A, U]),
        ({"messages": [U, A], "only_last": False}, [U, A]),
        (
            {"messages": [U, {"role": "assistant", "content": [THOUGHT, {"type": "text", "text": "yo"}]}]},
            [
                U,
                {
                    "role": "assistant",
                    "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "yo"}],
                },
            ],
        ),
        (
            {
                "messages": [
                    U,
                    {
                        "role": "assistant",
                        "content": [
                            {
                                "type": "thinking",
                                "thinking": [{"type": "text", "text": "h"}, {"type": "text", "text": "m"}],
                            }
                        ],
                        "tool_calls": CALLS,
                    },
                ]
            },
            [U, {**CALLING, "content": [{"type": "thinking", "thinking": "hm"}]}],
        ),
    ],
    ids=[
        "interactions",
        "text",
        "system_prompt",
        "only_last",
        "not only_last",
        "thought",
        "thought in chunks",
    ],
)
def test_other_spellings(row: dict[str, Any], normal: list[dict[str, Any]]) -> None:
    means(MISTRAL, row, {"messages": normal})


def test_available_tools() -> None:
    row = {"messages": [U, A], "available_tools": TOOLS}
    means(MISTRAL, row, {"messages": [U, A], "tools": TOOLS})


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            {"messages": [U, A], "interactions": [U, A]},
            "interactions: there are both 'messages' and 'interactions'",
        ),
        (
            {"messages": [U, A], "tools": TOOLS, "available_tools": TOOLS},
            "available_tools: there are both 'tools' and 'available_tools'",
        ),
        ({"messages": [{**U, "text": "hi"}, A]}, "messages[0].text: there are both 'content' and 'text'"),
        ({"interactions": [U, {"role": "assistant"}]}, "interactions[1].content: a message has no content"),
        (
            {"messages": [{"role": "system", "content": "a"}, U, A], "system_prompt": "b"},
            "system_prompt: there are a system turn and a system column",
        ),
        (
            {"messages": [U, {"role": "assistant", "content": [{"type": "thinking", "thinking": 7}]}]},
            "messages[1].content[0].thinking: expected text, found an object",
        ),
        (
            {"messages": [U, {"role": "assistant", "content": [{"type": "thinking", "thinking": [7]}]}]},
            "messages[1].content[0].thinking[0]: expected text, found a number",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_field(row: Any, said: str) -> None:
    assert refusal(lambda: MISTRAL.read(row, "r")) == said


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        (
            Message(role="developer", content="x"),
            "messages[0].role: the shape 'mistral' cannot hold the role 'developer'",
        ),
        (
            Message(role="user", content="x", name="Ann"),
            "messages[0].name: the shape 'mistral' cannot hold the name of a speaker",
        ),
    ],
)
def test_what_the_shape_cannot_hold(turn: Message, said: str) -> None:
    chat = ChatExample(messages=(turn, Message(role="assistant", content="a")))
    assert refusal(lambda: MISTRAL.write(chat)) == said
