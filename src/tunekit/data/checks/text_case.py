"""Prompts and completions that are written in capitals. Judges sentences only, never codes, formulas or labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.findings import Finding, ProposedFix, Rows, evidence
from tunekit.data.fixes.text_case import LowerCaseCompletions, LowerCasePrompts, is_in_capitals
from tunekit.examples import CompletionExample, Example


class TextCase(Check):
    """Tokenizers cut words in capitals into many pieces, and base models have seen few of them."""

    worst = "info"
    codes = ("upper-case-prompts", "upper-case-completions")

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._count = 0
        self._prompts = Rows()
        self._completions = Rows()

    def see(self, example: Example) -> None:
        """Note it where it is in capitals."""
        if self.context.prompt_format == "chat" or not isinstance(example, CompletionExample):
            return
        self._count += 1
        if is_in_capitals(example.prompt):
            self._prompts.add(example.id, "prompt", evidence(example.prompt))
        if is_in_capitals(example.completion):
            self._completions.add(example.id, "completion", evidence(example.completion))

    def findings(self) -> Iterable[Finding]:
        """The prompts and the completions in capitals."""
        yield from self._finding("prompts", self._prompts, LowerCasePrompts.proposed())
        yield from self._finding("completions", self._completions, LowerCaseCompletions.proposed())

    def _finding(self, what: str, rows: Rows, fix: ProposedFix) -> Iterator[Finding]:
        if rows:
            yield Finding(
                code=f"upper-case-{what}",
                severity="info",
                message=f"{len(rows):,} of {self._count:,} {what} are written in capitals, which cost more tokens and "
                "are rarer in what base models have read; lower case them only if the case means nothing",
                rows=tuple(rows.ids),
                places=tuple(rows.places),
                fix=fix,
            )
