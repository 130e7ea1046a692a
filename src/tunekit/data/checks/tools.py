"""Tools and their calls: definitions, names, arguments, ids, results. Knows OpenAI's form of tools; calls none."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from tunekit.data import json_schema, tool_turns, turns
from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.findings import Finding, Rows, Severity, evidence
from tunekit.data.fixes.base import Fix
from tunekit.data.fixes.tools import DecodeToolArguments, FillToolCallIds
from tunekit.data.json_text import parsed
from tunekit.data.wording import brief, counted, listed, shown
from tunekit.errors import DataError
from tunekit.examples import Example, Message, ToolCall

Place: TypeAlias = tuple[str, str, str]
"""Code, field, evidence."""

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")  # OpenAI's API description 2.3.0, FunctionObject.name
_MAX_SCHEMAS = 10_000

_SAYS: Mapping[str, tuple[Severity, str, type[Fix] | None]] = {
    "tool-schema": ("error", "a tool definition is wrong", None),
    "tool-arguments": ("error", "the arguments of a tool call are not a JSON object", None),
    "tool-arguments-encoded": (
        "error",
        "the arguments of a tool call are encoded twice",
        DecodeToolArguments,
    ),
    "tool-unknown": ("error", "a tool is called that the row does not define", None),
    "tool-result-unmatched": ("error", "a tool result answers no call of the turn before", None),
    "tool-call-id-duplicate": ("error", "two tool calls of one turn have the same id", None),
    "tool-call-id-missing": ("error", "a tool call or its result has no id", FillToolCallIds),
    "tool-call-id-unclear": (
        "error",
        "a tool call or its result has no id, and what belongs together is not certain",
        None,
    ),
    "tool-arguments-schema": (
        "warning",
        "the arguments of a tool call do not fit the tool's parameters",
        None,
    ),
    "tool-call-unanswered": ("warning", "a tool call has no result, though the conversation goes on", None),
    "tools-undefined": ("info", "tools are called, and the row defines none", None),
}


class Tools(Check):
    """Looks at tool definitions, tool calls and tool results."""

    codes = (*_SAYS, "tool-unused")

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._found = {code: Rows() for code in _SAYS}
        self._schemas: dict[str, list[tuple[str, str]]] = {}
        self._defined: set[str] = set()
        self._called: set[str] = set()

    def see(self, example: Example) -> None:
        """Look at one row."""
        messages = turns.conversation(example)
        if messages is None:
            return
        tools = getattr(example, "tools", ())
        parameters = {name: function.get("parameters") for name, function in _functions(tools)}
        self._defined.update(parameters)
        for code, field, shown_text in self._places(example, messages, tools, parameters):
            self._found[code].add(example.id, field, shown_text)

    def _places(
        self,
        example: Example,
        messages: tuple[Message, ...],
        tools: tuple[Mapping[str, Any], ...],
        parameters: Mapping[str, Any],
    ) -> Iterator[Place]:
        if tools:
            yield from self._definitions(tools)
        for field, said in (("messages", messages), *turns.answers(example)):
            if any(turn.tool_calls or turn.role == "tool" for turn in said):
                yield from _ids(field, said)
                for where, call in _calls(field, said):
                    self._called.add(call.name)
                    yield from _call(where, call, parameters)

    def _definitions(self, tools: tuple[Mapping[str, Any], ...]) -> Iterator[Place]:
        """Problems of the definitions; the same ones, which most rows share, are looked at once."""
        try:
            key = json.dumps(tools, sort_keys=True)
        except (TypeError, ValueError, RecursionError):
            yield "tool-schema", "tools", "what JSON cannot hold"
            return
        if key not in self._schemas:
            if len(self._schemas) >= _MAX_SCHEMAS:
                self._schemas.clear()
            self._schemas[key] = list(_definition_problems(tools))
        for field, says in self._schemas[key]:
            yield "tool-schema", field, evidence(says)

    def findings(self) -> Iterable[Finding]:
        """What is wrong."""
        for code, rows in self._found.items():
            severity, says, fix = _SAYS[code]
            if rows:
                yield Finding(
                    code=code,
                    severity=severity,
                    message=f"in {counted(len(rows), 'row')} {says}",
                    rows=tuple(rows.ids),
                    places=tuple(rows.places),
                    fix=fix.proposed() if fix else None,
                )
        unused = sorted(self._defined - self._called)
        if unused:
            yield Finding(
                code="tool-unused",
                severity="info",
                message=f"no row calls {listed(unused)}: the model learns when not to",
                facts={"tools": unused},
            )


# --- definitions --------------------------------------------------------------------------------------


def _functions(tools: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for tool in tools:
        function = tool.get("function")
        if isinstance(function, Mapping) and isinstance(function.get("name"), str):
            yield function["name"], function


def _definition_problems(tools: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    names: set[str] = set()
    for at, tool in enumerate(tools):
        field, function = f"tools[{at}]", tool.get("function")
        if tool.get("type", "function") != "function" or not isinstance(function, Mapping):
            yield field, "not {'type': 'function', ...}"
            continue
        name = function.get("name")
        if not isinstance(name, str) or not _NAME.match(name):
            yield f"{field}.function.name", f"{brief(name)} is no name"
        elif name in names:
            yield f"{field}.function.name", f"{brief(name)} is there twice"
        names.add(str(name))
        yield from _parameter_problems(function, f"{field}.function.parameters")


def _parameter_problems(function: Mapping[str, Any], field: str) -> Iterator[tuple[str, str]]:
    parameters = function.get("parameters")
    if parameters is None:
        return  # a function without parameters
    if not isinstance(parameters, Mapping):
        yield field, f"{shown(parameters)}, not an object"
        return
    if parameters.get("type", "object") != "object":
        yield f"{field}.type", f"{brief(parameters['type'])}, not 'object'"
    for where, says in json_schema.schema_problems(parameters):
        if where != "type" or parameters.get("type", "object") == "object":
            yield f"{field}.{where}" if where else field, says


# --- calls --------------------------------------------------------------------------------------------


def _calls(field: str, messages: tuple[Message, ...]) -> Iterator[tuple[str, ToolCall]]:
    for at, turn in enumerate(messages):
        for number, call in enumerate(turn.tool_calls):
            yield f"{field}[{at}].tool_calls[{number}]", call


def _call(field: str, call: ToolCall, parameters: Mapping[str, Any]) -> Iterator[Place]:
    if call.name not in parameters:
        code = "tool-unknown" if parameters else "tools-undefined"
        yield code, f"{field}.function.name", evidence(call.name)
    field = f"{field}.function.arguments"
    text = call.arguments
    inner = tool_turns.decoded(text)
    if inner is not None:
        yield "tool-arguments-encoded", field, evidence(text)
        text = inner
    try:
        arguments = parsed(text, field)
    except DataError:
        yield "tool-arguments", field, evidence(text)
        return
    if not isinstance(arguments, dict):
        yield "tool-arguments", field, evidence(f"{shown(arguments)}: {text[:40]}")
        return
    for where, says in json_schema.problems(arguments, parameters.get(call.name)):
        yield "tool-arguments-schema", f"{field}.{where}" if where else field, evidence(says)


def _ids(field: str, messages: tuple[Message, ...]) -> Iterator[Place]:
    filled = tool_turns.with_call_ids(messages)
    for each in tool_turns.tool_rounds(messages):
        results = [messages[at].tool_call_id for at in each.results]
        called = () if each.turn is None else filled[each.turn].tool_calls
        if each.turn is not None:
            goes_on = each.end < len(messages) and all(results)
            answered = set(results) if goes_on else None
            yield from _call_ids(f"{field}[{each.turn}]", messages[each.turn], called, answered)
        known = {call.id for call in called}
        for at, identifier in zip(each.results, results, strict=True):
            where = f"{field}[{at}].tool_call_id"
            if not identifier:
                yield _missing(filled[at].tool_call_id), where, evidence(messages[at].content or "")
            elif identifier not in known:
                yield "tool-result-unmatched", where, evidence(identifier)


def _call_ids(
    field: str, turn: Message, filled: Sequence[ToolCall], answered: set[str | None] | None
) -> Iterator[Place]:
    """What is wrong with the ids of calls; `answered` is None where their results may still come."""
    times = Counter(call.id for call in turn.tool_calls)
    for number, call in enumerate(turn.tool_calls):
        where = f"{field}.tool_calls[{number}].id"
        if not call.id:
            yield _missing(filled[number].id), where, evidence(call.name)
        elif times[call.id] > 1:
            yield "tool-call-id-duplicate", where, evidence(call.id)
        elif answered is not None and call.id not in answered:
            yield "tool-call-unanswered", where, evidence(call.id)


def _missing(filled: str | None) -> str:
    return "tool-call-id-missing" if filled else "tool-call-id-unclear"
