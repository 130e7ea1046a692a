"""Prompts to be graded: every other key is the grader's, and the model's own answer is in none of them."""

from __future__ import annotations

from typing import Any

import pytest

from tunekit.data.shapes.catalogue import recognised, shape
from tunekit.errors import DataError
from tunekit.examples import Message, PromptExample

U, A = {"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}
ASKED = (Message(role="user", content="2+2?"),)
RFT = shape("rft")


@pytest.mark.parametrize(
    ("record", "reference"),
    [
        ({"messages": [U], "reference_answer": "4"}, {"reference_answer": "4"}),
        (
            {"messages": [U], "answer": {"sum": 4}, "level": 1, "unit": None},
            {"answer": {"sum": 4}, "level": 1, "unit": None},
        ),
        ({"messages": [U], "compounds": ["a"]}, {"compounds": ["a"]}),
        ({"prompt": [U], "ground_truth": "4"}, {"ground_truth": "4"}),
        ({"prompt": "2+2?"}, {}),
    ],
)
def test_all_other_keys_are_the_reference(record: dict[str, Any], reference: dict[str, Any]) -> None:
    assert recognised(record) is RFT
    found = RFT.read(record, "r:1")
    assert found == PromptExample(messages=ASKED, reference=reference)
    assert isinstance(found, PromptExample) and found.meta == {}


def test_any_prompt_is_read_when_asked_for_by_name() -> None:
    for record in ({"question": "2+2?", "answer": "4"}, {"prompt": "2+2?", "answer": "4"}):
        assert RFT.read(record, "") == PromptExample(messages=ASKED, reference={"answer": "4"})


def test_tools_and_meta_are_not_for_graders() -> None:
    tool = {"type": "function", "function": {"name": "add"}}
    record = {"messages": [U], "tools": [tool], "answer": "4", "meta": {"day": "Mon"}}
    found = RFT.read(record, "r:1")
    assert found == PromptExample(messages=ASKED, reference={"answer": "4"}, tools=(tool,))
    assert isinstance(found, PromptExample) and found.meta == {"day": "Mon"}
    assert RFT.write(found) == record


@pytest.mark.parametrize(
    "record",
    [
        {"messages": [U, A], "answer": "4"},
        {"messages": [U, A, U], "topic": "sums"},
        {"messages": [U], "tools": []},
    ],
)
def test_a_chat_is_no_prompt(record: dict[str, Any]) -> None:
    assert recognised(record) is shape("openai")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (
            {"messages": [U, A], "answer": "4"},
            "messages: the conversation ends with the assistant, and the model is",
        ),
        ({"messages": [], "answer": "4"}, "messages: the list of messages is empty"),
        ({"answer": "4"}, "messages: expected a list of messages, found null or nothing"),
        ({"messages": [U], "meta": 3}, "meta: expected an object, found a number"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(record: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        RFT.read(record, "")
    assert str(caught.value).startswith(message)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (
            PromptExample(messages=ASKED, reference={"tools": 1}),
            "reference.tools: the reference has the key 'tools'",
        ),
        (
            PromptExample(messages=(*ASKED, Message(role="assistant", content="4"))),
            "messages: the conversation ends with the assistant",
        ),
    ],
)
def test_what_is_not_written(example: PromptExample, message: str) -> None:
    with pytest.raises(DataError) as caught:
        RFT.write(example)
    assert str(caught.value).startswith(message)


# --- Gemini -------------------------------------------------------------------------------------------

GEMINI_RFT = shape("gemini-rft")
SAYS = {"role": "user", "parts": [{"text": "2+2?"}]}


def test_contents_with_references() -> None:
    record = {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [SAYS],
        "references": {"answer": "4"},
        "day": "Mon",
    }
    assert recognised(record) is GEMINI_RFT
    found = GEMINI_RFT.read(record, "r:1")
    system = Message(role="system", content="Be brief.")
    assert found == PromptExample(messages=(system, *ASKED), reference={"answer": "4"})
    assert isinstance(found, PromptExample) and found.meta == {"day": "Mon"}
    assert GEMINI_RFT.write(found) == record


def test_contents_that_end_with_the_model_are_a_chat() -> None:
    answered = {
        "contents": [SAYS, {"role": "model", "parts": [{"text": "4"}]}],
        "references": {"answer": "4"},
    }
    assert recognised(answered) is shape("gemini")
    with pytest.raises(DataError, match="contents: the conversation ends with the assistant"):
        GEMINI_RFT.read(answered, "")
    with pytest.raises(DataError, match="references: expected an object, found text"):
        GEMINI_RFT.read({"contents": [SAYS], "references": "4"}, "")
