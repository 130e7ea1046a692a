"""Messages in other spellings are read as OpenAI's, and every change is said; what is not certain is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from tests.unit.data import strategies
from tests.unit.data.shapes.law import refusal
from tunekit import Dataset, DatasetStream
from tunekit.data.findings import Finding
from tunekit.data.shapes import spellings
from tunekit.examples import ChatExample, Example, Message, to_dict

U, A = {"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}


def load(*records: Any, **options: Any) -> tuple[Dataset, dict[str, Finding]]:
    data = Dataset.from_records(list(records), **options)
    return data, {finding.code: finding for finding in data.check().findings}


def turns(record: Any) -> tuple[Message, ...]:
    [example] = load(record)[0]
    assert isinstance(example, ChatExample)
    return example.messages


@pytest.mark.parametrize("role", ["human", "User", " USER "])
@pytest.mark.parametrize("answering", ["gpt", "bot", "ai", "AI", "model", "Assistant"])
def test_other_names_of_roles_are_read_and_said(role: str, answering: str) -> None:
    row = {"messages": [{**U, "role": role}, {**A, "role": answering}]}
    data, findings = load(row, {"messages": [U, A]})
    assert data[0] == data[1]
    found = findings["other-spellings"]
    assert found.rows == ("records:1",)
    assert found.facts["kinds"] == {
        f"the role {role!r} as 'user'": 1,
        f"the role {answering!r} as 'assistant'": 1,
    }
    assert [place.field for place in found.places] == ["messages[0].role", "messages[1].role"]


def test_roles_are_read_in_prompts_and_answers_too() -> None:
    good, bad = {"role": "bot", "content": "4"}, {"role": "bot", "content": "5"}
    data, findings = load({"prompt": [{**U, "role": "human"}], "chosen": [good], "rejected": bad})
    assert to_dict(data[0], with_row=False) == {
        "kind": "preference",
        "messages": [U],
        "chosen": "4",
        "rejected": "5",
    }
    assert [place.field for place in findings["other-spellings"].places] == [
        "prompt[0].role",
        "chosen[0].role",
        "rejected.role",
    ]


def test_a_conversation_in_a_cell_is_read_likewise(tmp_path: Path) -> None:
    said = json.dumps([{**U, "role": "human"}, {**A, "role": "gpt"}]).replace('"', '""')
    (tmp_path / "a.csv").write_text(f'id,messages\n1,"{said}"\n')
    [example] = Dataset.load(tmp_path / "a.csv")
    assert isinstance(example, ChatExample) and [turn.role for turn in example.messages] == [
        "user",
        "assistant",
    ]


def test_unknown_roles_stay_errors() -> None:
    row = {"messages": [{**U, "role": "narrator"}, A]}
    assert refusal(lambda: load(row)) == "records:1:messages[0].role: unknown role 'narrator'"


def test_parts_of_the_responses_api_are_those_of_chat_completions() -> None:
    asked = [
        {"type": "input_text", "text": "What is it?"},
        {"type": "input_image", "image_url": "https://x.org/a.png", "detail": "low"},
        {"type": "input_file", "file_id": "file-1", "file_data": None},
    ]
    said: list[Any] = [{"type": "output_text", "text": "A cat.", "annotations": [], "logprobs": None}]
    one, other = turns({"messages": [{"role": "user", "content": asked}, {**A, "content": said}]})
    assert one.parts == (
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": "https://x.org/a.png", "detail": "low"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    )
    assert (other.content, other.parts) == ("A cat.", ({"type": "text", "text": "A cat."},))


def test_an_image_known_by_an_id_only_is_refused() -> None:
    part = {"type": "input_image", "file_id": "file-1"}
    assert refusal(lambda: load({"messages": [{**U, "content": [part]}, A]})) == (
        "records:1:messages[0].content[0].file_id: an image is named by the id of a file"
    )


def test_facts_about_messages_are_left_out_and_said() -> None:
    facts = {"id": "m1", "timestamp": 1, "created_at": "now", "model": "gpt-4.1", "metadata": {"a": 1}}
    empty = dict.fromkeys(("refusal", "audio", "tool_calls", "function_call")) | {"annotations": []}
    constant = {"type": "message", "status": "completed"}
    data, findings = load({"messages": [U, {**A, **facts, **empty, **constant, "name": "Ann"}]})
    assert data[0] == ChatExample(
        messages=(
            Message(role="user", content="2+2?"),
            Message(role="assistant", content="4", name="Ann"),
        )
    )
    found = findings["keys-left-out"]
    assert set(found.facts["kinds"]) == {repr(key) for key in (*facts, *constant)}
    _, findings = load(
        {"conversations": [{"from": "human", "value": "a", "id": 1}, {"from": "gpt", "value": "b"}]}
    )
    assert findings["keys-left-out"].places[0].field == "conversations[0].id"


@pytest.mark.parametrize(
    ("turn", "message"),
    [
        ({**A, "status": "incomplete"}, "messages[1].status: a message has the unknown key 'status'"),
        ({**A, "audio": {"id": "a"}}, "messages[1].audio: a message has the unknown key 'audio'"),
        (
            {"role": "tool", "content": "4", "id": "c1"},
            "messages[1].id: a message has the unknown key 'id'",
        ),
        ({**A, "refusal": "No."}, "messages[1].refusal: a message has both a content and a refusal"),
    ],
)
def test_what_may_say_something_stays_an_error(turn: Any, message: str) -> None:
    assert refusal(lambda: load({"messages": [U, turn, A]})) == f"records:1:{message}"


def test_a_refusal_alone_is_what_the_assistant_says() -> None:
    said = turns({"messages": [U, {"role": "assistant", "content": None, "refusal": "I cannot."}]})[1]
    assert said.parts == ({"type": "refusal", "refusal": "I cannot."},)


# --- channels -----------------------------------------------------------------------------------------

THOUGHT = {"role": "assistant", "channel": "analysis", "content": "Add."}
FINAL = {"role": "assistant", "channel": "final", "content": "4"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def test_a_thought_before_its_answer_is_reasoning() -> None:
    both = turns({"messages": [U, THOUGHT, FINAL, U, FINAL]})
    assert [(turn.role, turn.content, turn.reasoning) for turn in both] == [
        ("user", "2+2?", None),
        ("assistant", "4", "Add."),
        ("user", "2+2?", None),
        ("assistant", "4", None),
    ]
    parts = {**THOUGHT, "content": [{"type": "text", "text": "Add."}], "id": "m1"}
    assert turns({"messages": [U, parts, FINAL]}) == both[:2]
    called = {"role": "assistant", "channel": "commentary", "content": None, "tool_calls": [CALL]}
    result = {"role": "tool", "tool_call_id": "c1", "content": "4"}
    found = turns({"messages": [U, THOUGHT, called, result, FINAL]})
    assert (found[1].reasoning, found[1].tool_calls[0].name) == ("Add.", "f")
    thinking = turns({"messages": [U, {"role": "assistant", "thinking": "Add.", "content": "4"}]})
    assert thinking == both[:2]


@pytest.mark.parametrize(
    ("said", "at", "message"),
    [
        ([THOUGHT], 1, "thinks, and no answer on the channel 'final' follows"),
        ([THOUGHT, U, FINAL], 1, "thinks, and no answer on the channel 'final' follows"),
        ([THOUGHT, THOUGHT, FINAL], 1, "thinks, and no answer on the channel 'final' follows"),
        ([THOUGHT, A], 1, "thinks, and no answer on the channel 'final' follows"),
        (
            [{**FINAL, "channel": "commentary"}, FINAL],
            1,
            "is on the channel 'commentary' and makes no call that can be read",
        ),
        ([THOUGHT, {**FINAL, "thinking": "x"}], 2, "has a thought of its own, and another before it"),
        ([{**THOUGHT, "content": None}, FINAL], 2, "follows a thought that is more than a text"),
        ([{**THOUGHT, "tool_calls": [CALL]}, FINAL], 2, "follows a thought that is more than a text"),
        ([{**THOUGHT, "weight": 0}, FINAL], 2, "and the thought before it differ in 'weight'"),
    ],
)
def test_channels_without_a_place_are_refused(said: list[Any], at: int, message: str) -> None:
    assert refusal(lambda: load({"messages": [U, *said]})) == (
        f"records:1:messages[{at}].channel: a message of the assistant {message}"
    )


def test_a_channel_of_another_kind_is_an_unknown_key() -> None:
    row = {"messages": [{**U, "channel": "email"}, A]}
    assert (
        refusal(lambda: load(row)) == "records:1:messages[0].channel: a message has the unknown key 'channel'"
    )


# --- all rows -----------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(strategies.example())
def test_our_own_messages_have_nothing_to_restate(example: Example) -> None:
    record = to_dict(example)
    assert spellings.restated(record) == (record, [])


def test_one_row_far_into_a_large_file_is_read_and_said(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    lines = [json.dumps({"messages": [U, A]}) + "\n"] * 9000
    lines[5000] = json.dumps({"messages": [{**U, "role": "human"}, {**A, "id": "m1"}]}) + "\n"
    path.write_text("".join(lines))
    data = Dataset.load(path)
    assert len(set(data)) == 1
    findings = {finding.code: finding for finding in data.check().findings}
    assert findings["other-spellings"].rows == findings["keys-left-out"].rows == ("f.jsonl:5001",)
    stream = DatasetStream.load(path)
    assert stream.fingerprint() == stream.fingerprint() == data.fingerprint()
    assert [
        finding.code for finding in stream.collect().check().findings if finding.rows == ("f.jsonl:5001",)
    ] == [
        "other-spellings",
        "keys-left-out",
    ]


def test_rows_that_are_skipped_have_nothing_said_of_them() -> None:
    bad = {"messages": [{**U, "role": "human"}, {**A, "role": "narrator"}]}
    data, findings = load({"messages": [U, A]}, bad, on_error="skip")
    assert len(data) == 1 and "other-spellings" not in findings


def test_a_named_shape_reads_the_spellings_too() -> None:
    data, findings = load({"messages": [{**U, "role": "human"}, A]}, shape="openai")
    assert len(data) == 1 and "other-spellings" in findings
