"""Bedrock's Converse rows: a version, blocks of one key, tools in a toolConfig."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from tests.unit.data import strategies
from tests.unit.data.shapes.law import comes_back, is_normal, means, read, refusal
from tunekit.data.shapes.converse import CONVERSE
from tunekit.examples import ChatExample, Message, ToolCall

VERSION = {"schemaVersion": "bedrock-conversation-2024"}


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


U = user({"text": "hi"})
A = assistant({"text": "yo"})
USE = {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1}}}
RESULT = {"toolResult": {"toolUseId": "t1", "content": [{"text": "4"}]}}
SPEC = {"toolSpec": {"name": "f", "description": "does f", "inputSchema": {"json": {"type": "object"}}}}
THOUGHT = {"reasoningContent": {"reasoningText": {"text": "hm"}}}
PNG = {"image": {"format": "png", "source": {"bytes": "aGk="}}}
BUCKET = {"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/a.png", "bucketOwner": "1"}}}}
VIDEO = {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://b/a.mp4"}}}}


@given(strategies.chat(reasoning=True, schema=True))
def test_every_chat_comes_back(example: ChatExample) -> None:
    comes_back(CONVERSE, example)


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [U, A]},
        {"system": [{"text": "be brief"}], "messages": [U, A], "source": "x"},
        {"system": [{"text": "be"}, {"text": "brief"}], "messages": [U, A]},
        {
            "messages": [U, assistant(THOUGHT, {"text": "let me see"}, USE), user(RESULT), A],
            "toolConfig": {"tools": [SPEC]},
        },
        {"messages": [user({"text": "what is it?"}, PNG, BUCKET, VIDEO), A]},
        {
            "messages": [
                U,
                assistant(USE),
                user({"toolResult": {"toolUseId": "t1", "content": [{"text": "a"}, PNG]}}),
                A,
            ]
        },
    ],
    ids=["plain", "system", "system blocks", "call", "media", "image result"],
)
def test_rows_in_normal_form(row: dict[str, Any]) -> None:
    is_normal(CONVERSE, VERSION | row)


def test_turns_and_tools_in_openais_form() -> None:
    row = {
        **VERSION,
        "system": [{"text": "be brief"}],
        "messages": [user(PNG), assistant(THOUGHT, USE), user(RESULT), A],
        "toolConfig": {"tools": [SPEC]},
    }
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    call = ToolCall(id="t1", name="f", arguments='{"a": 1}')
    function = {"name": "f", "description": "does f", "parameters": {"type": "object"}}
    assert read(CONVERSE, row) == ChatExample(
        messages=(
            Message(role="system", content="be brief"),
            Message(role="user", content="", parts=(picture,)),
            Message(role="assistant", tool_calls=(call,), reasoning="hm"),
            Message(role="tool", content="4", tool_call_id="t1"),
            Message(role="assistant", content="yo"),
        ),
        tools=({"type": "function", "function": function},),
    )


@pytest.mark.parametrize(
    ("row", "normal"),
    [
        ({"messages": [U, A]}, {"messages": [U, A]}),
        ({"system": [], "messages": [U, A]}, {"messages": [U, A]}),
        (
            {**VERSION, "messages": [user({"text": "hi"}, {"cachePoint": {"type": "default"}}), A]},
            {"messages": [U, A]},
        ),
        (
            {
                **VERSION,
                "messages": [
                    U,
                    assistant(
                        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
                        {"text": "yo"},
                    ),
                ],
            },
            {"messages": [U, assistant(THOUGHT, {"text": "yo"})]},
        ),
        (
            {
                "messages": [
                    U,
                    assistant(USE),
                    user(
                        {
                            "toolResult": {
                                "toolUseId": "t1",
                                "content": [{"json": {"n": [4]}}],
                                "status": "success",
                            }
                        }
                    ),
                    A,
                ]
            },
            {
                "messages": [
                    U,
                    assistant(USE),
                    user({"toolResult": {"toolUseId": "t1", "content": [{"text": '{"n": [4]}'}]}}),
                    A,
                ]
            },
        ),
        (
            {
                "messages": [U, A],
                "toolConfig": {
                    "tools": [SPEC, {"cachePoint": {"type": "default"}}],
                    "toolChoice": {"auto": {}},
                },
            },
            {"messages": [U, A], "toolConfig": {"tools": [SPEC]}},
        ),
    ],
    ids=["no version", "no system", "cache point", "signature", "json result", "cached tools"],
)
def test_other_spellings(row: dict[str, Any], normal: dict[str, Any]) -> None:
    means(CONVERSE, row, VERSION | normal)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            {"schemaVersion": "bedrock-conversation-2030", "messages": [U, A]},
            "schemaVersion: unknown version 'bedrock-conversation-2030'",
        ),
        ({"messages": [{**U, "role": "human"}, A]}, "messages[0].role: unknown role 'human'"),
        (
            {"messages": [{**U, "content": "hi"}, A]},
            "messages[0].content: expected a list of blocks, found text",
        ),
        ({"messages": [user(), A]}, "messages[0].content: a turn of 'user' with these blocks: none"),
        ({"messages": [user({"smell": {}}), A]}, "messages[0].content[0]: unknown block 'smell'"),
        ({"messages": [user({"text": 7}), A]}, "messages[0].content[0]: unknown block 'text'"),
        ({"messages": [user("x"), A]}, "messages[0].content[0]: unknown block 'x'"),
        (
            {"messages": [U, assistant({"toolUse": {"toolUseId": "t", "name": "f"}})]},
            "messages[1].content[0].toolUse.input: expected an object, found null or nothing",
        ),
        (
            {"messages": [U, assistant({"toolUse": {"toolUseId": "t", "name": 7, "input": {}}})]},
            "messages[1].content[0].toolUse.name: expected text, found a number",
        ),
        (
            {"messages": [user({"toolResult": {"toolUseId": "t", "content": [], "status": "error"}}), A]},
            "messages[0].content[0].toolResult.status: a result with the status 'error'",
        ),
        (
            {"messages": [U, A], "toolConfig": {"tools": [{"toolSpec": {"name": "f"}}]}},
            "toolConfig.tools[0]: expected a toolSpec with a name and an inputSchema",
        ),
        (
            {"messages": [U, A], "toolConfig": {"tools": [SPEC], "toolChoice": {"any": {}}}},
            "toolConfig.toolChoice: a choice of tool",
        ),
        ({"messages": [U, A], "toolConfig": [SPEC]}, "toolConfig: expected a toolConfig, found a list"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(row: Any, said: str) -> None:
    assert refusal(lambda: CONVERSE.read(VERSION | row, "r")) == said


ASKED = Message(role="user", content="hi")


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        (
            Message(role="developer", content="x"),
            "messages[1].role: the shape 'converse' cannot hold a turn of 'developer' here",
        ),
        (
            Message(role="user", content="x", name="Ann"),
            "messages[1].name: the shape 'converse' cannot hold the name of a speaker",
        ),
        (
            Message(role="assistant", content="x", weight=0.0),
            "messages[1].weight: the shape 'converse' cannot hold a weight",
        ),
        (
            Message(role="tool", content="x"),
            "messages[1].tool_call_id: the shape 'converse' cannot hold a result without the id of its call",
        ),
        (
            Message(
                role="user",
                content="",
                parts=({"type": "image_url", "image_url": {"url": "https://x/y.png"}},),
            ),
            "messages[1].content[0]: the shape 'converse' cannot hold a part of type 'image_url' with all that it says",
        ),
    ],
)
def test_what_the_shape_cannot_hold(turn: Message, said: str) -> None:
    chat = ChatExample(messages=(ASKED, turn, Message(role="assistant", content="a")))
    assert refusal(lambda: CONVERSE.write(chat)) == said


def test_a_function_without_parameters() -> None:
    tools = ({"type": "function", "function": {"name": "f"}},)
    chat = ChatExample(messages=(ASKED, Message(role="assistant", content="a")), tools=tools)
    said = "tools[0].function.parameters: the shape 'converse' cannot hold a function without parameters"
    assert refusal(lambda: CONVERSE.write(chat)) == said
