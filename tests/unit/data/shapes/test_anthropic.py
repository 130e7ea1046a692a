"""Anthropic's rows: system beside the messages, blocks as turns, results of tools in the user's turn."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from tests.unit.data import strategies
from tests.unit.data.shapes.law import comes_back, is_normal, means, read, recognised_by, refusal
from tunekit.data.shapes.anthropic import ANTHROPIC
from tunekit.examples import ChatExample, Message, ToolCall

U = {"role": "user", "content": "hi"}
A = {"role": "assistant", "content": "yo"}
USE = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "4"}
TOOL = {"name": "f", "description": "does f", "input_schema": {"type": "object", "properties": {}}}
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
LINK = {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}
MARKED = {"system": "be brief"}


def text(said: Any) -> dict[str, Any]:
    return {"type": "text", "text": said}


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


@given(strategies.chat(reasoning=True, schema=True, blank_system=False))
def test_every_chat_comes_back(example: ChatExample) -> None:
    comes_back(ANTHROPIC, example)


@pytest.mark.parametrize(
    "row",
    [
        {"system": "be brief", "messages": [U, A]},
        {"system": [text("be"), text("brief")], "messages": [U, A]},
        {"messages": [U, assistant(text("let me see"), USE), user(RESULT), A], "tools": [TOOL]},
        {
            "messages": [
                U,
                assistant(USE, {**USE, "id": "t2"}),
                user(RESULT, {**RESULT, "tool_use_id": "t2"}),
                A,
            ]
        },
        {"messages": [U, assistant({"type": "thinking", "thinking": "hm"}, text("a"))], "model": "claude"},
        {"messages": [user(text("what is it?"), PNG, LINK), A]},
        {"messages": [U, assistant(USE), user({**RESULT, "content": [text("see"), PNG]}), A]},
        {"messages": [U, A], "tools": [{**TOOL, "strict": True}]},
    ],
    ids=["system", "system blocks", "call", "parallel", "thinking", "images", "image result", "tool"],
)
def test_rows_in_normal_form(row: dict[str, Any]) -> None:
    is_normal(ANTHROPIC, row)


def test_turns_and_tools_in_openais_form() -> None:
    row = {
        "system": "be brief",
        "messages": [user(text("see"), PNG), assistant(USE), user(RESULT), A],
        "tools": [TOOL],
    }
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    function = {"name": "f", "description": "does f", "parameters": TOOL["input_schema"]}
    assert read(ANTHROPIC, row) == ChatExample(
        messages=(
            Message(role="system", content="be brief"),
            Message(role="user", content="see", parts=(text("see"), picture)),
            Message(role="assistant", tool_calls=(ToolCall(id="t1", name="f", arguments='{"a": 1}'),)),
            Message(role="tool", content="4", tool_call_id="t1"),
            Message(role="assistant", content="yo"),
        ),
        tools=({"type": "function", "function": function},),
    )


@pytest.mark.parametrize(
    ("turns", "normal"),
    [
        ([user(text("hi")), assistant(text("yo"))], [U, A]),
        ([user({**text("hi"), "cache_control": {"type": "ephemeral"}, "citations": None}), A], [U, A]),
        (
            [U, assistant({"type": "thinking", "thinking": "hm", "signature": "c2ln"}, text("a"))],
            [U, assistant({"type": "thinking", "thinking": "hm"}, text("a"))],
        ),
        (
            [
                U,
                assistant({**USE, "caller": {"type": "direct"}}),
                user({**RESULT, "is_error": False}, text("so?")),
                A,
            ],
            [U, assistant(USE), user(RESULT), {"role": "user", "content": "so?"}, A],
        ),
        (
            [U, assistant(USE), user({"type": "tool_result", "tool_use_id": "t1"}), A],
            [U, assistant(USE), user({**RESULT, "content": ""}), A],
        ),
        (
            [U, assistant(USE), user({**RESULT, "content": [text("4")]}), A],
            [U, assistant(USE), user(RESULT), A],
        ),
    ],
    ids=["one text", "caching", "signature", "results and text", "no result", "result in a block"],
)
def test_other_spellings(turns: list[dict[str, Any]], normal: list[dict[str, Any]]) -> None:
    means(ANTHROPIC, {**MARKED, "messages": turns}, {**MARKED, "messages": normal})


def test_other_systems_and_tools() -> None:
    means(ANTHROPIC, {"system": [text("be brief")], "messages": [U, A]}, {**MARKED, "messages": [U, A]})
    custom = {**TOOL, "type": "custom", "cache_control": {"type": "ephemeral"}}
    means(ANTHROPIC, {"messages": [U, A], "tools": [custom]}, {"messages": [U, A], "tools": [TOOL]})
    assert ANTHROPIC.write(read(ANTHROPIC, {"system": "", "messages": [U, A]})) == {"messages": [U, A]}


def test_a_row_without_marks_is_openais() -> None:
    row = {"messages": [U, A]}
    assert recognised_by(row) == ["openai"]
    assert ANTHROPIC.write(read(ANTHROPIC, row)) == row


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        ({"role": "system", "content": "x"}, "messages[0].role: unknown role 'system'"),
        ({**U, "name": "Ann"}, "messages[0].name: a message has the unknown key 'name'"),
        ({**U, "content": 7}, "messages[0].content: expected text or blocks, found a number"),
        (user(), "messages[0].content: a turn of 'user' with these blocks: none"),
        (user(USE), "messages[0].content: a turn of 'user' with these blocks: 'call'"),
        (
            user(text("x"), RESULT),
            "messages[0].content: a turn of 'user' with these blocks: 'said', 'result'",
        ),
        (
            assistant(USE, text("x")),
            "messages[0].content: a turn of 'assistant' with these blocks: 'call', 'said'",
        ),
        (user({"type": "document"}), "messages[0].content[0].type: unknown block 'document'"),
        (user("x"), "messages[0].content[0].type: unknown block None"),  # type: ignore[arg-type]  # a mistake
        (user(text(7)), "messages[0].content[0].text: expected text, found a number"),
        (
            user({"type": "image", "source": {"type": "file", "file_id": "f"}}),
            "messages[0].content[0].source: an image without a known source: an object",
        ),
        (assistant({**USE, "input": "{}"}), "messages[0].content[0].input: expected an object, found text"),
        (assistant({**USE, "id": None}), "messages[0].content[0].id: expected text, found null or nothing"),
        (assistant({**USE, "note": "x"}), "messages[0].content[0].note: a call has the unknown key 'note'"),
        (user({**RESULT, "is_error": True}), "messages[0].content[0].is_error: a result that is an error"),
        (
            user({**RESULT, "content": [USE]}),
            "messages[0].content[0].content: a turn of 'tool' with these blocks: 'call'",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_field(turn: Any, said: str) -> None:
    assert refusal(lambda: ANTHROPIC.read({**MARKED, "messages": [turn, A]}, "r")) == said


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"system": {"a": 1}}, "system: expected text, found an object"),
        ({"system": [USE]}, "system: a turn of 'system' with these blocks: 'call'"),
        (
            {"tools": [{"type": "bash_20250124", "name": "b"}]},
            "tools[0].type: a tool of type 'bash_20250124'",
        ),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name: expected text, found null or nothing"),
    ],
)
def test_wrong_systems_and_tools(columns: dict[str, Any], said: str) -> None:
    assert refusal(lambda: ANTHROPIC.read({"messages": [U, A], **columns}, "r")) == said


ASKED = Message(role="user", content="hi")
CALL = ToolCall(id="t1", name="f", arguments="{}")


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        (
            Message(role="system", content="x"),
            "messages[1].role: the shape 'anthropic' cannot hold a turn of 'system' here",
        ),
        (
            Message(role="developer", content="x"),
            "messages[1].role: the shape 'anthropic' cannot hold a turn of 'developer' here",
        ),
        (
            Message(role="user", content="x", name="Ann"),
            "messages[1].name: the shape 'anthropic' cannot hold the name of a speaker",
        ),
        (
            Message(role="assistant", content="x", weight=0.5),
            "messages[1].weight: the shape 'anthropic' cannot hold a weight",
        ),
        (
            Message(role="user", content="x", reasoning="hm"),
            "messages[1].reasoning: the shape 'anthropic' cannot hold reasoning",
        ),
        (
            Message(role="tool", content="x"),
            "messages[1].tool_call_id: the shape 'anthropic' cannot hold a result without the id of its call",
        ),
        (
            Message(role="assistant", tool_calls=(CALL.replace(arguments="7"),)),
            "messages[1].tool_calls[0].arguments: arguments are a number, and this shape holds only an object",
        ),
        (
            Message(role="user", content="", parts=({"type": "file", "file": {}},)),
            "messages[1].content[0]: the shape 'anthropic' cannot hold a part of type 'file' with all that it says",
        ),
    ],
)
def test_what_the_shape_cannot_hold(turn: Message, said: str) -> None:
    chat = ChatExample(messages=(ASKED, turn, Message(role="assistant", content="a")))
    assert refusal(lambda: ANTHROPIC.write(chat)) == said


def test_systems_and_tools_that_the_shape_cannot_hold() -> None:
    answer = Message(role="assistant", content="a")
    blank = ChatExample(messages=(Message(role="system", content=""), ASKED, answer))
    said = "messages[0].content: the shape 'anthropic' cannot hold a system turn that says nothing"
    assert refusal(lambda: ANTHROPIC.write(blank)) == said
    bare = ChatExample(messages=(ASKED, answer), tools=({"type": "function", "function": {"name": "f"}},))
    said = "tools[0].function.parameters: the shape 'anthropic' cannot hold a function without parameters"
    assert refusal(lambda: ANTHROPIC.write(bare)) == said


def test_results_next_to_each_other_share_a_turn() -> None:
    calls = (CALL, CALL.replace(id="t2"))
    results = [Message(role="tool", content=call.id, tool_call_id=call.id, name="f") for call in calls]
    chat = ChatExample(
        messages=(
            ASKED,
            Message(role="assistant", tool_calls=calls),
            *results,
            Message(role="assistant", content="a"),
        )
    )
    turn = ANTHROPIC.write(chat)["messages"][2]
    assert [block["tool_use_id"] for block in turn["content"]] == ["t1", "t2"]
    assert turn["role"] == "user"


def test_a_text_with_marks_that_are_not_kept_is_written_as_a_text() -> None:
    """Found by the fuzz: what is left of such a part has no need of a list, and would come back without one."""
    marked = {**text("yo"), "cache_control": {"type": "ephemeral"}}
    chat = ChatExample(messages=(ASKED, Message(role="assistant", content="yo", parts=(marked,))))
    assert ANTHROPIC.write(chat)["messages"][1] == A
