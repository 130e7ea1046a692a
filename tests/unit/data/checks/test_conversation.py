"""Who speaks in a conversation, in which order, what is learned; and what mends it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.data.checks.looking import assistant, calls, chat, look, result, system, user
from tunekit.data.checks.base import CheckContext
from tunekit.data.checks.conversation import Conversations
from tunekit.data.checks.tools import Tools
from tunekit.data.fixes.run import run
from tunekit.data.views import texts
from tunekit.examples import (
    ChatExample,
    Example,
    Message,
    PreferenceExample,
    PromptExample,
    ToolCall,
    UnpairedExample,
)

CHAT = CheckContext()


def found(*rows: Example) -> dict[str, list[str]]:
    """The findings' codes, each with its places."""
    report = look(rows, Conversations)
    told: dict[str, list[str]] = {}
    for finding in report:
        told.setdefault(finding.code, []).extend(place.field for place in finding.places)
    return told


@pytest.mark.parametrize(
    "messages",
    [
        (user(), assistant()),
        (system(), user(), assistant()),
        (Message(role="developer", content="Be brief."), user(), assistant()),
        (user(), assistant(weight=0.0), user(), assistant()),
        (user(), calls(("1", "look_up", "{}")), result("1", ""), result("2"), assistant()),
        (user(), calls(("1", "look_up", "{}"))),
        (system(), system("And kind."), user(), assistant()),
    ],
)
def test_conversations_as_they_should_be(messages: tuple[Message, ...]) -> None:
    assert found(chat(*messages)) in ({}, {"repeated-roles": ["messages[1].role"]})


@pytest.mark.parametrize(
    ("messages", "code", "field", "severity"),
    [
        ((user(),), "no-answer", "messages", "error"),
        ((user(), assistant(weight=0.0)), "nothing-learned", "messages", "error"),
        ((system(), assistant()), "no-user-turn", "messages", "warning"),
        ((user(), assistant(), user("Thanks!")), "trailing-turns", "messages[2]", "warning"),
        ((user(), system(), assistant()), "system-not-first", "messages[1].role", "warning"),
        ((user(), assistant(), assistant("Bye.")), "repeated-roles", "messages[2].role", "warning"),
        ((user(), user("Hello?"), assistant()), "repeated-roles", "messages[1].role", "warning"),
        ((system(" \n"), user(), assistant()), "empty-turn", "messages[0].content", "warning"),
        ((user(""), assistant()), "empty-turn", "messages[0].content", "warning"),
        ((user(), assistant(""), user(), assistant()), "empty-turn", "messages[1].content", "warning"),
        ((assistant("Hi!"), user(), assistant()), "starts-with-answer", "messages[0].role", "info"),
        ((user(weight=0.0), assistant()), "weight-on-context", "messages[0].weight", "info"),
        ((user(name=" "), assistant()), "blank-name", "messages[0].name", "info"),
    ],
)
def test_what_can_be_wrong(messages: tuple[Message, ...], code: str, field: str, severity: str) -> None:
    report = look([chat(user(), assistant(), id="a:1"), chat(*messages, id="a:2")], Conversations)
    finding = report[code]
    assert finding.severity == severity
    assert finding.rows == ("a:2",)
    assert [place.field for place in finding.places] == [field]
    assert not finding.target


def test_an_image_or_a_call_is_something_to_say() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    assert found(chat(user("", parts=(image,)), assistant())) == {}
    assert found(chat(user(), assistant(None, reasoning="Let me think."), user(), assistant())) == {}


@pytest.mark.parametrize(
    ("example", "code", "severity"),
    [
        (PromptExample(id="a:1", messages=(user(), assistant())), "ends-with-answer", "error"),
        (
            PreferenceExample(id="a:1", messages=(user(), assistant()), chosen="a", rejected="b"),
            "ends-with-answer",
            "warning",
        ),
        (
            PreferenceExample(id="a:1", messages=(user(),), chosen=(user(),), rejected="b"),
            "no-answer",
            "error",
        ),
        (UnpairedExample(id="a:1", messages=(), completion="a", desirable=True), "no-user-turn", "warning"),
    ],
)
def test_conversations_of_other_kinds(example: Example, code: str, severity: str) -> None:
    assert look([example], Conversations)[code].severity == severity


def test_kinds_without_their_own_rules_are_left_alone() -> None:
    fine: list[Example] = [
        PromptExample(id="a:1", messages=(user(),)),
        PreferenceExample(id="a:2", messages=(user(),), chosen=(assistant(),), rejected="b"),
        PreferenceExample(
            id="a:3", messages=(user(), calls(("1", "f", "{}")), result("1")), chosen="a", rejected="b"
        ),
    ]
    assert found(*fine) == {}


# --- fixes ----------------------------------------------------------------------------------------


def mended(example: ChatExample, *names: str) -> tuple[Message, ...]:
    (row,), _ = run([example], names, CHAT)
    assert isinstance(row, ChatExample)
    return row.messages


def test_turns_of_one_role_are_joined_only_when_asked() -> None:
    row = chat(user("One."), user("Two."), assistant("Yes."), assistant("No."))
    assert mended(row, "lossless") == row.messages
    assert mended(row, "merge-turns") == (user("One.\n\nTwo."), assistant("Yes.\n\nNo."))


def test_a_text_before_calls_is_joined_and_one_after_them_is_not() -> None:
    made = calls(("1", "look_up", "{}"))
    row = chat(user(), assistant("One moment."), made, result("1"), assistant("Found."))
    joined = mended(row, "merge-turns")
    assert joined[1] == made.replace(content="One moment.")
    assert found(row.replace(messages=joined)) == {}

    after = chat(user(), made, assistant("Wait."), result("1"), assistant())
    assert mended(after, "merge-turns") == after.messages
    finding = look([after], Conversations)["repeated-roles"]
    assert finding.fix is None and "cannot be merged" in finding.message


def test_turns_that_count_differently_or_have_other_speakers_stay_apart() -> None:
    for second in (assistant("b", weight=0.0), assistant("b", name="ann"), assistant("b", reasoning="r")):
        row = chat(user(), assistant("a"), second)
        assert mended(row, "merge-turns") == row.messages


def test_parts_are_joined_as_parts() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    text = {"type": "text", "text": "this"}
    row = chat(user("Look:"), user("this", parts=(text, image)), assistant())
    merged = mended(row, "merge-turns")[0]
    assert merged.content == "Look:\n\nthis"
    assert merged.parts == ({"type": "text", "text": "Look:"}, {"type": "text", "text": "\n\n"}, text, image)


def test_what_means_nothing_is_cleared_unasked() -> None:
    row = chat(
        user(weight=0.0, name="\t"),
        assistant(weight=0.5, name="bot"),
        user(weight=2.0),
    )
    cleared = mended(row)
    assert [turn.weight for turn in cleared] == [1.0, 0.5, 1.0]
    assert [turn.name for turn in cleared] == [None, "bot", None]


def test_turns_after_the_last_answer_and_empty_ones_can_be_left_out() -> None:
    row = chat(system(""), user(), assistant(), user("Thanks!"), user(""))
    assert mended(row, "lossless") == row.messages
    assert mended(row, "drop-trailing-turns") == row.messages[:3]
    assert mended(row, "drop-empty-turns") == row.messages[1:4]
    prompt = PromptExample(id="a:1", messages=(user(), assistant(), user()))
    assert run([prompt], ["drop-trailing-turns"], CHAT)[0] == (prompt,)


CONTENT = st.sampled_from([None, "", " ", "yes", "Where is it?", "<image>"])
CALL = st.builds(
    ToolCall,
    id=st.sampled_from(["", "1", "2"]),
    name=st.sampled_from(["f", "g"]),
    arguments=st.sampled_from(["{}", '{"x": 1}', '"{}"', '"\\"{}\\""', "[1]", "{'x': 1}", "", "null", '"x"']),
)
TURN = st.builds(
    Message,
    role=st.sampled_from(["system", "developer", "user", "assistant", "assistant", "tool"]),
    content=CONTENT,
    name=st.sampled_from([None, None, "", "ann", "f", "g"]),
    weight=st.sampled_from([1.0, 1.0, 0.0, 0.5, -1.0]),
    tool_calls=st.just(()) | st.lists(CALL, max_size=3).map(tuple),
    tool_call_id=st.sampled_from([None, "", "1", "2"]),
    parts=st.just(()) | st.just(({"type": "text", "text": "yes"},)),
    reasoning=st.sampled_from([None, None, "because"]),
)
MESSY = st.lists(TURN, max_size=6).map(tuple)
ROW: st.SearchStrategy[Example] = st.one_of(
    st.builds(ChatExample, id=st.just("a:1"), messages=MESSY),
    st.builds(PromptExample, id=st.just("a:1"), messages=MESSY),
    st.builds(PreferenceExample, id=st.just("a:1"), messages=MESSY, chosen=MESSY, rejected=st.just("no")),
)


def proposed(row: Example) -> set[tuple[str, str]]:
    report = look([row], Conversations, Tools)
    return {(finding.fix.name, finding.code) for finding in report if finding.fix}


@settings(max_examples=300)
@given(ROW)
def test_after_its_fix_a_finding_is_gone_and_lossless_fixes_keep_every_text(row: Example) -> None:
    for name, code in proposed(row):
        (fixed,), report = run([row], [name], CHAT)
        assert report.changed_anything, (name, code)
        assert (name, code) not in proposed(fixed)
        if name in ("clear-context-weights", "drop-blank-names", "fill-tool-call-ids"):
            assert said(fixed) == said(row)


def said(row: Example) -> list[tuple[Any, ...]]:
    return [(field, text) for field, text, _ in texts(row)]
