"""`string_check`: two texts are compared as they are, 1 or 0. Knows four comparisons."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tunekit.graders.base import Grade, Grader
from tunekit.graders.fields import Fields
from tunekit.graders.sample import Sample
from tunekit.graders.templates import Template, Variable

OPERATIONS: Mapping[str, Callable[[str, str], bool]] = {
    "eq": lambda text, reference: text == reference,
    "ne": lambda text, reference: text != reference,
    "like": lambda text, reference: reference in text,
    "ilike": lambda text, reference: reference.casefold() in text.casefold(),
}
"""OpenAI's guide on graders: equal, not equal, contains, contains whatever the case. Nothing is trimmed."""


@dataclass(frozen=True, kw_only=True)
class StringCheck(Grader):
    """Compares two texts.

    Attributes:
        input: What is graded.
        reference: What it is compared with.
        operation: A key of `OPERATIONS`.
    """

    input: Template
    reference: Template
    operation: str

    @classmethod
    def read(cls, fields: Fields, name: str) -> StringCheck:
        """From its JSON."""
        return cls(
            name=name,
            input=fields.template("input"),
            reference=fields.template("reference"),
            operation=fields.choice("operation", tuple(OPERATIONS)),
            pass_threshold=fields.number("pass_threshold"),
        )

    def variables(self) -> Iterator[Variable]:
        """See `Grader.variables`."""
        yield from self.input.variables()
        yield from self.reference.variables()

    def _grade(self, sample: Sample, item: Mapping[str, Any]) -> Grade:
        text, reference = self.input.render(sample, item), self.reference.render(sample, item)
        return Grade.of(OPERATIONS[self.operation](text, reference))
