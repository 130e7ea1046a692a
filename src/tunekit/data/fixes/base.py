"""What a fix is: it may look at all rows first, then gives back each row mended, untouched, or not at all.

Knows no particular fix. A fix never sees what an earlier one has removed, and keeps the id of every row.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar, Literal

from tunekit.data.checks.base import CheckContext
from tunekit.data.findings import ProposedFix, Safety
from tunekit.examples import Example


class Fix(ABC):
    """One way to mend data. A new instance for every run.

    Applying a fix to its own result changes nothing, and the findings it was proposed for are gone.
    """

    name: ClassVar[str]
    safety: ClassVar[Safety]
    says: ClassVar[str]
    """What it does, in one sentence."""
    prompt_format: ClassVar[Literal["any", "text"]] = "any"
    """"text" for a fix of plain-text prompts, which must never run where a chat template writes them."""
    hides: ClassVar[bool] = False
    """Whether what it takes away must not be shown in reports, as with secrets."""

    def __init__(self, context: CheckContext) -> None:
        self.context = context

    def prepare(self, examples: Iterable[Example]) -> None:
        """Look at all rows as they are now, before the first `apply`. Most fixes need no such look."""
        return

    @abstractmethod
    def apply(self, example: Example) -> Example | None:
        """The row mended; the very same object if nothing is to be done; None to leave it out."""

    def reason(self, example: Example) -> str:
        """Why this row was left out, asked right after `apply` gave None; "" where `says` says it all."""
        return ""

    @classmethod
    def proposed(cls) -> ProposedFix:
        """How findings refer to it."""
        return ProposedFix(name=cls.name, safety=cls.safety, says=cls.says)
