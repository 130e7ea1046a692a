"""Preferences in every spelling that is met: what is the prompt, what the answers, what is kept beside them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.data import strategies
from tunekit.data.shapes import transcripts
from tunekit.data.shapes.catalogue import recognised, shape
from tunekit.data.shapes.fields import BlankTarget
from tunekit.errors import DataError
from tunekit.examples import Message, PreferenceExample, ToolCall, message_to_dict

U, A, B = (
    {"role": role, "content": said} for role, said in (("user", "q"), ("assistant", "a"), ("assistant", "b"))
)
S = {"role": "system", "content": "s"}
SAYS = {"from": "human", "value": "q"}
ASKED = (Message(role="user", content="q"),)
WITH_SYSTEM = (Message(role="system", content="s"), *ASKED)
PAIR = PreferenceExample(messages=ASKED, chosen="a", rejected="b")
HH = "\n\nHuman: q\n\nAssistant: "
CALL = ToolCall(id="call_1", name="add", arguments='{"x": 1}')
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}


def read(record: dict[str, Any]) -> PreferenceExample:
    form = recognised(record)
    assert form is not None and form.kinds == {"preference"}
    found = form.read(record, "r:1")
    assert isinstance(found, PreferenceExample) and found.id == "r:1"
    return found


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "q", "chosen": "a", "rejected": "b"},
        {"prompt": [U], "chosen": [A], "rejected": [B]},
        {"prompt": "q", "chosen": [A], "rejected": [B]},
        {"prompt": "q", "chosen": A, "rejected": B},
        {"prompt": "q", "chosen": [U, A], "rejected": [U, B]},
        {"prompt": "", "chosen": [U, A], "rejected": [U, B]},
        {"prompt": HH, "chosen": "a", "rejected": "b"},
        {"prompt": HH.rstrip(), "chosen": "a", "rejected": "b"},
        {"prompt": "q", "chosen": HH + "a", "rejected": HH + "b"},
        {"chosen": [U, A], "rejected": [U, B]},
        {"chosen": HH + "a", "rejected": HH + "b"},
        {"question": "q", "chosen": "a", "rejected": "b"},
        {"instruction": "q", "input": "", "chosen": "a", "rejected": "b"},
        {"input": "q", "chosen": "a", "rejected": "b"},
        {"messages": [U], "chosen": "a", "rejected": "b"},
        {"query": "q", "pos": "a", "neg": "b"},
        {"query": "q", "positive": ["a"], "negative": ["b"]},
        {"conversations": [{"from": "human", "value": "q"}], "chosen": "a", "rejected": "b"},
        {
            "conversations": [{"from": "human", "value": "q"}],
            "chosen": {"from": "gpt", "value": "a"},
            "rejected": {"from": "gpt", "value": "b"},
        },
        {"chosen_messages": [U, A], "rejected_messages": [U, B]},
        {"input": {"messages": [U]}, "preferred_output": [A], "non_preferred_output": [B]},
    ],
    ids=lambda record: " ".join(f"{key}:{type(value).__name__}" for key, value in record.items()),
)
def test_one_pair_in_many_spellings(record: dict[str, Any]) -> None:
    assert read(record) == PAIR
    assert read(record).meta == {}


def test_what_stands_beside_a_pair_is_kept() -> None:
    found = read(
        {"prompt": "q", "chosen": [U, A], "rejected": [U, B], "score_chosen": 8.5, "messages": [U, A]}
    )
    assert found == PAIR
    assert found.meta == {"score_chosen": 8.5, "messages": [U, A]}


def test_a_system_column_becomes_the_first_turn() -> None:
    for record in (
        {"system": "s", "question": "q", "chosen": "a", "rejected": "b"},
        {"system": "s", "conversations": [{"from": "human", "value": "q"}], "chosen": "a", "rejected": "b"},
        {"system": "s", "prompt": [S, U], "chosen": "a", "rejected": "b"},
    ):
        assert read(record) == PAIR.replace(messages=WITH_SYSTEM)


def test_answers_that_begin_alike_keep_every_character() -> None:
    for one, other in (("The answer is 4", "The answer is 5"), ("same", "same"), ("a", "ab")):
        lists = {"chosen": [U, {**A, "content": one}], "rejected": [U, {**A, "content": other}]}
        for record in (lists, {"chosen": HH + one, "rejected": HH + other}):
            assert read(record) == PAIR.replace(chosen=one, rejected=other)


def test_conversations_part_where_the_answers_do() -> None:
    longer = {"chosen": [U, A, U, A], "rejected": [U, A, U, B]}
    assert [turn.content for turn in read(longer).messages] == ["q", "a", "q"]
    other = {"role": "user", "content": "other"}
    apart = read({"chosen": [U, A, U, A], "rejected": [U, A, other, B]})
    assert apart.messages == ASKED
    assert isinstance(apart.chosen, tuple) and isinstance(apart.rejected, tuple)
    assert [turn.content for turn in apart.rejected] == ["a", "other", "b"]


def test_calls_of_tools_are_answers_and_their_ids_go_on() -> None:
    conversation = [
        {"from": "human", "value": "q"},
        {"from": "function_call", "value": '{"name": "add", "arguments": {"x": 1}}'},
        {"from": "observation", "value": "2"},
    ]
    found = read(
        {
            "conversations": conversation,
            "chosen": {"from": "gpt", "value": "a"},
            "rejected": {"from": "function_call", "value": '{"name": "add", "arguments": {"x": 1}}'},
            "tools": '[{"name": "add", "parameters": {"type": "object"}}]',
        }
    )
    assert found.tools == (TOOL,)
    assert found.messages[1].tool_calls == (CALL,)
    assert found.rejected == (Message(role="assistant", tool_calls=(CALL.replace(id="call_2"),)),)


def test_openai_keeps_tools_and_its_switch() -> None:
    record = {
        "input": {"messages": [S, U], "tools": [TOOL], "parallel_tool_calls": False},
        "preferred_output": [A],
        "non_preferred_output": [{"role": "assistant", "content": None, "tool_calls": [call()]}],
        "source": "x",
    }
    found = read(record)
    assert found.tools == (TOOL,) and found.meta == {"source": "x", "parallel_tool_calls": False}
    assert found.rejected == (Message(role="assistant", tool_calls=(CALL,)),)
    assert shape("openai-preference").write(found) == record


def call() -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"x": 1}'}}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"chosen": "a", "rejected": "b"}, "chosen: the row has two answers and no prompt"),
        (
            {"chosen": [S, A], "rejected": [U, B]},
            "chosen: the two conversations have no beginning in common that answers follow",
        ),
        (
            {"chosen": [U, A], "rejected": [U, U]},
            "chosen: the two conversations have no beginning in common that answers follow",
        ),
        (
            {"prompt": "other", "chosen": [U, A], "rejected": [U, B]},
            "chosen: the prompt 'other' is not in the two conversations",
        ),
        ({"prompt": "q", "pos": ["a", "b"], "neg": ["c"]}, "pos: 2 answers stand in one list"),
        (
            {"prompt": "q", "chosen": [{"role": "bot", "content": "a"}], "rejected": "b"},
            "chosen[0].role: unknown role",
        ),
        (
            {"input": {"messages": [U], "top": 1}, "preferred_output": [A], "non_preferred_output": [B]},
            "input.top: unknown key 'top' in 'input'",
        ),
        (
            {"input": {"messages": [{"role": "user"}]}, "preferred_output": [A], "non_preferred_output": [B]},
            "input.messages[0].content: a message has no content",
        ),
        (
            {"input": "q", "preferred_output": [A], "non_preferred_output": [B]},
            "input: expected an object, found text",
        ),
        (
            {
                "conversations": [{"from": "human", "value": "q"}],
                "chosen": {"from": "cat", "value": "a"},
                "rejected": "b",
            },
            "chosen[0].from: unknown speaker 'cat'",
        ),
        (
            {"system": "other", "prompt": [S, U], "chosen": "a", "rejected": "b"},
            "system: there are a system turn and a system column",
        ),
        (
            {"instruction": "q", "chosen": "a", "rejected": "b", "history": [["x"]]},
            "history[0]: expected a pair",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_field(record: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(record)
    assert str(caught.value).startswith(message)
    assert caught.value.hint


@pytest.mark.parametrize("value", ["", " ", [], [{"role": "assistant", "content": ""}]])
def test_an_empty_better_answer_is_nothing_to_learn(value: Any) -> None:
    with pytest.raises(DataError) as caught:
        shape("preference").read({"prompt": "q", "chosen": value, "rejected": "b"}, "")
    assert caught.value.field == "chosen"
    assert value == [] or isinstance(caught.value, BlankTarget)
    found = shape("preference").read({"prompt": "q", "chosen": "a", "rejected": ""}, "")
    assert found == PAIR.replace(rejected="")  # an empty answer is a bad one


@pytest.mark.parametrize(
    "record",
    [
        {"chosen": [U, {**A, "content": " "}], "rejected": [U, B]},
        {"chosen": HH, "rejected": HH + "b"},
        {"chosen_messages": [U, {**A, "content": ""}], "rejected_messages": [U, B]},
        {"conversations": [SAYS], "chosen": {"from": "gpt", "value": ""}, "rejected": "b"},
        {"input": {"messages": [U]}, "preferred_output": [{**A, "content": ""}], "non_preferred_output": [B]},
    ],
)
def test_a_blank_answer_is_nothing_to_learn_in_every_spelling(record: dict[str, Any]) -> None:
    with pytest.raises(BlankTarget):
        read(record)


# --- what a shape cannot hold -------------------------------------------------------------------------

TURNS = (Message(role="assistant", tool_calls=(CALL,)), Message(role="assistant", content="b"))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "implicit-preference",
            {"chosen": TURNS, "rejected": TURNS},
            "chosen: the two answers begin alike, so that whole conversations would not say where they begin",
        ),
        (
            "transcripts",
            {"chosen": TURNS},
            "chosen[1]: a transcript holds only what user, assistant and system say",
        ),
        (
            "transcripts",
            {"chosen": "a\n\nHuman: b"},
            "chosen: a turn holds what reads as the beginning of another",
        ),
        (
            "sharegpt-preference",
            {"chosen": TURNS},
            "chosen: the answer is more than one turn of the assistant",
        ),
        (
            "preference",
            {"messages": ()},
            "chosen: an answer begins with a turn that is not the assistant's, or there",
        ),
        ("preference", {"chosen": (*ASKED, *TURNS)}, "chosen: an answer begins with a turn that is not"),
    ],
)
def test_what_is_not_written(name: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        shape(name).write(PAIR.replace(**changes))
    assert str(caught.value).startswith(message)
    assert 'write shape="' in caught.value.hint


def test_calls_are_written_and_read_as_whole_conversations() -> None:
    pair = PAIR.replace(chosen=(Message(role="assistant", tool_calls=(CALL,)),), tools=(TOOL,))
    for name in (
        "preference",
        "implicit-preference",
        "openai-preference",
        "sharegpt-preference",
        "chosen-messages",
    ):
        assert shape(name).read(shape(name).write(pair), "") == pair


# --- transcripts --------------------------------------------------------------------------------------

SPOKEN = st.builds(Message, role=st.sampled_from(["user", "assistant", "system"]), content=strategies.TEXT)


@settings(max_examples=100, deadline=None)
@given(st.lists(SPOKEN, min_size=1, max_size=4))
def test_transcripts_come_back(turns: list[Message]) -> None:
    if turns[0].role == "assistant":
        assert transcripts.parsed(f"\n\nAssistant: {turns[0].content}") is None
    else:
        assert transcripts.parsed(transcripts.written(turns)) == tuple(turns)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Human: a\n\nAssistant: b", ["a", "b"]),
        ("\n\n  Human: a\n\nAssistant:b", ["a\n\nAssistant:b"]),
        ("\n\nHuman: a\n\nHuman: b\n\nAssistant:", ["a", "b", ""]),
        ("\n\nHuman: a\nAssistant: b", ["a\nAssistant: b"]),
        ("\n\nHuman:\n\nAssistant: b", ["", "b"]),
    ],
)
def test_turns_begin_after_a_blank_line_with_a_space_after_the_colon(text: str, said: list[str]) -> None:
    assert [turn.content for turn in transcripts.parsed(text) or ()] == said


def test_a_long_text_without_turns_is_read_in_linear_time() -> None:
    assert transcripts.parsed("\n" * 1_000_000) is None
    found = transcripts.parsed("Human: " + "\n\nHuma" * 200_000)
    assert found is not None and len(found) == 1


def test_messages_are_written_as_openai_has_them() -> None:
    assert shape("preference").write(PAIR) == {"prompt": [U], "chosen": [A], "rejected": [B]}
    assert shape("implicit-preference").write(PAIR) == {"chosen": [U, A], "rejected": [U, B]}
    assert shape("transcripts").write(PAIR) == {"chosen": HH + "a", "rejected": HH + "b"}
    assert [message_to_dict(turn) for turn in PAIR.messages] == [U]
