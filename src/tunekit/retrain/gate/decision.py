"""What a gate says, as values that can be stored. Knows outcomes and words; not how they are found."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from tunekit.evaluation.records import Record
from tunekit.evaluation.stats import Interval

Outcome: TypeAlias = Literal["passed", "failed", "unclear"]
Verdict: TypeAlias = Literal["promote", "reject", "inconclusive"]


class Check(Record):
    """One thing that a gate asks.

    Attributes:
        name: What is asked of, such as "exact_match", "exact_match on language=de" or "leakage".
        outcome: "failed" where the contrary is shown, or a limit on the data is broken; "unclear" where the test is too
            small to tell.
        reason: Why, in words and numbers.
        must_exceed: What the difference has to be above, counted so that more is better; None for checks of data.
        delta: That difference, with its interval at `level`.
        level: Confidence level that Holm's procedure gives this check.
        items_needed: Items that would settle it with 80 % power, at the difference seen; None where none would.
    """

    name: str
    outcome: Outcome
    reason: str
    must_exceed: float | None = None
    delta: Interval | None = None
    level: float | None = None
    items_needed: int | None = None


class Decision(Record):
    """Whether a model may replace another, and why. Print it.

    Attributes:
        verdict: "promote" where every check passed, "reject" where one failed, else "inconclusive": do not promote.
        checks: What was asked, the primary metric first.
        warnings: What to know before believing it.

    Examples:
        >>> check = Check(name="leakage", outcome="failed", reason="3 items of the test are in the training data")
        >>> print(Decision(verdict="reject", checks=(check,)))
        REJECT
        failed  leakage: 3 items of the test are in the training data
    """

    schema_version: Literal[1] = 1
    verdict: Verdict
    checks: tuple[Check, ...]
    warnings: tuple[str, ...] = Field(default=(), repr=False)

    def __getitem__(self, name: str) -> Check:
        return {check.name: check for check in self.checks}[name]

    def __str__(self) -> str:
        width = max((len(check.outcome) for check in self.checks), default=0)
        lines = [f"{check.outcome:<{width}}  {check.name}: {check.reason}" for check in self.checks]
        return "\n".join([self.verdict.upper(), *lines, *(f"warning: {text}" for text in self.warnings)])

    @property
    def passes(self) -> bool:
        """Whether the model may be promoted."""
        return self.verdict == "promote"

    @property
    def items_needed(self) -> int | None:
        """Items of a test that would settle what is unclear; None where nothing is, or no number would."""
        needed = [check.items_needed for check in self.checks if check.outcome == "unclear"]
        return None if not needed or None in needed else max(each for each in needed if each is not None)
