"""Labels row by row: missing, repeated, with spaces around them. Knows one row at a time; of classes, nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.findings import Finding, ProposedFix, Rows, Severity, evidence
from tunekit.data.fixes.labels import DropRepeatedLabels, StripLabels
from tunekit.data.wording import counted
from tunekit.examples import Example, LabelledExample


class Labels(Check):
    """What can be wrong with the labels of one row."""

    codes = ("empty-labels", "label-spaces", "repeated-labels", "no-labels", "mixed-labels")

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._empty, self._spaces, self._repeated, self._none = Rows(), Rows(), Rows(), Rows()
        self._single = self._several = 0

    def see(self, example: Example) -> None:
        """Look at its labels."""
        if not isinstance(example, LabelledExample):
            return
        if isinstance(example.label, str):
            self._single += 1
            self._see(example.id, "label", example.label)
            return
        self._several += 1
        for index, label in enumerate(example.label):
            self._see(example.id, f"label[{index}]", label)
        if not example.label:
            self._none.add(example.id, "label")
        elif len(set(example.label)) < len(example.label):
            self._repeated.add(example.id, "label", evidence(", ".join(example.label)))

    def _see(self, row: str, field: str, label: str) -> None:
        stripped = label.strip()
        if not stripped:
            self._empty.add(row, field, evidence(label))
        if stripped != label:
            self._spaces.add(row, field, evidence(label))

    def findings(self) -> Iterable[Finding]:
        """What is wrong, and what is odd."""
        yield from _found("empty-labels", "error", self._empty, "with an empty label")
        around = "with white space around a label, so that one class becomes two"
        yield from _found("label-spaces", "warning", self._spaces, around, StripLabels.proposed())
        twice = "with one label several times"
        yield from _found("repeated-labels", "warning", self._repeated, twice, DropRepeatedLabels.proposed())
        yield from _found(
            "no-labels", "info", self._none, "without any label, which teaches that none applies"
        )
        if self._single and self._several:
            yield Finding(
                code="mixed-labels",
                severity="warning",
                message=f"{counted(self._single, 'row')} with one label as a text, {self._several:,} with a list of "
                "labels; only lists mean that several may apply",
                facts={"single": self._single, "several": self._several},
            )


def _found(
    code: str, severity: Severity, rows: Rows, what: str, fix: ProposedFix | None = None
) -> Iterator[Finding]:
    if rows:
        yield Finding(
            code=code,
            severity=severity,
            message=f"{counted(len(rows), 'row')} {what}",
            rows=tuple(rows.ids),
            places=tuple(rows.places),
            fix=fix,
        )
