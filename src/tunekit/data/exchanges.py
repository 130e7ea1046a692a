"""Answers beside what they answer, for all example kinds. Knows the kinds; judges nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tunekit.data.views import texts
from tunekit.examples import Example


class Exchange(NamedTuple):
    """One text that the model is trained to say.

    Attributes:
        asked: The text before it that it is not trained to say; "" where there is none.
        field: Where the answer stands, such as `"messages[1].content"`.
        said: The answer.
    """

    asked: str
    field: str
    said: str


def exchanges(example: Example) -> Iterator[Exchange]:
    """Every answer with what stands before it. Calls of tools are no texts that somebody reads, and are left out.

    Examples:
        >>> from tunekit.examples import CompletionExample
        >>> list(exchanges(CompletionExample(prompt="2+2", completion="4")))
        [Exchange(asked='2+2', field='completion', said='4')]
    """
    asked = ""
    for field, text, is_answer in texts(example):
        if not is_answer:
            asked = text
        elif not field.endswith((".function.name", ".function.arguments")):
            yield Exchange(asked, field, text)
