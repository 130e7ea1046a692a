"""From one kind to another: what is kept, what has no meaning there and is refused, and what to do instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.data import strategies
from tunekit.data.shapes import convert
from tunekit.errors import DataError
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
    ToolCall,
    UnpairedExample,
)

ROW: dict[str, Any] = {"id": "t.csv:2", "meta": {"day": "Mon"}}
USER, BOT = Message(role="user", content="2+2?"), Message(role="assistant", content="4")
SYSTEM = Message(role="system", content="Be brief.")
CALLING = Message(role="assistant", tool_calls=(ToolCall(id="c", name="add", arguments="{}"),))
CHAT = ChatExample(messages=(USER, BOT), **ROW)
COMPLETION = CompletionExample(prompt="2+2?", completion="4", **ROW)
LABELLED = LabelledExample(text="2+2?", label="4", **ROW)
LABELS = LabelledExample(text="2+2?", label=("4", "four"), **ROW)
PREFERENCE = PreferenceExample(messages=(USER,), chosen="4", rejected="5", **ROW)
UNPAIRED = UnpairedExample(messages=(USER,), completion="5", desirable=False, **ROW)
PROMPT = PromptExample(messages=(USER,), reference={"answer": "4"}, **ROW)
SEGMENTS = SegmentsExample(segments=(Segment(text="2+2?", learn=False), Segment(text="4", learn=True)), **ROW)
RAW = CompletionExample(prompt="", completion="2+2?4", **ROW)


def converted(name: str, example: Example) -> Example:
    """Through `convert.to_<name>`, which is a step over several examples for two of the kinds."""
    if name == "unpaired":
        [found] = convert.to_unpaired([example])
        return found
    result: Example = getattr(convert, f"to_{name}")(example)
    return result


@pytest.mark.parametrize(
    ("name", "example", "result"),
    [
        ("chat", CHAT, CHAT),
        ("chat", COMPLETION, CHAT),
        ("chat", LABELLED, CHAT),
        ("completion", CHAT, COMPLETION),
        ("completion", COMPLETION, COMPLETION),
        ("completion", LABELLED, COMPLETION),
        ("completion", SEGMENTS, COMPLETION),
        ("labelled", CHAT, LABELLED),
        ("labelled", COMPLETION, LABELLED),
        ("labelled", LABELS, LABELS),
        ("prompt", CHAT, PROMPT),
        ("prompt", COMPLETION, PROMPT),
        ("prompt", LABELLED, PROMPT),
        ("prompt", LABELS, PROMPT.replace(reference={"answer": ["4", "four"]})),
        ("text", COMPLETION, RAW),
        ("text", SEGMENTS, RAW),
        ("segments", COMPLETION, SEGMENTS),
        ("segments", RAW, SEGMENTS.replace(segments=(Segment(text="2+2?4", learn=True),))),
        ("unpaired", UNPAIRED, UNPAIRED),
        ("unpaired", CHAT, UNPAIRED.replace(completion="4", desirable=True)),
        ("unpaired", COMPLETION, UNPAIRED.replace(completion="4", desirable=True)),
    ],
    ids=lambda value: value if isinstance(value, str) else value.kind,
)
def test_what_has_the_same_meaning(name: str, example: Example, result: Example) -> None:
    found = converted(name, example)
    assert found == result
    assert (found.id, found.meta) == ("t.csv:2", {"day": "Mon"})


FOUR_TURNS = ChatExample(messages=(USER, BOT, USER, BOT), **ROW)
ONE = "where a completion has one question and one answer"


@pytest.mark.parametrize(
    ("name", "example", "why", "hint"),
    [
        ("chat", RAW, "it has no prompt", "raw text has no turns"),
        ("chat", LABELS, "it has 2 labels, and an answer is one text", "map the dataset and join the labels"),
        ("chat", PREFERENCE, "it has a better and a worse answer", "convert with to_unpaired() first"),
        ("chat", UNPAIRED, "its answer may be a bad one", "keep the desirable rows"),
        ("chat", PROMPT, "it has no answer, only a reference for graders", "map the dataset and say"),
        (
            "chat",
            SEGMENTS,
            "its text is in segments, not in turns",
            "load the data in a shape that has turns",
        ),
        (
            "completion",
            FOUR_TURNS,
            f"it has the turns user, assistant, user, assistant, {ONE}",
            "train on chats",
        ),
        (
            "completion",
            CHAT.replace(messages=(SYSTEM, USER, BOT)),
            f"it has the turns system, user, assistant, {ONE}",
            "train on chats",
        ),
        ("completion", CHAT.replace(tools=({"type": "function"},)), f"it has tools, {ONE}", "train on chats"),
        (
            "completion",
            CHAT.replace(messages=(USER, CALLING)),
            "a turn has more than a text",
            "train on chats",
        ),
        (
            "completion",
            CHAT.replace(messages=(USER, BOT.replace(weight=0.5))),
            "a turn has more than a text",
            "train on chats",
        ),
        ("completion", LABELS, "it has 2 labels", "map the dataset"),
        ("completion", PROMPT, "it has no answer", "map the dataset"),
        (
            "completion",
            SEGMENTS.replace(segments=SEGMENTS.segments[::-1]),
            "what is learned does not stand at its end alone",
            "train on segments as they are",
        ),
        ("labelled", RAW, "there is no text to classify", "name the text column with input="),
        (
            "labelled",
            COMPLETION.replace(completion="x" * 101),
            "its answer of 101 characters is no label",
            "use the rows as completions",
        ),
        (
            "labelled",
            COMPLETION.replace(completion="a\nb"),
            "its answer of 3 characters is no label",
            "use the rows",
        ),
        (
            "prompt",
            CHAT.replace(messages=(USER, CALLING)),
            "it does not end with one answer in plain text",
            "map",
        ),
        ("prompt", CHAT.replace(messages=(USER, BOT, USER)), "it does not end with one answer", "map"),
        ("prompt", PREFERENCE, "it has a better and a worse answer", "convert with to_unpaired() first"),
        ("text", CHAT, "only a template or a format of yours makes it one text", "map the dataset"),
        ("text", LABELLED, "only a template or a format of yours makes it one text", "map the dataset"),
        ("segments", FOUR_TURNS, "it has the turns user, assistant", "train on chats"),
        ("unpaired", PROMPT, "it has no answer, only a reference for graders", "map the dataset"),
        (
            "unpaired",
            CHAT.replace(messages=(USER, CALLING)),
            "it does not end with one answer",
            "map the dataset",
        ),
    ],
)
def test_what_has_no_meaning_there(name: str, example: Example, why: str, hint: str) -> None:
    with pytest.raises(DataError) as caught:
        converted(name, example)
    assert caught.value.message.startswith("row 't.csv:2' cannot become a ")
    assert f"example: {why}" in caught.value.message
    assert caught.value.hint.startswith(hint)


def test_a_system_turn_goes_where_there_is_none() -> None:
    assert convert.to_chat(COMPLETION, system="Be brief.").messages == (SYSTEM, USER, BOT)
    assert (
        convert.to_chat(CHAT.replace(messages=(SYSTEM, USER, BOT)), system="Be loud.").messages[0] == SYSTEM
    )


def test_labels_and_completions_keep_every_space() -> None:
    for answer in (" spam", "Spam ", "\tx"):
        pair = COMPLETION.replace(completion=answer)
        assert convert.to_labelled(pair).label == answer
        assert convert.to_completion(convert.to_chat(pair)) == pair


@settings(max_examples=50, deadline=None)
@given(strategies.completion().filter(lambda row: bool(row.prompt.strip())))
def test_completions_come_back_from_chats_and_segments(example: CompletionExample) -> None:
    for there in (convert.to_chat, convert.to_segments):
        back = convert.to_completion(there(example))
        assert (back, back.id, back.meta) == (example, example.id, example.meta)


# --- verdicts -----------------------------------------------------------------------------------------


def test_a_preference_becomes_two_rows_and_one_again() -> None:
    good, bad = convert.to_unpaired([PREFERENCE])
    assert (good.id, good.completion, good.desirable) == ("t.csv:2.1", "4", True)
    assert (bad.id, bad.completion, bad.desirable) == ("t.csv:2.2", "5", False)
    assert good.meta == bad.meta == {"day": "Mon"}
    assert list(convert.to_preference([good, bad])) == [PREFERENCE]


def unpaired(id: str, prompt: str, answer: str, good: bool) -> UnpairedExample:
    turns = (Message(role="user", content=prompt),)
    return UnpairedExample(messages=turns, completion=answer, desirable=good, id=id, meta={"row": id})


def test_every_answer_is_in_a_pair_and_every_pair_has_an_id_of_its_own() -> None:
    rows = [
        unpaired("1", "a", "bad 1", False),
        unpaired("2", "b", "good", True),
        unpaired("3", "a", "good", True),
        unpaired("4", "a", "bad 2", False),
        unpaired("5", "b", "bad", False),
    ]
    pairs = list(convert.to_preference(rows))
    assert [(pair.id, pair.chosen, pair.rejected) for pair in pairs] == [
        ("1", "good", "bad 1"),
        ("4", "good", "bad 2"),
        ("2", "good", "bad"),
    ]
    assert [pair.meta for pair in pairs] == [{"row": "1"}, {"row": "4"}, {"row": "2"}]


def test_the_same_prompt_with_other_tools_is_another_prompt() -> None:
    rows = [
        unpaired("1", "a", "x", True),
        unpaired("2", "a", "y", False).replace(tools=({"type": "function"},)),
    ]
    with pytest.raises(DataError, match="all answers to its prompt are desirable"):
        list(convert.to_preference(rows))


def test_preferences_pass_as_they_are() -> None:
    assert [(row, row.id) for row in convert.to_preference([PREFERENCE, PREFERENCE])] == [
        (PREFERENCE, "t.csv:2")
    ] * 2


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([COMPLETION], "row 't.csv:2' cannot become a preference example: it has no verdict"),
        (
            [unpaired("1", "a", "x", True), unpaired("2", "b", "y", False)],
            "row '1' cannot become a preference example: all answers to its prompt are desirable",
        ),
        (
            [UNPAIRED],
            "row 't.csv:2' cannot become a preference example: all answers to its prompt are undesirable",
        ),
    ],
)
def test_no_pair_without_two_verdicts(rows: Sequence[Example], message: str) -> None:
    with pytest.raises(DataError) as caught:
        list(convert.to_preference(rows))
    assert caught.value.message == message
    assert caught.value.hint


CONVERSIONS: list[Callable[[Example], Any]] = [
    convert.to_chat,
    convert.to_completion,
    convert.to_labelled,
    convert.to_prompt,
    convert.to_text,
    convert.to_segments,
    lambda example: next(convert.to_unpaired([example])),
]


@settings(max_examples=100, deadline=None)
@given(strategies.example(), st.sampled_from(CONVERSIONS))
def test_any_example_is_converted_or_refused_with_a_hint(
    example: Example, to: Callable[[Example], Any]
) -> None:
    found, refused = outcome(to, example)
    if refused is not None:
        assert refused.hint and repr(example.id) in refused.message
    else:
        assert found.id.startswith(example.id) and found.meta == example.meta


def outcome(to: Callable[[Example], Any], example: Example) -> tuple[Any, DataError | None]:
    try:
        return to(example), None
    except DataError as refused:
        return None, refused
