"""`multi`: the grades of several graders, made into one by a formula. Knows no grader but by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunekit.graders.base import Grade, GradeError, Grader
from tunekit.graders.formula import Formula
from tunekit.graders.sample import Sample
from tunekit.graders.templates import Variable


@dataclass(frozen=True, kw_only=True)
class Multi(Grader):
    """Combines graders. Where one of those that the formula names fails, so does the whole.

    Attributes:
        graders: By the name that the formula uses.
        formula: Makes one grade of theirs.
    """

    graders: Mapping[str, Grader]
    formula: Formula

    def close(self) -> None:
        """See `Grader.close`."""
        for grader in self.graders.values():
            grader.close()

    def variables(self) -> Iterator[Variable]:
        """See `Grader.variables`."""
        for grader in self.graders.values():
            yield from grader.variables()

    def _grade(self, sample: Sample, item: Mapping[str, Any]) -> Grade:
        parts = {name: grader.grade(sample, item) for name, grader in self.graders.items()}
        error = self._error(parts)
        if error is not None:
            return Grade(value=None, error=error, parts=parts)
        values = {name: part.value for name, part in parts.items() if part.value is not None}
        try:
            return Grade(value=self.formula.value(values), parts=parts)
        except ValueError as problem:
            failed = Grade.failed("formula_parse_error", f"the formula has no value: {problem}")
            return Grade(value=None, error=failed.error, parts=parts)

    def _error(self, parts: Mapping[str, Grade]) -> GradeError | None:
        """The first error that is not the answer's fault, or else the first: the grader's own faults weigh more."""
        errors = [part.error for name in self.formula.names if (part := parts[name]).error]
        ours = [error for error in errors if not error.blames_answer]
        return next(iter(ours or errors), None)
