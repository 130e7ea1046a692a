"""What callers pass: each function gives an argument back as it should be, or says what is wrong. Knows no method."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from tunekit.data.wording import brief, listed, nearest
from tunekit.errors import SpecError
from tunekit.examples import EXAMPLE_KINDS, Example

_KINDS: tuple[type[Example], ...] = tuple(EXAMPLE_KINDS.values())
_EXAMPLES = "use tunekit.CompletionExample and its kin, or Dataset.from_records for dictionaries"

Given = TypeVar("Given")
Choice = TypeVar("Choice", bound=str)


def whole(name: str, value: Any, *, least: int) -> int:
    """A whole number from `least` up."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SpecError(f"{name} is {brief(value)}", hint=f"use a whole number from {least} up")
    return value


def text(name: str, value: Any, *, such_as: str) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value:
        raise SpecError(f"{name} is {brief(value)}", hint=f"pass a text, such as {such_as!r}")
    return value


def optional_text(name: str, value: Any, *, such_as: str) -> str | None:
    """A text that is not empty, or None."""
    return None if value is None else text(name, value, such_as=such_as)


def one_of(name: str, value: Any, known: Collection[Choice]) -> Choice:
    """One of a few names."""
    for choice in known:
        if isinstance(value, str) and value == choice:
            return choice
    near = nearest(value, known) if isinstance(value, str) else ""
    raise SpecError(f"{name} is {brief(value)}", hint=near or f"use {listed(known)}")


def path(name: str, value: Any) -> str:
    """The path of a file as a text."""
    try:
        found = os.fsdecode(value)
        os.fsencode(found)
    except (TypeError, UnicodeError):
        found = ""
    if not found or "\0" in found:
        raise SpecError(
            f"{name} is {brief(value)}, which names no file", hint="pass a path, as text or as a Path"
        )
    return found


def finite(name: str, value: Any) -> float:
    """A number that is neither infinite nor NaN."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < math.inf:
        raise SpecError(f"{name} is {brief(value)}", hint="use a number")
    return value


def instance(name: str, value: object, kind: type[Given], *, such_as: str) -> Given:
    """Something of this type."""
    if not isinstance(value, kind):
        raise SpecError(f"{name} is {brief(value)}", hint=f"pass {such_as}")
    return value


def function(name: str, value: Given, *, of: str) -> Given:
    """Something that can be called."""
    if not callable(value):
        raise SpecError(f"{name} is {brief(value)}", hint=f"pass a function of {of}")
    return value


def sequence(name: str, value: Iterable[Given], *, of: str) -> tuple[Given, ...]:
    """Several things, and not the letters of a text or the keys of a dictionary."""
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise SpecError(f"{name} is {brief(value)}", hint=f"pass a list of {of}")
    return tuple(value)


def mapping(name: str, value: Any, *, such_as: str) -> Mapping[str, Any]:
    """A mapping whose keys are texts."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise SpecError(f"{name} is {brief(value)}", hint=f"pass a dictionary, such as {such_as}")
    return value


# --- examples -----------------------------------------------------------------------------------------


def is_example(value: Any) -> bool:
    """Whether it is an example of some kind."""
    return isinstance(value, _KINDS)


def several(name: str, rows: Any) -> Iterable[Any]:
    """Something that may hold examples: what is in it has not been looked at."""
    if isinstance(rows, (str, bytes, Mapping)) or not isinstance(rows, Iterable):
        raise SpecError(
            f"{name} is {brief(rows)}, which holds no examples", hint="load it first: tk.Dataset.load(path)"
        )
    return rows


class OnlyExamples(Iterable[Example]):
    """Rows that are refused, as they come by, where they are no examples.

    Args:
        name: What errors call them.
        rows: Several of something.
    """

    def __init__(self, name: str, rows: Any) -> None:
        self._name, self._rows = name, several(name, rows)

    def __iter__(self) -> Iterator[Example]:
        for index, row in enumerate(self._rows):
            if not is_example(row):
                raise SpecError(
                    f"item {index} of {self._name} is {type(row).__name__!r}, not an example", hint=_EXAMPLES
                )
            yield row
