"""Mend tool calls: ids that are missing, arguments that are encoded twice. Knows tool calls; no tool definitions."""

from __future__ import annotations

from tunekit.data import tool_turns, turns
from tunekit.data.fixes.base import Fix
from tunekit.examples import Example, Message


class _OfToolTurns(Fix):
    """A fix of messages with tool calls, in the conversation and in the answers beside it."""

    def apply(self, example: Example) -> Example | None:
        """The row with its tool calls mended."""
        messages = turns.conversation(example)
        if messages is None:
            return example
        changes = {}
        for field, said in (("messages", messages), *turns.answers(example)):
            mended = self.mended(said) if any(turn.tool_calls for turn in said) else said
            if mended != said:
                changes[field] = mended
        return example.replace(**changes) if changes else example

    def mended(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """The messages as they should be."""
        raise NotImplementedError


class FillToolCallIds(_OfToolTurns):
    """An id only says which result answers which call; where that is certain without it, it can be written down."""

    name = "fill-tool-call-ids"
    safety = "lossless"
    says = "Gives tool calls and their results the ids that are missing, where it is certain what belongs together."

    def mended(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """With those ids."""
        return tool_turns.with_call_ids(messages)


class DecodeToolArguments(_OfToolTurns):
    """The inner JSON text is taken as it is written."""

    name = "decode-tool-arguments"
    safety = "lossless"
    says = "Decodes arguments of tool calls that were encoded as JSON twice."

    def mended(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """With those arguments decoded once."""
        return tuple(_decoded(turn) if turn.tool_calls else turn for turn in messages)


def _decoded(turn: Message) -> Message:
    calls = [
        call.replace(arguments=tool_turns.decoded(call.arguments) or call.arguments)
        for call in turn.tool_calls
    ]
    return turn.replace(tool_calls=tuple(calls))
