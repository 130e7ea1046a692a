"""What a grader is, and what a grade is: a number, or the reason why there is none. Knows no type of grader."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from tunekit.graders.flags import HINTS, Flag, Unreadable
from tunekit.graders.sample import Sample
from tunekit.graders.templates import Variable
from tunekit.graders.watching import look

_DETAILS: Mapping[str, tuple[Flag, ...]] = {
    "python_grader_server_error_type": ("python_grader_server_error",),
    "python_grader_runtime_error_details": ("python_grader_runtime_error",),
    "model_grader_server_error_details": ("model_grader_server_error",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeError:
    """Why an answer has no grade. That is no grade of 0: nothing is known of the answer.

    Attributes:
        flag: What kind of failure, by its name in OpenAI's error record. `sample_parse_error`: the answer lacks what
            the grader reads (it is no JSON, or not such). `invalid_variable_error`: the item lacks it.
            `formula_parse_error`: the formula of a `multi` has no value for these grades.
            `python_grader_runtime_error`: the source failed, took too long or returned no number.
            `python_grader_server_error`: it could not be started. `model_grader_*`: the judge failed, refused, or gave
            no verdict.
        detail: What happened, for a person.

    Examples:
        >>> error = GradeError(flag="sample_parse_error", detail="the answer is no JSON")
        >>> error.blames_answer, error.record()["sample_parse_error"], error.record()["other_error"]
        (True, True, False)
    """

    flag: Flag
    detail: str

    @property
    def hint(self) -> str:
        """What to do about it."""
        return HINTS[self.flag]

    @property
    def blames_answer(self) -> bool:
        """Whether the answer is at fault, and not the grader, the item or a judge."""
        return self.flag == "sample_parse_error"

    def record(self) -> dict[str, bool | str | None]:
        """The error record of OpenAI's `RunGraderResponse`: eleven flags, and texts to three of them."""
        flags: dict[str, bool | str | None] = {name: name == self.flag for name in get_args(Flag)}
        return flags | {name: self.detail if self.flag in of else None for name, of in _DETAILS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """What a grader says of an answer.

    Attributes:
        value: The grade, finite; None if the grader failed.
        error: Why it failed; None if there is a value.
        parts: Of a `multi`, the grades it is made of.

    Examples:
        >>> Grade.of(1).value
        1.0
    """

    value: float | None
    error: GradeError | None = None
    parts: Mapping[str, Grade] = field(default_factory=dict)

    @classmethod
    def of(cls, value: float) -> Grade:
        """A grade that is a number."""
        assert math.isfinite(value), "a grade is finite"
        return cls(value=float(value))

    @classmethod
    def failed(cls, flag: Flag, detail: str) -> Grade:
        """No grade."""
        return cls(value=None, error=GradeError(flag=flag, detail=detail))


@dataclass(frozen=True, kw_only=True)
class Grader(ABC):
    """A function of an answer and the item that it answers. May be called from several threads.

    Attributes:
        name: Its name.
        pass_threshold: From which grade on an answer passes, where the JSON says so.
    """

    name: str
    pass_threshold: float | None = None

    def grade(self, sample: Sample, item: Mapping[str, Any]) -> Grade:
        """Grade one answer. Whatever goes wrong is in the grade; nothing is raised, but by who watches (see `watched`).

        Args:
            sample: The answer.
            item: What the dataset knows of the question: names and JSON values.
        """
        look()
        try:
            return self._grade(sample, item)
        except Unreadable as missing:
            return Grade.failed(missing.flag, missing.detail)
        except RecursionError:
            return Grade.failed(
                "other_error", "the answer or the item is nested too deep to be written as JSON"
            )

    def close(self) -> None:
        """End the child process, if it has one. The next grade would start another."""

    def missing(self, item: Mapping[str, Any]) -> list[str]:
        """What the grader's templates want of an item and it does not have, in words.

        A `python` grader reads what it likes, so of that nothing is known.

        Args:
            item: As for `grade`.
        """
        found = []
        for variable in self.variables():
            try:
                variable.check(item)
            except Unreadable as missing:
                found.append(missing.detail)
        return list(dict.fromkeys(found))

    def variables(self) -> Iterator[Variable]:
        """What its templates read."""
        return iter(())

    @abstractmethod
    def _grade(self, sample: Sample, item: Mapping[str, Any]) -> Grade:
        """As `grade`, but may raise `Unreadable`."""
