"""Tools, their calls and results: what does not fit together, and what can be mended for certain."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.unit.data.checks.looking import assistant, calls, chat, look, result, user
from tunekit.data.checks.base import CheckContext
from tunekit.data.checks.tools import Tools
from tunekit.data.fixes.run import run
from tunekit.examples import ChatExample, Message, PreferenceExample, ToolCall


def tool(name: str = "look_up", **parameters: Any) -> dict[str, Any]:
    function: dict[str, Any] = {"name": name}
    if parameters:
        function["parameters"] = {"type": "object", "properties": parameters, "required": list(parameters)}
    return {"type": "function", "function": function}


ORDER = tool(order={"type": "integer"})


def codes(*messages: Message, tools: tuple[dict[str, Any], ...] = (ORDER,)) -> dict[str, list[str]]:
    report = look([chat(*messages, tools=tools)], Tools)
    return {
        finding.code: [place.field for place in finding.places]
        for finding in report
        if finding.code != "tool-unused"
    }


def test_calls_and_results_that_fit() -> None:
    fine = (user(), calls(("1", "look_up", '{"order": 7}')), result("1"), assistant())
    assert codes(*fine) == {}
    # What Microsoft's guide shows: the call itself is the answer that is learned.
    assert codes(*fine[:2]) == {}
    two = calls(("1", "look_up", '{"order": 7}'), ("2", "look_up", '{"order": 8}'))
    assert codes(user(), two, result("2"), result("1"), assistant()) == {}
    # The same id in another turn is no matter.
    assert codes(*fine, *fine) == {}


CALL = "messages[1].tool_calls[0]"


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ((calls(("1", "cancel", "{}")), result("1")), {"tool-unknown": [f"{CALL}.function.name"]}),
        ((calls(("1", "look_up", "{")), result("1")), {"tool-arguments": [f"{CALL}.function.arguments"]}),
        (
            (calls(("1", "look_up", "{'order': 7}")), result("1")),
            {"tool-arguments": [f"{CALL}.function.arguments"]},
        ),
        ((calls(("1", "look_up", "[7]")), result("1")), {"tool-arguments": [f"{CALL}.function.arguments"]}),
        ((calls(("1", "look_up", "")), result("1")), {"tool-arguments": [f"{CALL}.function.arguments"]}),
        (
            (calls(("1", "look_up", '"{\\"order\\": 7}"')), result("1")),
            {"tool-arguments-encoded": [f"{CALL}.function.arguments"]},
        ),
        (
            (calls(("1", "look_up", '{"order": "7"}')), result("1")),
            {"tool-arguments-schema": [f"{CALL}.function.arguments.order"]},
        ),
        (
            (calls(("1", "look_up", "{}")), result("1")),
            {"tool-arguments-schema": [f"{CALL}.function.arguments.order"]},
        ),
        ((calls(("1", "look_up", '{"order": 7}')),), {"tool-call-unanswered": [f"{CALL}.id"]}),
        (
            (calls(("1", "look_up", '{"order": 7}')), result("2")),
            {"tool-result-unmatched": ["messages[2].tool_call_id"], "tool-call-unanswered": [f"{CALL}.id"]},
        ),
        ((assistant(), result("1")), {"tool-result-unmatched": ["messages[2].tool_call_id"]}),
        ((assistant(), result(None)), {"tool-call-id-unclear": ["messages[2].tool_call_id"]}),
        (
            (calls(("1", "look_up", '{"order": 7}'), ("1", "look_up", '{"order": 8}')), result("1")),
            {"tool-call-id-duplicate": [f"{CALL}.id", "messages[1].tool_calls[1].id"]},
        ),
        (
            (calls(("", "look_up", '{"order": 7}')), result(None)),
            {"tool-call-id-missing": [f"{CALL}.id", "messages[2].tool_call_id"]},
        ),
        (
            (
                calls(("", "look_up", '{"order": 7}'), ("", "look_up", '{"order": 8}')),
                result(None),
                result(None),
            ),
            {
                "tool-call-id-unclear": [
                    f"{CALL}.id",
                    "messages[1].tool_calls[1].id",
                    "messages[2].tool_call_id",
                    "messages[3].tool_call_id",
                ]
            },
        ),
    ],
)
def test_what_does_not_fit(messages: tuple[Message, ...], expected: dict[str, list[str]]) -> None:
    assert codes(user(), *messages, assistant("Done.")) == expected


def test_without_definitions_nothing_is_unknown_but_it_is_told() -> None:
    assert codes(user(), calls(("1", "look_up", "{}")), tools=()) == {
        "tools-undefined": [f"{CALL}.function.name"]
    }


@pytest.mark.parametrize(
    ("tools", "field", "evidence"),
    [
        ([{"name": "look_up", "parameters": {}}], "tools[0]", "not {'type': 'function', ...}"),
        ([{"type": "retrieval"}], "tools[0]", "not {'type': 'function', ...}"),
        ([tool("look up")], "tools[0].function.name", "'look up' is no name"),
        ([tool("x" * 65)], "tools[0].function.name", "'xxxxxxxxx"),
        ([ORDER, ORDER], "tools[1].function.name", "'look_up' is there twice"),
        (
            [{"type": "function", "function": {"name": "f", "parameters": []}}],
            "tools[0].function.parameters",
            "a list",
        ),
        (
            [{"type": "function", "function": {"name": "f", "parameters": {"type": "string"}}}],
            "tools[0].function.parameters.type",
            "'string', not 'object'",
        ),
        (
            [tool(order={"type": "int"})],
            "tools[0].function.parameters.properties.order.type",
            "'int' is no type",
        ),
        (
            [
                {
                    "type": "function",
                    "function": {"name": "f", "parameters": {"required": ["a"], "properties": {"b": {}}}},
                }
            ],
            "tools[0].function.parameters.required",
            "'a' is not among the properties",
        ),
    ],
)
def test_definitions_that_are_wrong(tools: list[dict[str, Any]], field: str, evidence: str) -> None:
    finding = look([chat(user(), assistant(), tools=tuple(tools))], Tools)["tool-schema"]
    assert finding.places[0].field == field
    assert finding.places[0].evidence.startswith(evidence)


def test_the_same_definitions_are_reported_for_every_row_that_has_them() -> None:
    rows = [chat(user(), assistant(), id=f"a:{number}", tools=(tool("no name"),)) for number in range(3)]
    assert look(rows, Tools)["tool-schema"].rows == ("a:0", "a:1", "a:2")


def test_tools_that_nobody_calls_are_named_once() -> None:
    rows = [
        chat(user(), calls(("1", "look_up", '{"order": 7}')), tools=(ORDER, tool("cancel"))),
        chat(user(), assistant(), tools=(tool("refund"),)),
    ]
    assert look(rows, Tools)["tool-unused"].facts == {"tools": ["cancel", "refund"]}


def test_answers_of_preferences_are_looked_at_too() -> None:
    row = PreferenceExample(
        id="a:1", messages=(user(),), chosen=(calls(("1", "look_up", "{")),), rejected="no", tools=(ORDER,)
    )
    assert (
        look([row], Tools)["tool-arguments"].places[0].field == "chosen[0].tool_calls[0].function.arguments"
    )


def test_hostile_arguments_and_schemas_are_findings_not_hangs() -> None:
    deep: Any = {"type": "string"}
    for _ in range(6):
        deep = {"anyOf": [deep, deep], "items": deep}
    tools = (tool(order=deep),)
    assert "tool-schema" not in codes(user(), assistant(), tools=({**ORDER},))
    assert codes(user(), calls(("1", "look_up", '{"order": [[[[7]]]]}')), tools=tools).keys() <= {
        "tool-arguments-schema"
    }
    for text in (
        '{"a":' * 100_000,
        "[" * 1_000_000,
        "9" * 100_000,
        '{"a": NaN}',
        '"\\ud800"',
        '{"a": 1, "a": 2}',
    ):
        assert "tool-arguments" in codes(user(), calls(("1", "look_up", text)))


def test_a_definition_that_no_json_can_hold_is_wrong() -> None:
    endless: dict[str, Any] = {"type": "object"}
    endless["properties"] = {"again": endless}
    tools = ({"type": "function", "function": {"name": "f", "parameters": endless}},)
    assert codes(user(), assistant(), tools=tools) == {"tool-schema": ["tools"]}


# --- fixes ----------------------------------------------------------------------------------------


def fixed(*messages: Message) -> tuple[Message, ...]:
    """What the lossless fixes make of it, unasked."""
    (row,), _ = run([chat(*messages, tools=(ORDER,))], (), CheckContext())
    assert isinstance(row, ChatExample)
    return row.messages


def ids(messages: tuple[Message, ...]) -> list[Any]:
    return [
        [call.id for call in turn.tool_calls] if turn.tool_calls else turn.tool_call_id
        for turn in messages
        if turn.tool_calls or turn.role == "tool"
    ]


F, G = ("", "f", "{}"), ("", "g", "{}")


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        # One call and one result belong together.
        ((calls(F), result(None)), [["call_1"], "call_1"]),
        ((calls(F), result("x")), [["x"], "x"]),
        ((calls(("x", "f", "{}")), result("")), [["x"], "x"]),
        # What is left over when the others are matched does, too.
        ((calls(("x", "f", "{}"), G), result(None), result("x")), [["x", "call_1"], "call_1", "x"]),
        # Results that name their tools, each called once.
        (
            (calls(F, G), result(None, name="g"), result(None, name="f")),
            [["call_2", "call_1"], "call_1", "call_2"],
        ),
        # A new id is new in the row.
        (
            (calls(("call_1", "f", "{}")), result("call_1"), calls(F), result(None)),
            [["call_1"], "call_1", ["call_2"], "call_2"],
        ),
        # A call that nobody answers.
        ((calls(F, G),), [["call_1", "call_2"]]),
        # Order alone says nothing for certain; two ids that differ contradict each other.
        ((calls(F, F), result(None), result(None)), [["", ""], None, None]),
        ((calls(("x", "f", "{}")), result("y")), [["x"], "y"]),
        ((calls(F, G), result(None)), [["", ""], None]),
    ],
)
def test_missing_ids_are_filled_where_it_is_certain(
    messages: tuple[Message, ...], expected: list[Any]
) -> None:
    assert ids(fixed(user(), *messages)) == expected


def test_arguments_encoded_twice_are_decoded_to_the_inner_text() -> None:
    once = '{"order": 7,  "note": "\\u00e9"}'
    twice, thrice = json.dumps(once), json.dumps(json.dumps(once))
    row = fixed(user(), calls(("1", "look_up", twice), ("2", "look_up", thrice), ("3", "look_up", '"text"')))
    assert [call.arguments for call in row[1].tool_calls] == [once, once, '"text"']


def test_answers_are_mended_too() -> None:
    row = PreferenceExample(
        id="a:1",
        messages=(user(),),
        chosen=(Message(role="assistant", tool_calls=(ToolCall(id="", name="f", arguments='"{}"'),)),),
        rejected="no",
    )
    (mended,), _ = run([row], (), CheckContext())
    assert isinstance(mended, PreferenceExample) and not isinstance(mended.chosen, str)
    assert mended.chosen[0].tool_calls == (ToolCall(id="call_1", name="f", arguments="{}"),)


def test_many_calls_in_one_turn_take_no_quadratic_time() -> None:
    ids = [str(number) for number in range(30_000)]
    turn = calls(*((each, f"f{each}", "{}") for each in ids))
    row = chat(user(), turn, *(result(each) for each in ids), assistant())
    check = Tools(CheckContext())
    start = time.process_time()
    check.see(row)
    assert time.process_time() - start < 10  # about a second; with lists in place of sets, over thirty
