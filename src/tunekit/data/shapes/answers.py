"""Conversations and answers in all the spellings that rows with prompts and answers have. Knows no whole row.

An answer is a text, a message, a list of messages, or a whole conversation that ends with it; where the answers of a
pair are whole conversations, what they have in common is the prompt.
"""

from __future__ import annotations

from typing import Any

from tunekit.data import messages
from tunekit.data.shapes import fields, sharegpt, transcripts, typed_parts
from tunekit.data.shapes.dialects import dialect
from tunekit.errors import DataError
from tunekit.examples import Message, message_to_dict

Turns = tuple[Message, ...]
Answer = str | Turns


def conversation(value: Any, field: str) -> Turns:
    """Turns in OpenAI's spelling, ShareGPT's, or LLaMA-Factory's typed parts."""
    spelling = dialect({"messages": value})
    if spelling == sharegpt.NAME:
        return sharegpt.conversation(value, field)
    if spelling == typed_parts.NAME:
        return typed_parts.conversation(value, field)
    return messages.conversation(value, field)


def prompt(value: Any, field: str) -> Turns:
    """A prompt as turns: a list of messages, a transcript, or a text that the user says."""
    if isinstance(value, list):
        return conversation(value, field)
    text = fields.as_text(value, field)
    said = transcripts.parsed(text)
    if said is None:
        return (Message(role="user", content=text),)
    # "\n\nAssistant:" at the end of a prompt only asks for the answer.
    return said[:-1] if said[-1].role == "assistant" and not (said[-1].content or "").strip() else said


def answer(value: Any, field: str) -> Answer:
    """An answer: a text where it is one plain turn of the assistant, else turns."""
    if isinstance(value, (list, dict)):
        found = conversation(value if isinstance(value, list) else [value], field)
        return messages.plain(found)
    return fields.as_text(value, field)


def answered(value: Any, field: str) -> Answer:
    """An answer that has something to learn.

    Raises:
        BlankTarget: It has not.
    """
    if fields.missing(value):
        raise fields.blank(field)
    return checked(answer(value, field), field)


def checked(answer: Answer, field: str) -> Answer:
    """The answer, unless there is nothing in it to learn."""
    return fields.not_blank(answer, field) if isinstance(answer, str) else fields.learnable(answer, field)


def turns(answer: Answer) -> Turns:
    """An answer as turns."""
    return (Message(role="assistant", content=answer),) if isinstance(answer, str) else answer


def written(answer: Answer) -> list[dict[str, Any]]:
    """An answer as OpenAI's messages."""
    return [message_to_dict(turn) for turn in turns(answer)]


# --- whole conversations ------------------------------------------------------------------------------


def parted(chosen: Turns, rejected: Turns, field: str) -> tuple[Turns, Answer, Answer]:
    """What two conversations have in common, and how each ends: both endings begin with the assistant.

    Whole messages are compared, never characters: two answers that begin with the same letters keep them.

    Raises:
        DataError: They have nothing in common, or do not end with answers.
    """
    same = 0
    for one, other in zip(chosen, rejected, strict=False):
        if one != other:
            break
        same += 1
    same = min(same, len(chosen) - 1, len(rejected) - 1)
    while same > 0 and not chosen[same].role == rejected[same].role == "assistant":
        same -= 1
    if same <= 0:
        raise DataError(
            "the two conversations have no beginning in common that answers follow",
            field=field,
            hint='write the prompt under its own key, "prompt"',
        )
    return chosen[:same], messages.plain(chosen[same:]), messages.plain(rejected[same:])


def last(turns: Turns, field: str) -> tuple[Turns, Turns]:
    """A conversation up to its last answer, and that answer: all from the assistant's first turn after the last user's.

    Raises:
        DataError: It does not end with an answer.
    """
    after_user = max((index + 1 for index, turn in enumerate(turns) if turn.role == "user"), default=0)
    for index in range(max(after_user, 1), len(turns)):
        if turns[index].role == "assistant":
            return turns[:index], turns[index:]
    raise DataError(
        f"the conversation ends with {turns[-1].role!r}, not with an answer after a prompt",
        field=field,
        hint="end it with the turn of the assistant that is meant",
    )
