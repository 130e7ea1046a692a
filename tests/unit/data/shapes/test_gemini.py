"""Gemini's rows: contents of parts, results without ids, schemas whose types are in capitals."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from tests.unit.data import strategies
from tests.unit.data.shapes.law import comes_back, is_normal, means, read, refusal
from tunekit.data.shapes.gemini import GEMINI
from tunekit.examples import ChatExample, Message, ToolCall


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "parts": list(parts)}


def model(*parts: Any) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


U = user({"text": "hi"})
A = model({"text": "yo"})
SYSTEM = {"parts": [{"text": "be brief"}]}
CALL = {"functionCall": {"name": "f", "args": {"a": 1}}}
RESPONSE = {"functionResponse": {"name": "f", "response": {"output": "4"}}}
SCHEMA = {
    "type": "OBJECT",
    "properties": {"type": {"type": "STRING", "enum": ["string"]}},
    "required": ["type"],
}
DECLARED = {"name": "f", "description": "does f", "parameters": SCHEMA}
PNG = {"inlineData": {"mimeType": "image/png", "data": "aGk="}}
PDF = {"inlineData": {"mimeType": "application/pdf", "data": "aGk="}}
FILE = {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://b/a.mp4"}}


@given(strategies.chat(ids=False, reasoning=True))
def test_every_chat_comes_back(example: ChatExample) -> None:
    comes_back(GEMINI, example)


@pytest.mark.parametrize(
    "row",
    [
        {"contents": [U, A]},
        {"systemInstruction": SYSTEM, "contents": [U, A, U, A], "source": "x"},
        {"contents": [U, model(CALL), user(RESPONSE), A], "tools": [{"functionDeclarations": [DECLARED]}]},
        {
            "contents": [
                U,
                model({"text": "hm", "thought": True}, {"text": "let me see"}, CALL, CALL),
                user(RESPONSE, RESPONSE),
                A,
            ]
        },
        {
            "contents": [
                U,
                model(CALL),
                user({"functionResponse": {"name": "f", "response": {"n": [4], "s": "é"}}}),
                A,
            ]
        },
        {"contents": [user({"text": "a"}, PNG, PDF, FILE, {"text": "b"}), A]},
    ],
    ids=["plain", "system", "call", "all of it", "object result", "media"],
)
def test_rows_in_normal_form(row: dict[str, Any]) -> None:
    is_normal(GEMINI, row)


def test_turns_and_tools_in_openais_form() -> None:
    row = {
        "systemInstruction": SYSTEM,
        "contents": [user({"text": "see"}, PNG), model(CALL), user(RESPONSE), A],
        "tools": [{"functionDeclarations": [DECLARED]}],
    }
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    schema = {
        "type": "object",
        "properties": {"type": {"type": "string", "enum": ["string"]}},
        "required": ["type"],
    }
    function = {"name": "f", "description": "does f", "parameters": schema}
    assert read(GEMINI, row) == ChatExample(
        messages=(
            Message(role="system", content="be brief"),
            Message(role="user", content="see", parts=({"type": "text", "text": "see"}, picture)),
            Message(role="assistant", tool_calls=(ToolCall(id="call_1", name="f", arguments='{"a": 1}'),)),
            Message(role="tool", content="4", tool_call_id="call_1"),
            Message(role="assistant", content="yo"),
        ),
        tools=({"type": "function", "function": function},),
    )


@pytest.mark.parametrize(
    ("row", "normal"),
    [
        (
            {"system_instruction": {"role": "system", **SYSTEM}, "contents": [U, A]},
            {"systemInstruction": SYSTEM, "contents": [U, A]},
        ),
        ({"contents": [{"parts": [{"text": "hi"}]}, A]}, {"contents": [U, A]}),
        (
            {
                "contents": [
                    U,
                    model({"function_call": {"name": "f", "args": {"a": 1}}}),
                    {"parts": [{"function_response": {"name": "f", "response": {"output": "4"}}}]},
                    A,
                ]
            },
            {"contents": [U, model(CALL), user(RESPONSE), A]},
        ),
        (
            {
                "contents": [
                    U,
                    model({"functionCall": {"name": "f"}, "thoughtSignature": "s"}),
                    {"role": "function", "parts": [RESPONSE]},
                    A,
                ]
            },
            {"contents": [U, model({"functionCall": {"name": "f", "args": {}}}), user(RESPONSE), A]},
        ),
        (
            {
                "contents": [
                    U,
                    model({"functionCall": {"id": "x", "name": "f", "args": {"a": 1}}}),
                    user({"functionResponse": {"id": "x", "name": "f", "response": {"output": "4"}}}),
                    A,
                ]
            },
            {"contents": [U, model(CALL), user(RESPONSE), A]},
        ),
        (
            {"contents": [user({"inline_data": {"mime_type": "image/png", "data": "aGk="}}), A]},
            {"contents": [user(PNG), A]},
        ),
        (
            {
                "contents": [U, A],
                "tools": [
                    {"function_declarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]},
                    {"functionDeclarations": [DECLARED]},
                ],
            },
            {
                "contents": [U, A],
                "tools": [
                    {"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}, DECLARED]}
                ],
            },
        ),
    ],
    ids=["snake system", "no role", "snake call", "no args", "ids", "snake data", "tools"],
)
def test_other_spellings(row: dict[str, Any], normal: dict[str, Any]) -> None:
    means(GEMINI, row, normal)


def test_results_are_matched_by_name() -> None:
    calls: list[Any] = [{"functionCall": {"name": name, "args": {}}} for name in ("f", "g")]
    results = [{"functionResponse": {"name": name, "response": {"output": name}}} for name in ("g", "f", "h")]
    row = {"contents": [U, model(*calls), user(*results), A]}
    is_normal(GEMINI, row)
    example = read(GEMINI, row)
    assert isinstance(example, ChatExample)
    tools = [turn for turn in example.messages if turn.role == "tool"]
    assert [(turn.tool_call_id, turn.name) for turn in tools] == [
        ("call_2", None),
        ("call_1", None),
        (None, "h"),
    ]


@pytest.mark.parametrize(
    "said", ['{"output": "x"}', '{"a":1}', '{"a": 1, "a": 2}', "{", "", "[1]", '{"a": 1}']
)
def test_results_keep_their_spelling(said: str) -> None:
    chat = ChatExample(
        messages=(
            Message(role="user", content="hi"),
            Message(role="assistant", tool_calls=(ToolCall(id="call_1", name="f", arguments="{}"),)),
            Message(role="tool", content=said, tool_call_id="call_1"),
            Message(role="assistant", content="a"),
        )
    )
    comes_back(GEMINI, chat)


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ([{**U, "role": "assistant"}, A], "contents[0].role: unknown role 'assistant'"),
        (["x", A], "contents[0]: expected a content, found text"),
        ([{"role": "user", "parts": "x"}, A], "contents[0].parts: expected a list of parts, found text"),
        ([user(), A], "contents[0].parts: a turn of 'user' with these blocks: none"),
        ([user({"text": 7}), A], "contents[0].parts[0]: expected a part, found {'text': 7}"),
        (
            [user({"executableCode": {}}), A],
            "contents[0].parts[0]: expected a part, found {'executableCode': {}}",
        ),
        ([user(CALL), A], "contents[0].parts: a turn of 'user' with these blocks: 'call'"),
        (
            [U, model({"functionCall": {"args": {}}})],
            "contents[1].parts[0].functionCall.name: expected text, found null or nothing",
        ),
        (
            [U, model({"functionCall": {"name": "f", "args": "{}"}})],
            "contents[1].parts[0].functionCall.args: expected an object, found text",
        ),
        (
            [user({"functionResponse": {"name": "f", "response": "4"}}), A],
            "contents[0].parts[0].functionResponse.response: expected an object, found text",
        ),
        (
            [user({"inlineData": {"mimeType": "image/png"}}), A],
            "contents[0].parts[0].inlineData.data: expected text, found null or nothing",
        ),
        ([U], "contents: no assistant turn, so nothing to learn"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(contents: Any, said: str) -> None:
    assert refusal(lambda: GEMINI.read({"contents": contents}, "r")) == said


def test_other_tools_than_functions() -> None:
    row = {"contents": [U, A], "tools": [{"googleSearch": {"x": 1}}]}
    assert (
        refusal(lambda: GEMINI.read(row, "r"))
        == "tools[0].googleSearch: a tool has the unknown key 'googleSearch'"
    )


ASKED = Message(role="user", content="hi")


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        (
            Message(role="developer", content="x"),
            "messages[1].role: the shape 'gemini' cannot hold a turn of 'developer' here",
        ),
        (
            Message(role="assistant", content="x", weight=0.0),
            "messages[1].weight: the shape 'gemini' cannot hold a weight",
        ),
        (
            Message(role="tool", content="x"),
            "messages[1]: the shape 'gemini' cannot hold a result without a name and a text",
        ),
        (
            Message(
                role="user",
                content="",
                parts=({"type": "image_url", "image_url": {"url": "https://x/y.png"}},),
            ),
            "messages[1].content[0]: the shape 'gemini' cannot hold a part of type 'image_url' with all that it says",
        ),
        (
            Message(
                role="user",
                content="",
                parts=({"type": "file", "file": {"file_data": "data:image/png;base64,aGk="}},),
            ),
            "messages[1].content[0]: the shape 'gemini' cannot hold a part of type 'file' with all that it says",
        ),
    ],
)
def test_what_the_shape_cannot_hold(turn: Message, said: str) -> None:
    chat = ChatExample(messages=(ASKED, turn, Message(role="assistant", content="a")))
    assert refusal(lambda: GEMINI.write(chat)) == said
