"""Which tool turn answers which call, in shapes that write calls without ids. Knows no shape.

Such shapes say it by the order, or by the order and the function's name. Read, their calls get the ids "call_1",
"call_2", ... in the order of the conversation; written, ids are left out, and only where the order still says it all.
"""

from __future__ import annotations

from tunekit.errors import DataError
from tunekit.examples import Message, ToolCall

Turns = tuple[Message, ...]


def linked(turns: Turns) -> Turns:
    """The turns with ids, if they have none.

    A tool turn answers the first open call of its name; where it has no name, the first open.
    """
    if any(call.id for turn in turns for call in turn.tool_calls):
        return turns
    found, count, waiting = [], 0, list[ToolCall]()
    for turn in turns:
        if turn.tool_calls:
            numbers = range(count + 1, count + 1 + len(turn.tool_calls))
            count += len(turn.tool_calls)
            calls = [
                call.replace(id=f"call_{number}")
                for number, call in zip(numbers, turn.tool_calls, strict=True)
            ]
            turn, waiting = turn.replace(tool_calls=tuple(calls)), calls
        elif turn.role != "tool":
            waiting = []
        elif answered := next((call for call in waiting if turn.name in (None, call.name)), None):
            waiting.remove(answered)
            turn = turn.replace(tool_call_id=answered.id, name=None)  # the call has that name already
        found.append(turn)
    return tuple(found)


def numbered(turns: Turns) -> Turns:
    """The turns with the ids that `linked` gives, and without names that only repeat the call's."""
    found, count, ids = [], 0, dict[str, str]()
    for turn in nameless(turns):
        if turn.tool_calls:
            calls = []
            for call in turn.tool_calls:
                count += 1
                ids[call.id] = f"call_{count}"
                calls.append(call.replace(id=ids[call.id]))
            turn = turn.replace(tool_calls=tuple(calls))
        elif turn.role == "tool" and turn.tool_call_id in ids:
            turn = turn.replace(tool_call_id=ids[turn.tool_call_id])
        found.append(turn)
    return tuple(found)


def nameless(turns: Turns) -> Turns:
    """The turns, those of tools without a name that only repeats the name of the function that they answer."""
    found, names = [], dict[str, str]()
    for turn in turns:
        names.update((call.id, call.name) for call in turn.tool_calls)
        if turn.role == "tool" and turn.name is not None and turn.name == names.get(turn.tool_call_id or ""):
            turn = turn.replace(name=None)
        found.append(turn)
    return tuple(found)


def named(turns: Turns) -> Turns:
    """The turns, those of tools with the name of the function that they answer."""
    names = {call.id: call.name for turn in turns for call in turn.tool_calls}
    return tuple(
        turn.replace(name=names.get(turn.tool_call_id or "", turn.name)) if turn.role == "tool" else turn
        for turn in turns
    )


def unlinked(turns: Turns, shape: str, *, names: bool) -> Turns:
    """The turns without ids, for a shape that has none.

    Args:
        turns: As an example has them.
        shape: Its name.
        names: Whether it writes the function's name on a tool turn.

    Raises:
        DataError: `linked` would link them differently.
    """
    wanted = numbered(turns)
    bare = tuple(_bare(turn) for turn in (named(wanted) if names else wanted))
    for index, (turn, read) in enumerate(zip(wanted, linked(bare), strict=True)):
        if turn != read:
            raise DataError(
                f"the shape {shape!r} has no ids, and the order does not say which call this turn answers",
                field=f"messages[{index}].tool_call_id",
                hint='let every tool turn answer a call of the turn before it, in order, or write shape="openai"',
            )
    return bare


def _bare(turn: Message) -> Message:
    if turn.tool_calls:
        return turn.replace(tool_calls=tuple(call.replace(id="") for call in turn.tool_calls))
    return turn.replace(tool_call_id=None) if turn.role == "tool" else turn
