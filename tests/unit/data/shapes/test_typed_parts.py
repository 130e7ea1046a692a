"""LLaMA-Factory's typed parts: reasoning, calls and media in parts, a weight on every turn."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from tests.unit.data import strategies
from tests.unit.data.shapes.law import comes_back, is_normal, means, read, refusal
from tunekit.data.shapes.typed_parts import TYPED_PARTS
from tunekit.examples import ChatExample, Message, ToolCall


def part(kind: str, value: Any) -> dict[str, Any]:
    return {"type": kind, "value": value}


def turn(role: str, *parts: dict[str, Any], weight: float | None = None) -> dict[str, Any]:
    default = float(role == "assistant")
    return {"role": role, "content": list(parts), "loss_weight": default if weight is None else weight}


U = turn("user", part("text", "hi"))
A = turn("assistant", part("text", "yo"))
CALL = part("tool_call", '{"name": "f", "arguments": {"a": 1}}')


@given(strategies.chat(ids=False, weights=True, reasoning=True))
def test_every_chat_comes_back(example: ChatExample) -> None:
    comes_back(TYPED_PARTS, example)


@pytest.mark.parametrize(
    "messages",
    [
        [U, A],
        [turn("system", part("text", "")), U, turn("assistant", part("text", "a"), weight=0.0), U, A],
        [U, turn("assistant", part("reasoning", "hm"), CALL), turn("tool", part("text", "4")), A],
        [U, turn("assistant", part("reasoning", "hm"), part("text", "two"), CALL, CALL, weight=0.5)],
        [turn("user", part("text", "see"), part("image_url", "a.png"), part("text", "that")), A],
        [turn("user", part("video_url", "a.mp4"), part("audio_url", "a.wav")), A],
    ],
    ids=["plain", "weights", "call", "all of it", "picture", "media"],
)
def test_rows_in_normal_form(messages: list[dict[str, Any]]) -> None:
    is_normal(TYPED_PARTS, {"messages": messages})
    is_normal(TYPED_PARTS, {"messages": messages, "tools": '[{"type": "function"}]', "source": "x"})


def test_other_spellings() -> None:
    plain = [{key: said for key, said in each.items() if key != "loss_weight"} for each in (U, A)]
    means(TYPED_PARTS, {"messages": plain}, {"messages": [U, A]})
    means(TYPED_PARTS, {"messages": plain, "tools": "[]"}, {"messages": [U, A]})
    mixed = [{"role": "system", "content": "be brief"}, U, A]
    means(TYPED_PARTS, {"messages": mixed}, {"messages": [turn("system", part("text", "be brief")), U, A]})
    # The reference renderer collects parts by their type, whatever their order.
    jumbled = turn("assistant", CALL, part("text", "a"), part("reasoning", "h"), part("reasoning", "m"))
    ordered = turn("assistant", part("reasoning", "hm"), part("text", "a"), CALL)
    means(TYPED_PARTS, {"messages": [U, jumbled]}, {"messages": [U, ordered]})


def test_parts_in_openais_form() -> None:
    row = {
        "messages": [turn("user", part("text", "see"), part("image_url", "a.png")), turn("assistant", CALL)]
    }
    picture = {"type": "image_url", "image_url": {"url": "a.png"}}
    call = ToolCall(id="call_1", name="f", arguments='{"a": 1}')
    assert read(TYPED_PARTS, row) == ChatExample(
        messages=(
            Message(role="user", content="see", parts=({"type": "text", "text": "see"}, picture)),
            Message(role="assistant", tool_calls=(call,)),
        )
    )


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (turn("user", part("smell", "x")), "messages[1].content[0].type: unknown part 'smell'"),
        (turn("user", part("text", 7)), "messages[1].content[0].value: expected text, found a number"),
        (
            turn("user", {**part("text", "x"), "note": 1}),
            "messages[1].content[0].note: a part has the unknown key 'note'",
        ),
        (
            turn("assistant", part("tool_call", "{")),
            "messages[1].content[0].value: not valid JSON: Expecting property name enclosed in double quotes"
            " at column 2, in '{'",
        ),
        (
            turn("assistant", part("tool_call", '{"name": "f"}')),
            "messages[1].content[0].value.arguments: expected an object or its JSON text, found null or nothing",
        ),
        (
            turn("user", part("text", "x"), weight=1.0),
            "messages[1].loss_weight: the turn of 'user' is marked to be learned; only those of 'assistant' are",
        ),
        ({**A, "tool_calls": [1]}, "messages[1].tool_calls: a message has the unknown key 'tool_calls'"),
        ({**A, "role": "gpt"}, "messages[1].role: unknown role 'gpt'"),
        (turn("user", CALL), "messages[1].content: a turn of 'user' thinks or makes a call"),
        ({**A, "content": 7}, "messages[1].content: expected text, found a number"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(message: Any, said: str) -> None:
    assert refusal(lambda: TYPED_PARTS.read({"messages": [U, message, A]}, "r")) == said


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            Message(role="user", content="x", name="Ann"),
            "messages[0].name: the shape 'typed-parts' cannot hold the name of a speaker",
        ),
        (
            Message(role="user", content="x", weight=0.0),
            "messages[0].weight: the shape 'typed-parts' cannot hold a weight",
        ),
        (
            Message(
                role="user",
                content="",
                parts=({"type": "image_url", "image_url": {"url": "a", "detail": "low"}},),
            ),
            "messages[0].content[0]: the shape 'typed-parts' cannot hold a part of type 'image_url'"
            " with all that it says",
        ),
        (
            Message(role="user", content="", parts=({"type": "input_audio", "input_audio": {}},)),
            "messages[0].content[0]: the shape 'typed-parts' cannot hold a part of type 'input_audio'"
            " with all that it says",
        ),
    ],
)
def test_what_the_shape_cannot_hold(message: Message, said: str) -> None:
    chat = ChatExample(messages=(message, Message(role="assistant", content="a")))
    assert refusal(lambda: TYPED_PARTS.write(chat)) == said
