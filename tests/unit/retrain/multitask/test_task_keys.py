"""The task in what a model reads: the same in training, in a test and in the product. Knows prompts; trains nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tunekit as tk
from tunekit.backends.base import Prompt
from tunekit.evaluation.items import items_of
from tunekit.examples import (
    ChatExample,
    CompletionExample,
    Example,
    LabelledExample,
    Message,
    PreferenceExample,
    PromptExample,
    Segment,
    SegmentsExample,
    UnpairedExample,
)
from tunekit.retrain.multitask import ask

USER = Message(role="user", content="Where is it?")
PARTS = Message(
    role="user",
    content="What is this?",
    parts=({"type": "image_url", "image_url": {"url": "u"}}, {"type": "text", "text": "What is this?"}),
)
SYSTEM = Message(role="system", content="Be brief.")
ANSWER = Message(role="assistant", content="On its way.")
ROWS: dict[str, Example] = {
    "labelled": LabelledExample(text="Where is it?", label="delivery"),
    "completion": CompletionExample(prompt="Where is it?", completion="delivery"),
    "chat": ChatExample(messages=(USER, ANSWER)),
    "chat with system": ChatExample(messages=(SYSTEM, USER, ANSWER)),
    "chat in parts": ChatExample(messages=(PARTS, ANSWER)),
    "preference": PreferenceExample(messages=(SYSTEM, USER), chosen="a", rejected="b"),
    "unpaired": UnpairedExample(messages=(USER,), completion="a", desirable=True),
    "prompt": PromptExample(messages=(USER,)),
}


def asked(row: Example) -> Prompt:
    return items_of([row])[0].prompt


@pytest.mark.parametrize("where", ["input", "system"])
@pytest.mark.parametrize("kind", ROWS)
def test_training_test_and_product_read_the_same_bytes(kind: str, where: Any) -> None:
    row = ROWS[kind]
    if where == "system" and kind in ("labelled", "completion"):
        with pytest.raises(tk.DataError, match="no system message"):
            tk.Dataset([row]).with_task(where=where, task="topic")
        return
    mixed, _ = tk.Dataset.mix({"topic": tk.Dataset([row])})
    trained = mixed.with_task("[{task}] ", where=where)
    tested = tk.Dataset([row]).with_task("[{task}] ", where=where, task="topic")
    assert asked(trained[0]) == asked(tested[0]) == ask(asked(row), "topic", "[{task}] ", where=where)
    assert str(asked(trained[0])).count("[topic] ") == (2 if "parts" in kind and where == "input" else 1)
    assert trained[0].meta["task"] == tested[0].meta["task"] == "topic"
    assert trained[0].id == mixed[0].id


def test_the_answer_is_left_alone() -> None:
    chat = tk.Dataset([ROWS["chat"]]).with_task(task="topic")[0]
    assert isinstance(chat, ChatExample)
    assert chat.messages == (USER.replace(content="topic: Where is it?"), ANSWER)


def test_a_system_message_that_is_there_stays() -> None:
    chat = tk.Dataset([ROWS["chat with system"]]).with_task("Task: {task}", where="system", task="topic")[0]
    assert isinstance(chat, ChatExample)
    assert chat.messages[0] == SYSTEM.replace(content="Task: topic\n\nBe brief.")


@given(st.text(), st.text(min_size=1))
def test_any_text_and_any_name_stay_as_they_are(prompt: str, task: str) -> None:
    key = "<{task}>"
    if prompt.startswith(f"<{task}>"):
        return
    row = tk.Dataset([CompletionExample(prompt=prompt, completion="c")]).with_task(key, task=task)[0]
    assert isinstance(row, CompletionExample)
    assert row.prompt == f"<{task}>{prompt}" == ask(prompt, task, key)


@pytest.mark.parametrize("where", ["input", "system"])
def test_a_second_key_is_refused(where: Any) -> None:
    once = tk.Dataset([ROWS["chat with system"]]).with_task(where=where, task="topic")
    with pytest.raises(tk.DataError, match="already") as caught:
        once.with_task(where=where)
    assert "once" in caught.value.hint


def test_a_row_without_a_task_is_named() -> None:
    row = LabelledExample(text="t", label="l", id="a.csv:3", meta={"topic": "x"})
    with pytest.raises(tk.DataError, match=r"'a.csv:3' has None as its task") as caught:
        tk.Dataset([row]).with_task()
    assert "'topic'" in caught.value.hint
    assert tk.Dataset([row]).with_task(task_key="topic")[0].text == "x: t"  # type: ignore[union-attr]


def test_a_row_without_a_place_is_named() -> None:
    segments = SegmentsExample(segments=(Segment(text="t", learn=True),), id="s:1")
    with pytest.raises(tk.DataError, match="'s:1' is a text in segments"):
        tk.Dataset([segments]).with_task(task="topic")
    spoken = PromptExample(messages=(SYSTEM,), id="p:1")
    with pytest.raises(tk.DataError, match="'p:1' has no user turn"):
        tk.Dataset([spoken]).with_task(task="topic")


@pytest.mark.parametrize(
    "key", ["", "task: ", "{task}{task}", "{name}: ", "{task", "{{task}}", "{}", "{task!r}", 3]
)
def test_a_key_names_the_task_once(key: Any) -> None:
    with pytest.raises(tk.SpecError, match="key is"):
        tk.Dataset([ROWS["chat"]]).with_task(key, task="topic")


def test_there_are_two_places() -> None:
    with pytest.raises(tk.SpecError, match="where is 'prompt'"):
        tk.Dataset([ROWS["chat"]]).with_task(where="prompt", task="topic")  # type: ignore[arg-type]
