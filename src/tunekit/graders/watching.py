"""A way out of grading: asked before every grade, and while a child process computes one. Knows no grader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

LOOK_EVERY_S = 0.2
"""How often whoever waits for a grade looks whether to go on waiting."""

_look: ContextVar[Callable[[], object]] = ContextVar("look", default=lambda: None)


@contextmanager
def watched(look: Callable[[], object]) -> Iterator[None]:
    """Inside the block, in this thread, what `look` raises ends grading, and the child process that is at it.

    Args:
        look: Asked before every grade, and about five times a second while a child process computes one.

    Examples:
        >>> from tunekit.graders import Sample, parse
        >>> grader = parse({"type": "string_check", "name": "right", "operation": "eq",
        ...                 "input": "{{sample.output_text}}", "reference": "4"})
        >>> asked = []
        >>> with watched(lambda: asked.append("go on?")):
        ...     grader.grade(Sample("4"), {}).value
        1.0
        >>> asked
        ['go on?']
    """
    before = _look.set(look)
    try:
        yield
    finally:
        _look.reset(before)


def look() -> None:
    """Raise what there is to raise."""
    _look.get()()
