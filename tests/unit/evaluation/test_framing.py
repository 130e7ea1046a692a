"""Whether a tuned model is asked as it was trained: templates, chats, system messages."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tunekit as tk
from tests.unit.evaluation.test_leakage import RUN, backend, run_directory
from tunekit.backends.base import Prompt
from tunekit.evaluation.framing import asked_otherwise
from tunekit.examples import ChatExample, CompletionExample, Example, LabelledExample, Message

WORDS = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "kilo"]


def completions(frame: str) -> list[Example]:
    return [CompletionExample(prompt=frame.format(word), completion="x") for word in WORDS]


def chats(system: str) -> list[Example]:
    first = (Message(role="system", content=system),) if system else ()
    turns = [
        (*first, Message(role="user", content=word), Message(role="assistant", content="x")) for word in WORDS
    ]
    return [ChatExample(messages=each) for each in turns]


def asked(rows: list[Example]) -> list[Prompt]:
    from tunekit.evaluation.items import items_of

    return [item.prompt for item in items_of(rows)]


@pytest.mark.parametrize(
    ("trained", "tested", "said"),
    [
        (completions("{}\n\n###\n\n"), completions("{}"), "training ends with"),
        (completions("{}"), completions("{} ->->"), "test ends with"),
        (completions("Ticket: {}"), completions("Text: {}"), "training begins with 'Ticket: '"),
        (chats("Be kind."), chats(""), "every chat of its training has the system message 'Be kind.'"),
        (chats(""), chats("Be brief."), "every chat of this test has the system message 'Be brief.'"),
        (
            chats("Be kind."),
            chats("Be brief."),
            "every chat of its training has the system message 'Be kind.'",
        ),
        (chats(""), completions("{}"), "training is a chat, and those of this test are plain text"),
        (completions("{}"), chats(""), "training is plain text, and those of this test are a chat"),
    ],
)
def test_what_differs_is_said(trained: list[Example], tested: list[Example], said: str) -> None:
    (found,) = asked_otherwise(trained, asked(tested))
    assert said in found


@pytest.mark.parametrize(
    "rows",
    [
        completions("{}"),
        completions("{}\n\n###\n\n"),
        chats(""),
        chats("Be kind."),
        [LabelledExample(text=word, label="x") for word in WORDS],
        completions("{}") + chats(""),
    ],
)
def test_the_same_frame_is_nothing_to_say(rows: list[Example]) -> None:
    assert asked_otherwise(rows, asked(rows)) == ()


def test_what_all_share_by_chance_is_nothing_to_say() -> None:
    assert asked_otherwise(completions("{}?"), asked(completions("{}."))) == ()
    few = completions("{}\n\n###\n\n")[:5]
    assert asked_otherwise(few, asked(completions("{}"))) == (), "five rows say little"


@given(st.lists(st.text(max_size=12), min_size=0, max_size=30), st.lists(st.text(max_size=12), max_size=30))
def test_any_texts_are_compared_without_failing(trained: list[str], tested: list[str]) -> None:
    rows: list[Example] = [CompletionExample(prompt=text, completion="x") for text in trained]
    assert all("every prompt" in said for said in asked_otherwise(rows, tested))


def test_an_arm_that_asks_a_tuned_model_in_other_words_is_told(home: Path) -> None:
    trained = tk.Dataset.from_records(
        [{"prompt": f"Ticket: {word}\nTeam:", "completion": "x"} for word in WORDS]
    )
    test = tk.Dataset.from_records([{"prompt": word * 9, "completion": "x"} for word in WORDS])
    run_directory(home / "runs", trained)
    model = f"local:{RUN}"
    bare, framed = tk.Evaluator(test), tk.zero_shot(model, "Ticket: {prompt}\nTeam:")
    said = [text for text in bare.run(model, backend=backend(RUN)).warnings if "of its training" in text]
    assert len(said) == 2, "what stands before, and what stands behind"
    assert not [text for text in bare.run(framed, backend=backend(RUN)).warnings if "of its training" in text]
