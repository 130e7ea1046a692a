"""Mend conversations: merge and drop turns, clear what means nothing. Knows turns; no text and no target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tunekit.data import turns
from tunekit.data.fixes.base import Fix
from tunekit.examples import ChatExample, Example, Message


class _OfMessages(Fix):
    """A fix of the conversation alone."""

    def apply(self, example: Example) -> Example | None:
        """The row with its conversation mended."""
        messages = turns.conversation(example)
        if not messages:
            return example
        mended = self.mended(example, messages)
        return example if mended == messages else _with_messages(example, mended)

    def mended(self, example: Example, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """The messages as they should be."""
        raise NotImplementedError


class ClearContextWeights(_OfMessages):
    """Only what the assistant says has a weight."""

    name = "clear-context-weights"
    safety = "lossless"
    says = "Takes the weight off turns that are not the assistant's, where it means nothing."

    def mended(self, example: Example, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """Without those weights."""
        return _each(
            messages, lambda turn: turn.role in turns.CONTEXT_ROLES and turn.weight != 1.0, weight=1.0
        )


class DropBlankNames(_OfMessages):
    """A name of blanks is no name."""

    name = "drop-blank-names"
    safety = "lossless"
    says = "Leaves out names of speakers that are blank."

    def mended(self, example: Example, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """Without those names."""
        return _each(messages, lambda turn: turn.name is not None and not turn.name.strip(), name=None)


class DropTrailingTurns(_OfMessages):
    """What comes after the last answer is not learned, yet a person wrote it and an answer to it could be added."""

    name = "drop-trailing-turns"
    safety = "lossy"
    says = "Leaves out the turns after the last answer."

    def mended(self, example: Example, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """Up to the last answer."""
        end = turns.after_answer(messages)
        return messages[:end] if end and isinstance(example, ChatExample) else messages


class DropEmptyTurns(_OfMessages):
    """An empty turn still makes the template write something, so leaving it out changes what the model reads."""

    name = "drop-empty-turns"
    safety = "semantic"
    says = "Leaves out turns that say nothing, besides tool results and the last answer."

    def mended(self, example: Example, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """Without those turns; all of them where there are no others."""
        empty = set(turns.empty_turns(messages))
        return tuple(turn for at, turn in enumerate(messages) if at not in empty)


class MergeTurns(_OfMessages):
    """One turn is not two: where an answer ended, the merged one goes on."""

    name = "merge-turns"
    safety = "semantic"
    says = "Joins turns of one role that follow each other, a blank line between."

    def mended(self, example: Example, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """With one turn for each run of a role, where they can be joined."""
        merged = [messages[0]]
        for turn in messages[1:]:
            if turns.can_merge(merged[-1], turn):
                merged[-1] = turns.merge(merged[-1], turn)
            else:
                merged.append(turn)
        return tuple(merged)


def _each(
    messages: tuple[Message, ...], concerns: Callable[[Message], bool], **changes: Any
) -> tuple[Message, ...]:
    return tuple(turn.replace(**changes) if concerns(turn) else turn for turn in messages)


def _with_messages(example: Example, messages: tuple[Message, ...]) -> Example:
    mended: Example = example.replace(messages=messages)
    return mended
