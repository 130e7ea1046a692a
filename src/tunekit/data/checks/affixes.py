"""Separators, stop sequences, leading spaces and shared text of plain-text prompts and completions.

A base model that continues text must see where a prompt ends, and must say where its answer ends. Chat templates do
both, so for chats this finds nothing. Rows without a prompt are text to continue and need neither.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sized

from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.compact import RowIds
from tunekit.data.findings import MAX_PLACES, Finding, Place, ProposedFix, Rows, Severity, evidence
from tunekit.data.fixes.affixes import (
    AddLeadingSpace,
    AddSeparator,
    AddStop,
    StripCompletionPrefix,
    StripPromptPrefix,
)
from tunekit.data.marks import MAX_PREFIX, Role, SharedText
from tunekit.data.statistics import Answers
from tunekit.data.wording import brief
from tunekit.examples import CompletionExample, Example


class PromptFormat(Check):
    """What a base model would stumble over in how prompts and completions begin and end."""

    worst = "warning"
    codes = (
        "no-separator",
        "missing-separator",
        "separator-inside",
        "common-prompt-prefix",
        "common-prompt-suffix",
        "common-completion-prefix",
        "no-stop",
        "missing-stop",
        "stop-inside",
        "no-leading-space",
    )

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._prompts = _Column("prompt")
        self._completions = _Column("completion")
        self._answers = Answers()
        self._unspaced = Rows()

    def see(self, example: Example) -> None:
        """Take in how the prompt and the completion begin and end."""
        if (
            self.context.prompt_format == "chat"
            or not isinstance(example, CompletionExample)
            or not example.prompt
        ):
            return
        self._prompts.add(example.id, example.prompt)
        self._completions.add(example.id, example.completion)
        self._answers.add(example.completion)
        if example.completion and not example.completion[0].isspace():
            self._unspaced.add(example.id, "completion", evidence(example.completion, 0, 1))

    def findings(self) -> Iterable[Finding]:
        """What their beginnings and ends lack or have too much of."""
        yield from self._prompts.mark_findings(
            "separator",
            "warning",
            "a base model cannot tell where its answer begins",
            AddSeparator.proposed(),
        )
        yield from self._shared()
        if not self._answers.classes:  # a class is said and over
            yield from self._completions.mark_findings(
                "stop",
                "info",
                "a tuned model knows where to stop only if its trainer adds an end-of-text token, as tunekit's does",
                AddStop.proposed(),
            )
        yield from self._space()

    def _shared(self) -> Iterator[Finding]:
        prompts, completions = self._prompts.texts, self._completions.texts
        if len(prompts.instruction) > MAX_PREFIX:
            yield _shared(
                "common-prompt-prefix",
                prompts.instruction,
                "all prompts begin with {}: a tuned model knows its task without instructions, which cost tokens",
                StripPromptPrefix.proposed(),
            )
        if len(prompts.closing) > MAX_PREFIX:
            yield _shared(
                "common-prompt-suffix",
                prompts.closing,
                "all prompts end with {}: a short separator says the same in fewer tokens",
            )
        if completions.label:
            yield _shared(
                "common-completion-prefix",
                completions.label,
                "all completions begin with {}: usually only what follows needs to be learned",
                StripCompletionPrefix.proposed(),
            )

    def _space(self) -> Iterator[Finding]:
        count, total = len(self._unspaced), self._completions.texts.count
        if not count:
            return
        mixed = count < total
        others = ", so the others begin with other tokens" if mixed else ""
        yield Finding(
            code="no-leading-space",
            severity="warning" if mixed else "info",
            message=f"{count:,} of {total:,} completions do not begin with a space; tokenizers of the GPT-2 family "
            f"join a word with the space before it{others}",
            rows=tuple(self._unspaced.ids) if mixed else (),
            places=tuple(self._unspaced.places) if mixed else (),
            fix=AddLeadingSpace.proposed(),
        )


def _shared(code: str, text: str, message: str, fix: ProposedFix | None = None) -> Finding:
    facts = {"text": evidence(text), "characters": len(text)}
    return Finding(code=code, severity="info", message=message.format(brief(text)), fix=fix, facts=facts)


class _Column:
    """Prompts or completions: what they share, and which rows end with which mark."""

    def __init__(self, role: Role) -> None:
        self.texts = SharedText(role)
        self._role = role
        self._rows = RowIds()
        self._marks: list[str] = []
        self._ends: dict[str, str] = {}  # evidence by row, for as many rows of each mark as a finding shows
        self._seen: Counter[str] = Counter()
        self._repeating: dict[str, Rows] = {}

    def add(self, row: str, text: str) -> None:
        mark = self.texts.add(text)
        self._rows.append(row)
        self._marks.append(mark)
        self._seen[mark] += 1
        if self._seen[mark] <= MAX_PLACES:
            self._ends[row] = evidence(text, len(text))
        at = text.find(mark)
        if at < len(text) - len(mark):
            self._repeating.setdefault(mark, Rows()).add(row, self._role, evidence(text, at, at + len(mark)))

    def mark_findings(
        self, name: str, severity: Severity, without: str, fix: ProposedFix
    ) -> Iterator[Finding]:
        """Findings about the mark that is called `name`: none in use, not in all rows, or not only at the end."""
        if not self.texts.count:
            return
        if not self.texts.mark:
            says = f"{self._role}s do not end with a common {name}: {without}"
            yield Finding(code=f"no-{name}", severity=severity, message=says, fix=fix)
            return
        yield from self._missing(name, fix)
        yield from self._inside(name)

    def _missing(self, name: str, fix: ProposedFix) -> Iterator[Finding]:
        mark = self.texts.mark
        rows = [row for row, own in zip(self._rows, self._marks, strict=True) if not own.endswith(mark)]
        if rows:
            shown = rows[:MAX_PLACES]
            yield Finding(
                code=f"missing-{name}",
                severity="warning",
                message=f"{self._share(rows)} do not end with {brief(mark)}, as the others do",
                rows=tuple(rows),
                places=tuple(Place(row=row, field=self._role, evidence=self._ends[row]) for row in shown),
                fix=fix,
                facts={name: mark},
            )

    def _inside(self, name: str) -> Iterator[Finding]:
        mark = self.texts.mark
        rows = self._repeating.get(mark)
        if rows:
            yield Finding(
                code=f"{name}-inside",
                severity="warning",
                message=f"{self._share(rows)} hold the {name} {brief(mark)} before their end, too",
                rows=tuple(rows.ids),
                places=tuple(rows.places),
                facts={name: mark},
            )

    def _share(self, rows: Sized) -> str:
        return f"{len(rows):,} of {self.texts.count:,} {self._role}s"
