"""Answers with a verdict: where the answer begins, what counts as a verdict, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tunekit.data.shapes.catalogue import recognised, shape
from tunekit.errors import DataError
from tunekit.examples import Message, ToolCall, UnpairedExample

U, A = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
ASKED = (Message(role="user", content="q"),)
GOOD = UnpairedExample(messages=ASKED, completion="a", desirable=True)


def read(record: dict[str, Any]) -> UnpairedExample:
    form = recognised(record)
    assert form is not None and form.kinds == {"unpaired"}
    found = form.read(record, "r:1")
    assert isinstance(found, UnpairedExample) and found.id == "r:1"
    return found


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "q", "completion": "a", "label": True},
        {"prompt": [U], "completion": [A], "label": True},
        {"prompt": "q", "completion": "a", "label": "TRUE "},
        {"prompt": "q", "completion": "a", "kto_tag": "1"},
        {"instruction": "q", "input": "", "output": "a", "kto_tag": True},
        {"question": "q", "answer": "a", "label": True},
        {"messages": [U, A], "label": True},
        {"messages": [U, A], "kto_tag": 1},
        {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}], "kto_tag": True},
        {"prompt": "\n\nHuman: q\n\nAssistant:", "completion": "a", "label": True},
    ],
    ids=lambda record: " ".join(record),
)
def test_one_verdict_in_many_spellings(record: dict[str, Any]) -> None:
    assert read(record) == GOOD
    assert read(record).meta == {}


def test_the_answer_is_what_comes_after_the_last_question() -> None:
    call = ToolCall(id="c", name="add", arguments="{}")
    turns = [
        *(U, A, U),
        {"role": "assistant", "content": None, "tool_calls": [function(call)]},
        {"role": "tool", "content": "2", "tool_call_id": "c"},
        A,
    ]
    found = read({"messages": turns, "label": False, "topic": "sums"})
    assert [turn.role for turn in found.messages] == ["user", "assistant", "user"]
    assert found.completion == (
        Message(role="assistant", tool_calls=(call,)),
        Message(role="tool", content="2", tool_call_id="c"),
        Message(role="assistant", content="a"),
    )
    assert not found.desirable and found.meta == {"topic": "sums"}
    assert shape("unpaired-messages").write(found) == {"messages": turns, "label": False, "topic": "sums"}


def function(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (
            {"messages": [U], "label": True},
            "messages: the conversation ends with 'user', not with an answer after",
        ),
        (
            {"messages": [A], "label": True},
            "messages: the conversation ends with 'assistant', not with an answer after",
        ),
        ({"messages": [U, {**A, "content": " "}], "label": True}, "messages: empty text"),
        ({"prompt": "q", "completion": "", "label": True}, "completion: empty text"),
        (
            {"prompt": "q", "completion": "a", "kto_tag": "perhaps"},
            "kto_tag: expected true or false, found 'perhaps'",
        ),
        ({"prompt": [{"role": "x"}], "completion": "a", "label": True}, "prompt[0].role: unknown role 'x'"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(record: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(record)
    assert str(caught.value).startswith(message)
    assert caught.value.hint


def test_numbers_are_verdicts_only_by_name() -> None:
    record = {"prompt": "q", "completion": "a", "label": 0}
    assert recognised(record) is shape("prompt-completion")
    assert shape("unpaired").read(record, "") == GOOD.replace(desirable=False)
    with pytest.raises(DataError, match="label: expected true or false, found 2"):
        shape("unpaired").read({**record, "label": 2}, "")
    with pytest.raises(DataError, match="the row has no prompt"):
        shape("unpaired").read({"completion": "a", "label": True}, "")


def test_an_answer_that_would_not_be_found_again_is_not_written_in_one_list() -> None:
    row = GOOD.replace(completion=(Message(role="assistant", content="a"), *ASKED, Message(role="assistant")))
    with pytest.raises(DataError, match="where the answer begins would not be clear"):
        shape("unpaired-messages").write(row)
    assert shape("unpaired").write(GOOD) == {"prompt": [U], "completion": [A], "label": True}
