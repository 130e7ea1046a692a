"""Rows that are too long, with less of their prompts. Knows examples and templates; not how long is too long.

A plain prompt is cut from the left in tokens. A chat is not: its first tokens are the template's own (who speaks, which
tools there are), so what its oldest messages say is shortened instead, and the chat is written anew. Roles, system
prompts, tools, calls and whatever is learned stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from tunekit.examples import (
    ChatExample,
    CompletionExample,
    Example,
    LabelledExample,
    Message,
    PromptExample,
    from_dict,
)
from tunekit.training.objectives.base import Objective
from tunekit.training.objectives.texts import Texts
from tunekit.training.texts.render_answers import texts_of
from tunekit.training.texts.rows import Row
from tunekit.training.texts.template import Template

R = TypeVar("R", bound=Row)

_SPOKEN = ("user", "assistant", "tool")  # a system prompt says how all of a chat is meant


def shorten(
    long: Sequence[R],
    max_length: int,
    *,
    rows: Sequence[R],
    bodies: Iterable[Mapping[str, Any]],
    objective: Objective[R],
    texts: Texts,
    limit: Callable[[str], AbstractContextManager[None]],
) -> list[R | None]:
    """Some rows with so much less of their prompts that they fit; None for one that does not without its prompt either.

    Args:
        long: The rows, each longer than it may be.
        max_length: How long it may be, in tokens.
        rows: All rows of the part of the data.
        bodies: The examples that they were made of, in order, JSON-ready; read once.
        objective: Made the rows.
        texts: How it writes them.
        limit: Put around each use of the model's chat template, as in `preparing`.
    """
    wanted, found = {id(row) for row in long}, {}
    for row, body in zip(rows, bodies, strict=True):
        if id(row) in wanted:
            with limit(f"writing row {row.id!r} with the model's chat template"):
                found[id(row)] = _shortened(row, from_dict(body), max_length, objective, texts)
    return [found[id(row)] for row in long]


def _shortened(row: R, example: Example, max_length: int, objective: Objective[R], texts: Texts) -> R | None:
    if not _is_chat(example, texts):
        return objective.shortened(row, max_length)
    cut, shorter = row, example
    while cut.longest > max_length:
        less = with_less(shorter, cut.longest - max_length, texts.template)
        if less is None:
            return None
        shorter, cut = less, objective.rewritten(row, less)
    return cut


def _is_chat(example: Example, texts: Texts) -> bool:
    """Whether the chat template writes the example's prompt."""
    match example:
        case LabelledExample():
            return False
        case CompletionExample():
            return bool(example.prompt) and texts.prompt_format == "chat"
        case PromptExample():
            is_text = len(example.messages) == 1 and not example.tools and texts.prompt_format == "text"
            return texts.template.has_chat and not is_text
        case _:
            return texts.template.has_chat and isinstance(
                texts_of(example, texts.prompt_format)[0], ChatExample
            )


def with_less(example: Example, tokens: int, template: Template) -> Example | None:
    """An example whose prompt says about so many tokens less, from its beginning; None if nothing can go.

    At least one character goes, so that whoever asks again and again comes to an end; and of what was said last, at
    least one stays.

    Args:
        example: Of any kind with a prompt.
        tokens: How many.
        template: Counts them.
    """
    if isinstance(example, CompletionExample):
        (prompt,) = _less([example.prompt], tokens, template) or (None,)
        return None if prompt is None else example.replace(prompt=prompt)
    messages: tuple[Message, ...] = example.messages  # type: ignore[union-attr]  # a labelled text is no chat
    places = [
        at for at, message in enumerate(messages) if _may_lose(message, isinstance(example, ChatExample))
    ]
    contents = _less([messages[at].content or "" for at in places], tokens, template)
    if contents is None:
        return None
    new = dict(zip(places, contents, strict=True))
    return example.replace(
        messages=tuple(
            message.replace(content=new[at], parts=()) if at in new else message
            for at, message in enumerate(messages)
        )
    )


def _may_lose(message: Message, is_learned: bool) -> bool:
    """Whether it says something that is neither learned nor a rule; a turn that calls tools may say nothing."""
    learned = is_learned and message.role == "assistant" and message.weight != 0.0
    return message.role in _SPOKEN and bool(message.content) and not learned


def _less(contents: Sequence[str], tokens: int, template: Template) -> list[str] | None:
    """The contents without so many tokens, the first of them first; None if nothing can go."""
    if sum(len(content) for content in contents) < 2:
        return None
    kept = list(contents)
    for at, content in enumerate(contents):
        if tokens <= 0:
            break
        size = len(template.encode(content))
        # Characters of a token differ, so this is an estimate: too little is put right by asking again.
        characters = len(content) if size <= tokens else -(-len(content) * tokens // size)
        kept[at] = (
            content[characters:] if at < len(contents) - 1 else content[min(characters, len(content) - 1) :]
        )
        tokens -= size
    return kept if kept != list(contents) else None
