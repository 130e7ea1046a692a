"""Examples: dictionaries and back, and what counts as the same row."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit import (
    ChatExample,
    CompletionExample,
    Example,
    LabelledExample,
    Message,
    PreferenceExample,
    PromptExample,
    ToolCall,
)
from tunekit.examples import EXAMPLE_KINDS, ROLES, from_dict, message_from_dict, message_to_dict, to_dict

text = st.text(max_size=12)
calls = st.lists(st.builds(ToolCall, id=text, name=text, arguments=text), max_size=2).map(tuple)
messages = st.builds(
    Message,
    role=st.sampled_from(ROLES),
    content=st.none() | text,
    name=st.none() | text,
    weight=st.sampled_from([0.0, 0.5, 1.0]),
    tool_calls=calls,
    tool_call_id=st.none() | text,
)
chats = st.lists(messages, min_size=1, max_size=4).map(tuple)
objects = st.dictionaries(text, text | st.integers() | st.none(), max_size=2)
tools = st.lists(objects, max_size=2).map(tuple)
row = {"id": text, "meta": objects}
examples: st.SearchStrategy[Example] = st.one_of(
    st.builds(ChatExample, messages=chats, tools=tools, **row),
    st.builds(CompletionExample, prompt=text, completion=text, **row),
    st.builds(PreferenceExample, messages=chats, chosen=text, rejected=text, tools=tools, **row),
    st.builds(PromptExample, messages=chats, reference=objects, tools=tools, **row),
    st.builds(LabelledExample, text=text, label=text | st.lists(text, max_size=3).map(tuple), **row),
)


@given(examples)
def test_round_trip_through_json(example: Example) -> None:
    again = from_dict(json.loads(json.dumps(to_dict(example))))
    assert (type(again), again, again.id, again.meta) == (type(example), example, example.id, example.meta)


@given(examples)
def test_examples_are_hashable(example: Example) -> None:
    assert len({example, from_dict(to_dict(example))}) == 1


@given(messages)
def test_message_round_trip_through_json(message: Message) -> None:
    assert message_from_dict(json.loads(json.dumps(message_to_dict(message)))) == message


@given(examples, st.text(min_size=1, max_size=9), st.dictionaries(text, text, min_size=1, max_size=2))
def test_row_id_and_meta_are_not_content(example: Example, row_id: str, meta: dict[str, object]) -> None:
    moved = from_dict({**to_dict(example), "id": row_id, "meta": meta})
    assert moved == example
    assert to_dict(moved, with_row=False) == to_dict(example, with_row=False)
    assert {"id", "meta"}.isdisjoint(to_dict(moved, with_row=False))


def test_message_leaves_out_what_is_at_its_default() -> None:
    assert message_to_dict(Message(role="user", content="hi")) == {"role": "user", "content": "hi"}
    call = ToolCall(id="c1", name="lookup", arguments="{}")
    assert message_to_dict(Message(role="assistant", weight=0.0, tool_calls=(call,))) == {
        "role": "assistant",
        "content": None,
        "weight": 0.0,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "lookup", "arguments": "{}"}}],
    }


def test_kinds_are_named_after_their_classes() -> None:
    assert {kind: cls.__name__ for kind, cls in EXAMPLE_KINDS.items()} == {
        kind: f"{kind.capitalize()}Example"
        for kind in ("chat", "completion", "preference", "unpaired", "prompt", "labelled", "segments")
    }


def test_examples_do_not_change() -> None:
    with pytest.raises(AttributeError):
        CompletionExample(prompt="a", completion="b").prompt = "c"  # type: ignore[misc]
