"""Rows that are lists of turns, labels that are lists written as texts or may be verdicts. Knows `choose` alone."""

from __future__ import annotations

import pytest

from tests.unit.data.shapes.test_choose import A, U, read
from tunekit.data.shapes.choose import choose
from tunekit.errors import DataError
from tunekit.examples import ChatExample, Message


def test_a_list_of_turns_is_a_chat() -> None:
    chat = ChatExample(
        id="r:1", messages=(Message(role="user", content="hi"), Message(role="assistant", content="yo"))
    )
    assert read([U, A]) == [chat]
    assert read([{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yo"}]) == [chat]
    assert read([U, A], {"messages": [U, A]}) == [chat, chat.replace(id="r:2")]
    assert read({"messages": [U, A]}, [U, A]) == [chat, chat.replace(id="r:2")]
    assert read([U, A], shape="openai") == [chat]
    with pytest.raises(DataError, match="no assistant turn"):
        read([U, U])


def test_the_turns_of_one_chat_are_no_rows() -> None:
    with pytest.raises(DataError, match="these are the turns of one chat") as caught:
        choose([U, A])
    assert caught.value.hint == 'a row is a whole chat: {"messages": [...]}, or the list of its turns'


@pytest.mark.parametrize(("first", "second"), [("['a', 'b']", "['a']"), ('["a"]', '["b", "c"]')])
def test_lists_of_labels_written_as_texts_are_told(first: str, second: str) -> None:
    rows = [{"text": "Where is it?", "labels": label} for label in (first, second)]
    assert [found.code for found in choose(rows).findings] == ["guessed-shape", "listed-labels"]
    assert [found.code for found in choose([*rows, {"text": "b", "labels": "a"}]).findings] == [
        "guessed-shape"
    ]


@pytest.mark.parametrize(
    ("good", "bad"), [("good", "bad"), ("Yes", "no "), ("\U0001f44d", "\U0001f44e"), ("accepted", "rejected")]
)
def test_words_that_may_be_verdicts_are_a_warning(good: str, bad: str) -> None:
    rows = [{"prompt": "a", "completion": "b", "label": label} for label in (good, bad, good)]
    chosen = choose(rows)
    [finding] = chosen.findings
    assert (finding.severity, chosen.name) == ("warning", "prompt-completion")
    assert 'unless you write true and false and pass shape="unpaired"' in finding.message
    [finding] = choose([*rows, rows[0] | {"label": "a class"}]).findings
    assert finding.severity == "info"
