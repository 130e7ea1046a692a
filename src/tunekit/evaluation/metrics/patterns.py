"""Regular expressions that somebody else wrote, on texts that a model wrote, with a bound on time and memory.

Python's `re` cannot be stopped, and many patterns take it time exponential in the text. So these are matched by the
`regex` package: its syntax is that of `re` and more, and it can be given a time limit. What would take it much memory
to compile, and its approximate matching, are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib import import_module
from math import prod
from typing import Any

from tunekit.data.wording import brief
from tunekit.errors import EvaluationError, SpecError

MATCH_TIMEOUT_S = 2.0
"""Of processor time. What ends at all ends in a thousandth of it, for texts as models write them."""
_MAX_PATTERN_CHARS = 10_000
_MAX_PATTERN_SIZE = 1_000_000
"""Of a pattern with its counted repetitions written out, in characters: about 100 MB and a second of compiling."""
_COUNTED = re.compile(r"(\)?)\{([0-9]{0,9})(?:,([0-9]{0,9}))?\}")
_ESCAPED = re.compile(r"\\[pPN]\{[^{}]*+\}|\\.", re.DOTALL)
_BRACES = re.compile(r"\{([0-9eids<=+, ]*+)(?::[^{}]*+)?\}")


@dataclass(frozen=True, slots=True)
class Pattern:
    r"""A regular expression.

    Attributes:
        text: As written, in the syntax of Python's `re`.

    Raises:
        SpecError: It is none, or a refused one.

    Examples:
        >>> Pattern(r"\bcat").found_in("a cat"), Pattern("cat").is_all_of("a cat")
        (True, False)
        >>> Pattern(r"answer: (\w+)").first("The answer: yes.")
        'yes'
    """

    text: str
    _compiled: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check(self.text)
        regex = import_module("regex")
        try:
            compiled = regex.compile(self.text)
        except (regex.error, RecursionError, OverflowError, ValueError) as error:
            raise SpecError(
                f"{brief(self.text)} is no regular expression: {brief(str(error), quote=False)}",
                hint="try it with Python's re.compile",
            ) from None
        object.__setattr__(self, "_compiled", compiled)

    def found_in(self, text: str) -> bool:
        """Whether it matches somewhere.

        Raises:
            EvaluationError: It took longer than `MATCH_TIMEOUT_S`.
        """
        return self._matched("search", text) is not None

    def is_all_of(self, text: str) -> bool:
        """Whether it matches the whole text. Raises as `found_in`."""
        return self._matched("fullmatch", text) is not None

    def first(self, text: str) -> str | None:
        """The first match: its first group where the pattern has one; None without a match. Raises as `found_in`."""
        found = self._matched("search", text)
        if found is None:
            return None
        group: str | None = found[1 if self._compiled.groups else 0]
        return group

    def _matched(self, method: str, text: str) -> Any:
        try:
            return getattr(self._compiled, method)(text, timeout=MATCH_TIMEOUT_S, concurrent=True)
        except TimeoutError:
            raise EvaluationError(
                f"{brief(self.text)} took over {MATCH_TIMEOUT_S:g} s on a text of {len(text):,} characters",
                hint="a repetition inside a repetition, such as (a+)+, is the usual reason; write it as one",
            ) from None


def _check(pattern: str) -> None:
    if len(pattern) > _MAX_PATTERN_CHARS or _size(pattern) > _MAX_PATTERN_SIZE:
        raise SpecError(
            f"{brief(pattern)} is too long, or would be with its counted repetitions written out",
            hint="use smaller counts, or + and * instead",
        )
    if any(set(found) & set("eids") for found in _BRACES.findall(_ESCAPED.sub("", pattern))):
        raise SpecError(
            f"{brief(pattern)} has a brace that asks for approximate matching",
            hint=r"write \{ for a brace of the text",
        )


def _size(pattern: str) -> int:
    """At most: repeated groups are taken as standing inside each other."""
    found = [(bool(group), int(high or low or 1)) for group, low, high in _COUNTED.findall(pattern)]
    groups = prod(count for is_group, count in found if is_group)
    return (
        len(pattern) * max(1, groups) * max((count for is_group, count in found if not is_group), default=1)
    )
