"""Rows that say the same twice, and rows that disagree about the same question. Knows keys; compares no texts."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.compact import RowIds, Tally
from tunekit.data.findings import MAX_PLACES, Finding, Place, ProposedFix, Rows, Severity, evidence
from tunekit.data.fixes.duplicates import DropConflicting, DropDuplicates, DropNormalisedDuplicates
from tunekit.data.similarity.comparable import comparable
from tunekit.data.similarity.conflicts import Conflicts, Dispute
from tunekit.data.similarity.keys import content_key
from tunekit.data.views import answer_text, input_text, texts
from tunekit.data.wording import counted
from tunekit.examples import Example

_MAX_EXAMPLE_ROWS = 5


class Duplicates(Check):
    """Copies of earlier rows: to the letter, as the fingerprint counts, or but for case, spaces and punctuation."""

    worst = "warning"
    codes = ("duplicate-rows", "normalised-duplicates")

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._ids = RowIds()
        self._same = _Copies()
        self._alike = _Copies()

    def see(self, example: Example) -> None:
        """Hash what it holds, and what is left of that after normalising."""
        row = len(self._ids)
        self._ids.append(example.id)
        if self._same.repeats(content_key(example), row):
            self._same.add(example)
        elif self._alike.repeats(comparable(example).key, row):
            self._alike.add(example)

    def findings(self) -> Iterable[Finding]:
        """The copies of both sorts; a row is in one of them only."""
        yield from self._copies("duplicate-rows", self._same, "to the letter", DropDuplicates.proposed())
        how = "but for case, white space and punctuation"
        fix = DropNormalisedDuplicates.proposed()
        yield from self._copies("normalised-duplicates", self._alike, how, fix)

    def _copies(self, code: str, copies: _Copies, how: str, fix: ProposedFix) -> Iterator[Finding]:
        if not copies.rows:
            return
        verb = "repeats" if len(copies.rows) == 1 else "repeat"
        yield Finding(
            code=code,
            severity="warning",
            message=f"{len(copies.rows):,} of {counted(len(self._ids), 'row')} {verb} an earlier row {how}; what is "
            "there twice is learned twice, and counts twice in an evaluation",
            rows=tuple(copies.rows.ids),
            places=tuple(copies.rows.places),
            fix=fix,
            facts={
                "groups": copies.groups,
                "most_frequent": [
                    {"row": self._ids[row], "times": times} for row, times in copies.most_frequent(MAX_PLACES)
                ],
            },
        )


class _Copies:
    """Rows with keys that were there before."""

    def __init__(self) -> None:
        self.rows = Rows()
        self._tally = Tally()

    def repeats(self, key: int, row: int) -> bool:
        return not self._tally.add(key, row)

    def add(self, example: Example) -> None:
        shown = len(self.rows.places) < MAX_PLACES
        self.rows.add(example.id, "", evidence(input_text(example) or answer_text(example)) if shown else "")

    @property
    def groups(self) -> int:
        return sum(times > 1 for times in self._tally.times)

    def most_frequent(self, most: int) -> list[tuple[int, int]]:
        """The first rows of the largest groups, with how often they occur."""
        counts = zip(self._tally.times, self._tally.first, strict=True)
        return [
            (-row, times) for times, row in heapq.nlargest(most, ((n, -row) for n, row in counts if n > 1))
        ]


class Disagreements(Check):
    """Rows that ask the same and answer differently."""

    worst = "warning"
    codes = ("conflicting-labels", "conflicting-preferences", "different-answers")

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._ids = RowIds()
        self._conflicts = Conflicts()
        self._places: dict[Dispute, list[Place]] = {}

    def see(self, example: Example) -> None:
        """Compare its answer with the first one to its question."""
        self._ids.append(example.id)
        dispute = self._conflicts.see(example)
        if dispute:
            places = self._places.setdefault(dispute, [])
            if len(places) < MAX_PLACES:
                places.append(_answer_place(example))

    def findings(self) -> Iterable[Finding]:
        """Questions with different labels, verdicts or answers."""
        yield from self._disputed(
            Dispute.LABELS,
            "conflicting-labels",
            "warning",
            "with more than one label, and no model can learn both",
        )
        yield from self._disputed(
            Dispute.VERDICTS,
            "conflicting-preferences",
            "warning",
            "with answers judged both better and worse",
        )
        yield from self._disputed(
            Dispute.ANSWERS, "different-answers", "info", "with different answers, which may be meant"
        )

    def _disputed(self, about: Dispute, code: str, severity: Severity, what: str) -> Iterator[Finding]:
        inputs, distinct = self._conflicts.disputed(about), self._conflicts.questions
        if not inputs:
            return
        rows = tuple(self._ids[row] for row, _ in self._conflicts.rows(about))
        yield Finding(
            code=code,
            severity=severity,
            message=f"{inputs:,} of {counted(distinct, 'distinct input')} {what}: {counted(len(rows), 'row')}",
            rows=rows,
            places=tuple(self._places.get(about, self._places.get(Dispute.ANSWERS, []))),
            fix=None if about is Dispute.ANSWERS else DropConflicting.proposed(),
            facts={"inputs": inputs, "distinct_inputs": distinct, "examples": self._examples(about)},
        )

    def _examples(self, about: Dispute) -> list[list[str]]:
        """Rows with the same question, of the first such questions."""
        groups: dict[int, list[str]] = {}
        for row, question in self._conflicts.rows(about):
            if question in groups or len(groups) < MAX_PLACES:
                group = groups.setdefault(question, [])
                if len(group) < _MAX_EXAMPLE_ROWS:
                    group.append(self._ids[row])
        return list(groups.values())


def _answer_place(example: Example) -> Place:
    answers = [(field, text) for field, text, is_answer in texts(example) if is_answer]
    field, text = answers[-1] if answers else ("", answer_text(example))
    return Place(row=example.id, field=field, evidence=evidence(text))
