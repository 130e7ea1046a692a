"""Links without ids: the order of a conversation says which result answers which call, or the shape refuses it."""

from __future__ import annotations

import pytest

from tests.unit.data.shapes.law import refusal
from tunekit.data.shapes.links import linked, nameless, numbered, unlinked
from tunekit.examples import Message, ToolCall

Q = Message(role="user", content="q")


def calling(*names: str, ids: tuple[str, ...] = ()) -> Message:
    given = ids or ("",) * len(names)
    calls = (ToolCall(id=id, name=name, arguments="{}") for id, name in zip(given, names, strict=True))
    return Message(role="assistant", tool_calls=tuple(calls))


def result(id: str | None = None, name: str | None = None) -> Message:
    return Message(role="tool", content="x", tool_call_id=id, name=name)


@pytest.mark.parametrize(
    ("turns", "links"),
    [
        ((calling("f"), result()), ["call_1"]),
        ((calling("f", "f"), result(), result()), ["call_1", "call_2"]),
        ((calling("f", "g"), result(name="g"), result(name="f")), ["call_2", "call_1"]),
        ((calling("f"), result(), calling("f"), result()), ["call_1", "call_2"]),
        ((calling("f"), result(), result()), ["call_1", None]),
        ((calling("f", "g"), result()), ["call_1"]),
        ((calling("f"), Q, result()), [None]),
        ((calling("f"), result(name="g")), [None]),
        ((result(),), [None]),
    ],
)
def test_results_answer_open_calls_in_order(turns: tuple[Message, ...], links: list[str | None]) -> None:
    assert [turn.tool_call_id for turn in linked(turns) if turn.role == "tool"] == links


def test_turns_with_ids_stay_as_they_are() -> None:
    turns = (calling("f", "f", ids=("x", "y")), result("y"), result("x"))
    assert linked(turns) == turns


def test_the_name_of_a_function_is_said_once() -> None:
    turns = (calling("f", ids=("x",)), result("x", "f"), result("x", "g"), result(None, "f"))
    assert [turn.name for turn in nameless(turns)[1:]] == [None, "g", "f"]


def test_numbers_follow_the_calls() -> None:
    turns = (
        calling("f", "g", ids=("b", "a")),
        result("a"),
        calling("f", ids=("c",)),
        result("c"),
        result("z"),
    )
    assert [turn.tool_call_id for turn in numbered(turns) if turn.role == "tool"] == ["call_2", "call_3", "z"]


@pytest.mark.parametrize(
    ("turns", "names", "field"),
    [
        ((calling("f", "g", ids=("a", "b")), result("b"), result("a")), False, "messages[1]"),
        ((calling("f", "f", ids=("a", "b")), result("b"), result("a")), True, "messages[1]"),
        ((calling("f", ids=("a",)), result()), True, "messages[1]"),
        ((calling("f", ids=("a",)), result("z")), True, "messages[1]"),
        ((calling("f", ids=("a",)), Q, result("a")), True, "messages[2]"),
        ((calling("f", ids=("a",)), result("a", "g")), True, "messages[1]"),
    ],
)
def test_what_the_order_does_not_say_is_refused(turns: tuple[Message, ...], names: bool, field: str) -> None:
    said = refusal(lambda: unlinked(turns, "gemini", names=names))
    assert said == (
        f"{field}.tool_call_id: the shape 'gemini' has no ids, and the order does not say which call this turn answers"
    )


def test_names_say_what_the_order_does_not() -> None:
    turns = (calling("f", "g", ids=("a", "b")), result("b"), result("a"))
    bare = unlinked(turns, "gemini", names=True)
    assert [(turn.tool_call_id, turn.name) for turn in bare[1:]] == [(None, "g"), (None, "f")]
    assert linked(bare) == numbered(turns)
