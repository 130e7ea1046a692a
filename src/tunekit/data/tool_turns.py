"""Which tool result answers which call, and what ids they should have. Knows messages; no finding and no fix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tunekit.data.json_text import parsed
from tunekit.errors import DataError
from tunekit.examples import Message, ToolCall


@dataclass(frozen=True, slots=True)
class ToolRound:
    """One assistant turn that calls tools, and the tool results right after it.

    Attributes:
        turn: Position of the assistant turn; None for results that come after no calls.
        results: Positions of the results.
        end: Position after the last of them.
    """

    turn: int | None
    results: range
    end: int


def tool_rounds(messages: Sequence[Message]) -> Iterator[ToolRound]:
    """Every round of tools, in order."""
    at = 0
    while at < len(messages):
        turn = at if messages[at].tool_calls else None
        start = at + (messages[at].role != "tool")
        end = start
        while end < len(messages) and messages[end].role == "tool":
            end += 1
        if turn is not None or end > start:
            yield ToolRound(turn, range(start, end), end)
        at = max(end, at + 1)


def with_call_ids(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages with the ids that were missing, where it is certain what belongs together.

    It is where one call and one result are left over in a round, and where results name the tools that were called,
    each once. A call without any result gets an id too: nothing refers to it. The order of several results alone says
    nothing for certain.
    """
    filled = list(messages)
    used = {call.id for turn in messages for call in turn.tool_calls}
    used |= {turn.tool_call_id or "" for turn in messages}
    new = (name for number in range(1, 1 << 62) if (name := f"call_{number}") not in used)
    for each in tool_rounds(messages):
        if each.turn is not None:
            _fill(filled, each.turn, each.results, new)
    return tuple(filled)


def _fill(filled: list[Message], turn: int, results: range, new: Iterator[str]) -> None:
    calls = list(filled[turn].tool_calls)
    pairs = _pairs(calls, [filled[at] for at in results])
    waiting = {at for at in range(len(results)) if not filled[results[at]].tool_call_id}
    answered = {number for number, _ in pairs}
    for number, result in pairs:
        identifier = calls[number].id or filled[results[result]].tool_call_id or next(new)
        calls[number] = calls[number].replace(id=identifier)
        filled[results[result]] = filled[results[result]].replace(tool_call_id=identifier)
        waiting.discard(result)
    if not waiting:  # else one of the results may be the answer
        for number, call in enumerate(calls):
            if number not in answered and not call.id:
                calls[number] = call.replace(id=next(new))
    if tuple(calls) != filled[turn].tool_calls:
        filled[turn] = filled[turn].replace(tool_calls=tuple(calls))


def _pairs(calls: Sequence[ToolCall], results: Sequence[Message]) -> list[tuple[int, int]]:
    """Positions of calls and results that belong together although an id is missing."""
    known = {call.id for call in calls} & {result.tool_call_id for result in results}
    open_calls = [at for at, call in enumerate(calls) if call.id not in known or not call.id]
    open_results = [
        at for at, result in enumerate(results) if not result.tool_call_id or result.tool_call_id not in known
    ]
    if len(open_calls) == len(open_results) == 1:
        pairs = [(open_calls[0], open_results[0])]
    else:
        call_of = {calls[at].name: at for at in open_calls}
        result_of = {results[at].name or "": at for at in open_results}
        if not len(call_of) == len(open_calls) == len(open_results) or call_of.keys() != result_of.keys():
            return []
        pairs = [(call_of[name], at) for name, at in result_of.items()]
    # Two different ids contradict each other: nothing is certain there.
    return [(call, result) for call, result in pairs if not (calls[call].id and results[result].tool_call_id)]


def decoded(arguments: str) -> str | None:
    r"""Arguments that were encoded twice (a JSON text of a JSON text of an object), once; None where they were not.

    Examples:
        >>> decoded('"{\\"order\\": 7}"')
        '{"order": 7}'
    """
    text: object = arguments
    for _ in range(3):
        try:
            inner = parsed(str(text), "arguments")
        except DataError:
            return None
        if isinstance(inner, dict):
            return None if text is arguments else str(text)
        if not isinstance(inner, str):
            return None
        text = inner
    return None
