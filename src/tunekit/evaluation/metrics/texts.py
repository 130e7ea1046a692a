"""What the text metrics share: their libraries, and how long a text may be. Knows no metric."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from tunekit.errors import EvaluationError, MissingExtraError

MAX_TEXT_CHARS = 100_000
"""Of an answer or reference. Longer ones cost seconds and hundreds of megabytes by n-grams or edits."""


def checked(answer: str, references: Sequence[str]) -> None:
    """Refuse what cannot be measured in bounded time, or against nothing.

    Raises:
        EvaluationError: A text is too long, or there is no reference.
    """
    if isinstance(references, str) or not references:
        raise EvaluationError("there is no list of references", hint="pass a list of at least one text")
    longest = max(len(text) for text in (answer, *references))
    if longest > MAX_TEXT_CHARS:
        raise EvaluationError(
            f"a text of {longest:,} characters is too long for this metric, which takes {MAX_TEXT_CHARS:,}",
            hint="limit the tokens of an answer, or score a part of it",
        )


def library(name: str) -> ModuleType:
    """A module of the extra `graders`.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return import_module(name)
    except ImportError:
        raise MissingExtraError(name.partition(".")[0].replace("_", "-"), extra="graders") from None
