"""What the moves of an alias come to, as pure functions. Knows their order; not where they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from tunekit.errors import ConflictError, NotFoundError
from tunekit.retrain.registry.records import Move

Expected: TypeAlias = int | Literal["any"] | None
"""The version that a caller believes to be in use, None for none."""


def standing(moves: Sequence[Move]) -> tuple[int, ...]:
    """The versions that stand behind each other, the one in use last.

    A promotion puts one in front; a rollback takes it away, so that a second rollback goes back further, and never
    forward to what was just taken away.

    Examples:
        >>> def move(action, after): return Move(name="m", alias="a", sequence=1, action=action, after=after, at=0.0)
        >>> standing([move("promote", 1), move("promote", 2), move("rollback", 1), move("promote", 3)])
        (1, 3)
    """
    stack: list[int] = []
    for move in moves:
        if move.action == "promote":
            stack.append(move.after)
        else:
            stack.pop()
    return tuple(stack)


def promotion(moves: Sequence[Move], draft: Move, *, expected: Expected) -> Move | None:
    """The move that puts a version in front; None where it is in front.

    Args:
        moves: What was done.
        draft: What is to be done; its sequence and `before` are filled in.
        expected: The version that the caller believes to be in use, None for none; "any" is content with all.

    Raises:
        ConflictError: Another one is.
    """
    stack = standing(moves)
    current = stack[-1] if stack else None
    if expected != "any" and expected != current:
        raise ConflictError(
            f"{draft.name}@{draft.alias} is {_shown(current)}, not {_shown(expected)} as you expected",
            hint="somebody else moved it: look at its history, compare with what is in use now, and promote again",
        )
    if current == draft.after:
        return None
    return draft.model_copy(update={"sequence": len(moves) + 1, "before": current})


def rollback(moves: Sequence[Move], draft: Move, *, expected: Expected) -> Move:
    """The move that takes the version in front away.

    Raises:
        ConflictError: Another one is in front than expected.
        NotFoundError: None was before it.
    """
    stack = standing(moves)
    current = stack[-1] if stack else None
    if expected != "any" and expected != current:
        raise ConflictError(
            f"{draft.name}@{draft.alias} is {_shown(current)}, not {_shown(expected)} as you expected",
            hint="somebody else moved it: look at its history first",
        )
    if len(stack) < 2:
        raise NotFoundError(
            f"{draft.name}@{draft.alias} has no earlier version to go back to",
            hint="promote the version that should answer instead",
        )
    return draft.model_copy(update={"sequence": len(moves) + 1, "before": current, "after": stack[-2]})


def _shown(version: int | str | None) -> str:
    return "no version" if version is None else f"version {version}"
