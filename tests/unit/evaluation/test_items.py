"""What every model is asked, for each kind of example."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.errors import DataError
from tunekit.evaluation.items import items_of
from tunekit.examples import (
    ChatExample,
    CompletionExample,
    LabelledExample,
    Message,
    PreferenceExample,
    PromptExample,
)

SYSTEM = Message(role="system", content="Be brief.")
ASK = Message(role="user", content="2+2?")
ANSWER = Message(role="assistant", content="4")
MORE = Message(role="user", content="3+3?")
LAST = Message(role="assistant", content="6")
TOOL = {"type": "function", "function": {"name": "add"}}


def test_chat_is_asked_up_to_its_last_assistant_turn() -> None:
    (item,) = items_of([ChatExample(messages=(SYSTEM, ASK, ANSWER, MORE, LAST), tools=(TOOL,))])
    assert item.prompt == (SYSTEM, ASK, ANSWER, MORE)
    assert item.reference == "6"
    assert item.generate_request().tools == (TOOL,)
    assert item.score_request(("a", "b")).tools == (TOOL,)


def test_completion_is_asked_its_prompt() -> None:
    (item,) = items_of([CompletionExample(prompt="My parcel", completion=" delivery", id="t.csv:2")])
    assert (item.id, item.prompt, item.reference) == ("t.csv:2", "My parcel", " delivery")
    assert item.score_request(("a", "b")).choices == ("a", "b")


def test_other_kinds() -> None:
    chosen, graded, labelled, several = items_of(
        [
            PreferenceExample(messages=(ASK,), chosen="4", rejected="5"),
            PromptExample(messages=(ASK,), reference={"answer": 4}),
            LabelledExample(text="hi", label="greeting"),
            LabelledExample(text="hi", label=("short", "greeting")),
        ]
    )
    assert (chosen.prompt, chosen.reference) == ((ASK,), "4")
    assert (graded.prompt, graded.reference) == ((ASK,), None)
    assert (labelled.prompt, labelled.reference) == ("hi", "greeting")
    assert several.reference == '["greeting", "short"]'


def test_a_chat_without_an_answer_is_named() -> None:
    with pytest.raises(DataError, match=r"'chat\.jsonl:3'"):
        items_of([ChatExample(messages=(ASK,), id="chat.jsonl:3")])


def test_an_empty_test_set_is_refused() -> None:
    with pytest.raises(DataError, match="empty"):
        items_of([])


@given(names=st.lists(st.sampled_from(["", "a", "a~2", "#1", "b"]), min_size=1, max_size=12))
def test_ids_are_unique_and_kept_where_they_are(names: list[str]) -> None:
    items = items_of([CompletionExample(prompt="p", completion="c", id=name) for name in names])
    ids = [item.id for item in items]
    assert len(set(ids)) == len(ids)
    assert ids[0] == (names[0] or "#0")
