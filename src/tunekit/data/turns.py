"""The turns of a conversation: which repeat a role, which come after the last answer, which say nothing.

What the checks and the fixes of conversations share. Knows messages; no finding and no fix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunekit.data.views import last_answer
from tunekit.examples import ChatExample, Example, Message, PreferenceExample, PromptExample, UnpairedExample

CONTEXT_ROLES = frozenset({"system", "developer", "user", "tool"})
"""Who is not learned from."""


def conversation(example: Example) -> tuple[Message, ...] | None:
    """The row's messages; None where its kind has none."""
    if isinstance(example, (ChatExample, PreferenceExample, UnpairedExample, PromptExample)):
        return example.messages
    return None


def answers(example: Example) -> Iterator[tuple[str, tuple[Message, ...]]]:
    """The answers that stand beside a conversation as messages of their own, with their fields."""
    if isinstance(example, PreferenceExample):
        sides = [("chosen", example.chosen), ("rejected", example.rejected)]
    elif isinstance(example, UnpairedExample):
        sides = [("completion", example.completion)]
    else:
        return
    for field, said in sides:
        if not isinstance(said, str):
            yield field, said


def is_blank(turn: Message) -> bool:
    """Whether the turn says nothing, shows nothing and calls nothing."""
    return not (turn.tool_calls or turn.parts or turn.reasoning or (turn.content or "").strip())


def empty_turns(turns: Sequence[Message]) -> list[int]:
    """Positions of turns that say nothing, besides tool results (which may be empty) and the last answer."""
    last = after_answer(turns) - 1
    return [at for at, turn in enumerate(turns) if turn.role != "tool" and at != last and is_blank(turn)]


def after_answer(turns: Sequence[Message]) -> int:
    """Position after the last assistant turn; 0 where there is none."""
    last = last_answer(turns)
    return 0 if last == len(turns) else last + 1


def repeats(turns: Sequence[Message]) -> list[int]:
    """Positions of turns whose role is that of the turn before; results of parallel tool calls are none."""
    return [
        at for at in range(1, len(turns)) if turns[at].role == turns[at - 1].role and turns[at].role != "tool"
    ]


def can_merge(first: Message, second: Message) -> bool:
    """Whether two turns of one role can become one turn that says both, in order, and counts the same."""
    return (
        first.role == second.role
        and first.role != "tool"
        and first.name == second.name
        and first.weight == second.weight
        and not first.tool_calls  # what is said after a call could not stay after it
        and second.reasoning is None
    )


def merge(first: Message, second: Message) -> Message:
    """One turn that says what two said, a blank line between."""
    said = [text for text in (first.content, second.content) if text]
    return first.replace(
        content="\n\n".join(said) if said else second.content,
        parts=_merged_parts(first, second),
        tool_calls=second.tool_calls,
    )


def _merged_parts(first: Message, second: Message) -> tuple[Mapping[str, Any], ...]:
    if not first.parts and not second.parts:
        return ()
    between = [{"type": "text", "text": "\n\n"}] if first.content and second.content else []
    return (*_parts(first), *between, *_parts(second))


def _parts(turn: Message) -> list[Mapping[str, Any]]:
    if turn.parts:
        return list(turn.parts)
    return [{"type": "text", "text": turn.content}] if turn.content else []
