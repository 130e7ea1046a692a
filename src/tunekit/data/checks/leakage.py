"""Rows that a validation, test or evaluation set has too. Knows what to say of leaks; `similarity.leaks` finds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.findings import MAX_PLACES, Finding, ProposedFix, Rows, Severity, evidence
from tunekit.data.fixes.leakage import DropLeaked, DropNearlyLeaked
from tunekit.data.similarity.keys import text_key
from tunekit.data.similarity.leaks import Asked, Found, Leak, OtherSet
from tunekit.data.wording import brief, counted
from tunekit.examples import Example


class Leakage(Check):
    """What was trained on proves nothing when it is asked again: rows in common with the sets of the context."""

    codes = ("leaked-questions", "leaked-passages", "nearly-leaked-questions", "leakage-unchecked")

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._rows = {leak: Rows() for leak in Leak}

    @cached_property
    def _watched(self) -> tuple[_Watched, ...]:
        return tuple(_Watched(OtherSet(name, rows)) for name, rows in self.context.against)

    def see(self, example: Example) -> None:
        """Hold it against every other set."""
        if not self._watched:
            return
        asked = Asked.of(example)
        for watched in self._watched:
            found = watched.see(asked, example.id)
            if found:
                rows = self._rows[found.leak]
                rows.add(example.id, "", evidence(asked.question) if len(rows.places) < MAX_PLACES else "")

    def findings(self) -> Iterable[Finding]:
        """What leaks, from which sets, and what could not be compared."""
        drop, drop_near = DropLeaked.proposed(), DropNearlyLeaked.proposed()
        yield from self._leaks(Leak.QUESTION, "leaked-questions", "error", "with a question of", drop)
        yield from self._leaks(
            Leak.PASSAGE, "leaked-passages", "warning", "with 13 words in a row of", drop_near
        )
        yield from self._leaks(
            Leak.NEAR, "nearly-leaked-questions", "warning", "with nearly a question of", drop_near
        )
        yield from self._unchecked()

    def _leaks(
        self, leak: Leak, code: str, severity: Severity, what: str, fix: ProposedFix
    ) -> Iterator[Finding]:
        rows = self._rows[leak]
        if not rows:
            return
        sets = {watched.other.name: watched.facts(leak) for watched in self._watched if watched.rows[leak]}
        where = [
            f"{brief(name)} ({facts['their_rows']:,} of its {counted(facts['of'], 'row')})"
            for name, facts in sets.items()
        ]
        yield Finding(
            code=code,
            severity=severity,
            message=f"{counted(len(rows), 'row')} {what} {', '.join(where)}: "
            "what a model was trained on, it may know by heart",
            rows=tuple(rows.ids),
            places=tuple(rows.places),
            fix=fix,
            facts={"sets": sets},
        )

    def _unchecked(self) -> Iterator[Finding]:
        sets = {
            watched.other.name: {"rows": watched.other.not_compared, "their_rows": watched.other.not_kept}
            for watched in self._watched
            if watched.other.not_compared or watched.other.not_kept
        }
        if sets:
            yield Finding(
                code="leakage-unchecked",
                severity="info",
                message="equal questions were looked for everywhere, but passages and similar questions only in a "
                f"part of the rows or of {', '.join(map(brief, sets))}: there is too much text",
                facts={"sets": sets},
            )


class _Watched:
    """One other set, and what of it was found."""

    def __init__(self, other: OtherSet) -> None:
        self.other = other
        self.rows = dict.fromkeys(Leak, 0)
        self._theirs: dict[Leak, set[int]] = {leak: set() for leak in Leak}
        self._letters: set[int] = set()
        self._examples: dict[Leak, list[list[str]]] = {leak: [] for leak in Leak}

    def see(self, asked: Asked, row: str) -> Found | None:
        found = self.other.find(asked)
        if found is None:
            return None
        self.rows[found.leak] += 1
        self._theirs[found.leak].add(found.row)
        if found.leak is Leak.QUESTION:
            letter = self.other.letters.find(text_key(asked.question.strip()))
            self._letters.update([] if letter is None else [letter])
        if len(self._examples[found.leak]) < MAX_PLACES:
            self._examples[found.leak].append([row, self.other.ids[found.row]])
        return found

    def facts(self, leak: Leak) -> dict[str, Any]:
        """How many rows on both sides, and the first pairs."""
        facts = {"rows": self.rows[leak], "their_rows": len(self._theirs[leak]), "of": len(self.other.ids)}
        if leak is Leak.QUESTION:
            # One row stands for all that ask the same.
            facts["their_rows"] = self.other.asking(self._theirs[leak])
            facts["to_the_letter"] = sum(self.other.letters.times[letter] for letter in self._letters)
        return {**facts, "examples": self._examples[leak]}
