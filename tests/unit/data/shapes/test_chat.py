"""OpenAI's chat rows: every message that the API knows comes back, and what others write is understood."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from tests.unit.data import strategies
from tests.unit.data.shapes.law import comes_back, is_normal, means, read, refusal
from tunekit.data.shapes.chat import OPENAI
from tunekit.examples import ChatExample, CompletionExample, Message, ToolCall

U = {"role": "user", "content": "hi"}
A = {"role": "assistant", "content": "yo"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
PICTURE = {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}}


@given(strategies.chat(parts=True, names=True, weights=True, reasoning=True))
def test_every_chat_comes_back(example: ChatExample) -> None:
    comes_back(OPENAI, example)


@pytest.mark.parametrize(
    "messages",
    [
        [U, A],
        [{"role": "system", "content": ""}, U, A],
        [{"role": "developer", "content": "be brief"}, {**U, "name": "Ann"}, {**A, "weight": 0.0}, U, A],
        [U, CALLING, {"role": "tool", "content": "4", "tool_call_id": "c1"}, A],
        [U, {**CALLING, "content": "let me see", "tool_calls": [CALL, {**CALL, "id": "c2"}]}],
        [{**U, "content": [{"type": "text", "text": "what is this?"}, PICTURE]}, A],
        [{**U, "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, A],
        [U, {**A, "content": [{"type": "refusal", "refusal": "no"}]}],
        [U, {"role": "assistant", "content": "4", "reasoning_content": "2+2 is 4"}],
        [U, {**A, "weight": 1.5}],
        [U, A, U],
    ],
    ids=lambda messages: "-".join(turn["role"][0] for turn in messages),
)
def test_messages_in_normal_form(messages: list[dict[str, Any]]) -> None:
    is_normal(OPENAI, {"messages": messages})


def test_columns_beside_the_messages_are_meta() -> None:
    row = {"messages": [U, A], "tools": [TOOL], "parallel_tool_calls": False, "images": ["a.png"], "id": 7}
    is_normal(OPENAI, row)
    assert read(OPENAI, row).meta == {"parallel_tool_calls": False, "images": ["a.png"], "id": 7}


@pytest.mark.parametrize(
    ("turn", "normal"),
    [
        ({**A, "refusal": None, "annotations": [], "audio": None, "function_call": None, "prefix": False}, A),
        (
            {"role": "assistant", "content": None, "refusal": "no"},
            {**A, "content": [{"type": "refusal", "refusal": "no"}]},
        ),
        ({"role": "assistant", "tool_calls": [CALL]}, CALLING),
        ({**CALLING, "content": []}, CALLING),
        ({**CALLING, "tool_calls": [{**CALL, "index": 0}]}, CALLING),
        ({**CALLING, "tool_calls": [{"id": "c1", "function": CALL["function"]}]}, CALLING),
        ({**CALLING, "tool_calls": [{"id": "c1", "name": "f", "arguments": {"a": 1}}]}, CALLING),
        ({**A, "reasoning": "hm"}, {**A, "reasoning_content": "hm"}),
        ({**A, "thinking": "hm", "reasoning": "hm"}, {**A, "reasoning_content": "hm"}),
        ({**A, "train": False}, {**A, "weight": 0.0}),
        ({**A, "training": True}, A),
        ({**A, "loss": True, "loss_mask": 1}, A),
        ({**A, "loss_weight": 0.25}, {**A, "weight": 0.25}),
        ({**A, "weight": 1}, A),
    ],
    ids=lambda turn: " ".join(turn),
)
def test_other_spellings_of_an_answer(turn: dict[str, Any], normal: dict[str, Any]) -> None:
    means(OPENAI, {"messages": [U, turn, U, A]}, {"messages": [U, normal, U, A]})


def test_tools_in_one_json_text() -> None:
    means(OPENAI, {"messages": [U, A], "tools": "[]"}, {"messages": [U, A]})
    text = '[{"type": "function", "function": {"name": "f"}}]'
    tools = [{"type": "function", "function": {"name": "f"}}]
    means(OPENAI, {"messages": [U, A], "tools": text}, {"messages": [U, A], "tools": tools})


def test_flags_of_turns_that_are_never_learned_say_nothing() -> None:
    means(OPENAI, {"messages": [{**U, "train": False}, A]}, {"messages": [U, A]})
    is_normal(OPENAI, {"messages": [{**U, "weight": 0.0}, A]})


def test_arguments_stay_as_they_were_written() -> None:
    for arguments in ('{"a":1}', '{"a": 1, "a": 2}', "not json", "", '"text"'):
        call = {"id": "", "type": "function", "function": {"name": "f", "arguments": arguments}}
        is_normal(OPENAI, {"messages": [U, {**CALLING, "tool_calls": [call]}]})


def test_a_tool_turn_without_an_id_has_none() -> None:
    row = {"messages": [U, CALLING, {"role": "tool", "content": "4"}, A]}
    is_normal(OPENAI, row)
    example = read(OPENAI, row)
    assert isinstance(example, ChatExample)
    assert example.messages[2].tool_call_id is None


def test_text_of_parts_is_the_content() -> None:
    content = [{"type": "text", "text": "a"}, PICTURE, {"type": "text", "text": "b"}]
    example = read(OPENAI, {"messages": [{**U, "content": content}, A]})
    assert isinstance(example, ChatExample)
    assert (example.messages[0].content, list(example.messages[0].parts)) == ("ab", content)


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ("x", "messages: expected a list of messages, found text"),
        ([], "messages: the list of messages is empty"),
        ([U, 7], "messages[1]: expected a message object, found a number"),
        ([U, {**A, "audio": {"id": "a"}}], "messages[1].audio: a message has the unknown key 'audio'"),
        ([U, {**A, "refusal": "no"}], "messages[1].refusal: a message has both a content and a refusal"),
        ([{**U, "content": [7]}, A], "messages[0].content[0]: expected a part with a type, found a number"),
        (
            [{**U, "content": [{"text": "x"}, {"type": 3}]}, A],
            "messages[0].content[0]: expected a part with a type, found an object",
        ),
        (
            [{**U, "content": [{"type": "hologram"}]}, A],
            "messages[0].content[0].type: unknown part 'hologram'",
        ),
        (
            [{**U, "content": [{"type": "text"}]}, A],
            "messages[0].content[0].text: expected text, found null or nothing",
        ),
        ([{**U, "content": []}, A], "messages[0].content: a message has no content"),
        ([U, {**A, "reasoning": 7}], "messages[1].reasoning: expected text, found a number"),
        (
            [U, {**A, "reasoning": "a", "thinking": "b"}],
            "messages[1].thinking: a message has 'reasoning', 'thinking', and they differ",
        ),
        (
            [U, {**A, "weight": 1, "train": False}],
            "messages[1].train: a message has 'weight', 'train', and they differ",
        ),
        (
            [U, {**A, "weight": float("inf")}],
            "messages[1].weight: expected a finite number from 0 up, found inf",
        ),
        (
            [U, {**A, "loss_mask": [1, 0]}],
            "messages[1].loss_mask: expected a finite number from 0 up, found [1, 0]",
        ),
        (
            [{**U, "train": True}, A],
            "messages[0].train: the turn of 'user' is marked to be learned; only those of 'assistant' are",
        ),
        (
            [U, {**CALLING, "tool_calls": [{**CALL, "type": "custom"}]}],
            "messages[1].tool_calls[0]: expected a call of type 'function',"
            " found {'id': 'c1', 'type': 'custom', 'funct...",
        ),
        (
            [U, {**CALLING, "tool_calls": [{**CALL, "id": 7}]}],
            "messages[1].tool_calls[0].id: expected text, found a number",
        ),
        (
            [U, {**CALLING, "tool_calls": [{**CALL, "extra": 7}]}],
            "messages[1].tool_calls[0].extra: a call has the unknown key 'extra'",
        ),
        (
            [U, {**CALLING, "tool_calls": [{"function": {"name": 7, "arguments": "{}"}}]}],
            "messages[1].tool_calls[0].function.name: expected text, found a number",
        ),
        ([U], "messages: no assistant turn, so nothing to learn"),
        ([U, {**A, "content": " "}], "messages: every assistant turn is empty or has weight 0"),
        ([U, {**A, "weight": 0}], "messages: every assistant turn is empty or has weight 0"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(messages: Any, said: str) -> None:
    assert refusal(lambda: OPENAI.read({"messages": messages}, "r")) == said


@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ({}, "tools: expected a list of tool objects, found an object"),
        (["f"], "tools: expected a list of tool objects, found a list"),
        (
            "[{]",
            "tools: not valid JSON: Expecting property name enclosed in double quotes at column 3, in '[{]'",
        ),
        ('{"a": 1}', "tools: expected a list of tool objects, found an object"),
        ('[{"a": 1, "a": 2}]', """tools: the key 'a' occurs twice in one object, in '[{"a": 1, "a": 2}]'"""),
        ('[{"a": NaN}]', """tools: the number NaN is not finite, and not JSON, in '[{"a": NaN}]'"""),
        ("[" * 200 + "]" * 200, f"tools: JSON nested deeper than 100 levels, in '{'[' * 36}..."),
    ],
)
def test_wrong_tools(tools: Any, said: str) -> None:
    assert refusal(lambda: OPENAI.read({"messages": [U, A], "tools": tools}, "r")) == said


def test_an_answer_may_be_reasoning_a_call_or_a_picture() -> None:
    for turn in (
        {"role": "assistant", "content": "", "reasoning_content": "hm"},
        CALLING,
        {"role": "assistant", "content": [PICTURE]},
    ):
        is_normal(OPENAI, {"messages": [U, turn]})


@pytest.mark.parametrize("meta", [{"tools": 1}, {"label": True}, {"a": 1, "system": "x"}, {"kind": "chat"}])
def test_a_column_that_would_mean_something_is_not_written(meta: dict[str, Any]) -> None:
    turns = (Message(role="user", content="q"), Message(role="assistant", content="a"))
    said = refusal(lambda: OPENAI.write(ChatExample(messages=turns, meta=meta)))
    key = list(meta)[-1]
    assert said.startswith(f"meta.{key}: a meta column is called {key!r}, which m")


def test_a_label_that_is_no_verdict_is_a_column() -> None:
    is_normal(OPENAI, {"messages": [U, A], "label": "greeting"})


def test_other_kinds_are_not_written() -> None:
    said = refusal(lambda: OPENAI.write(CompletionExample(prompt="a", completion="b")))
    assert said == "the shape 'openai' holds chat examples, not 'completion'"


def test_reads_what_code_builds() -> None:
    row = {"messages": [U, CALLING]}
    assert read(OPENAI, row) == ChatExample(
        messages=(
            Message(role="user", content="hi"),
            Message(role="assistant", tool_calls=(ToolCall(id="c1", name="f", arguments='{"a": 1}'),)),
        )
    )
