"""Answers that stand out among the others: that break off where others end, or say next to nothing where others talk.

Knows what is usual only after the last row. Very long rows are for `lengths`; labels have no ends and no lengths.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tunekit.data.answer_endings import AnswerEndings
from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.exchanges import Exchange, exchanges
from tunekit.data.findings import MAX_PLACES, Finding, Place, evidence, evidence_of_end
from tunekit.data.fixes.answers import DropTruncatedAnswers
from tunekit.data.wording import counted
from tunekit.examples import Example, LabelledExample

MIN_ANSWERS = 100
"""Below it, lengths show no habit."""
OCTAVES = 3
"""How often the length must halve from the 5th percentile to stand out: to an eighth of it, or less."""
MIN_USUAL_CHARS = 64
"""Of the usual short answer: where a few words are usual, a single one is no wonder."""
MAX_SHORT = 0.005
"""Share of answers that can stand out; more are another sort of answer and no accident."""
MAX_KEPT = 1_000
"""Answers kept of each length; of more than so many, few datasets could have one in two hundred."""


class AnswerShape(Check):
    """How answers end and how long they are."""

    worst = "warning"
    codes = ("truncated-answers", "short-answers")

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._endings = AnswerEndings()
        self._lengths = _Lengths()

    def see(self, example: Example) -> None:
        """Look at its answers."""
        if not isinstance(example, LabelledExample):
            answers = list(exchanges(example))
            self._endings.see(example.id, answers)
            self._lengths.see(example.id, answers)

    def findings(self) -> Iterable[Finding]:
        """The answers that stand out."""
        found = list(self._endings.truncated())
        if found:
            rows = tuple(dict.fromkeys(each.row for each in found))
            yield Finding(
                code="truncated-answers",
                severity="warning",
                message=f"an answer that breaks off in {counted(len(rows), 'row')}: the model would learn to do so",
                rows=rows,
                places=tuple(
                    Place(row=each.row, field=each.field, evidence=evidence_of_end(each.end))
                    for each in found[:MAX_PLACES]
                ),
                fix=DropTruncatedAnswers.proposed(),
                facts={"signs": dict(Counter(each.why for each in found).most_common())},
            )
        yield from self._lengths.findings()


class _Kept(NamedTuple):
    number: int
    row: str
    field: str
    said: str


class _Lengths:
    """Answers by the number of binary digits of their length in characters."""

    def __init__(self) -> None:
        self._number = 0
        self._counts: Counter[int] = Counter()
        self._kept: dict[int, list[_Kept]] = {}

    def see(self, row: str, answers: Iterable[Exchange]) -> None:
        self._number += 1
        for _, field, said in answers:
            octave = len(said).bit_length()
            self._counts[octave] += 1
            kept = self._kept.setdefault(octave, [])
            if len(kept) < MAX_KEPT:
                kept.append(_Kept(self._number, row, field, said[:40]))

    def findings(self) -> Iterator[Finding]:
        total = self._counts.total()
        usual = self._usual_short(total)
        short = [octave for octave in self._counts if 0 < octave <= usual - OCTAVES]
        count = sum(self._counts[octave] for octave in short)
        if total < MIN_ANSWERS or 1 << usual <= MIN_USUAL_CHARS or not 0 < count <= MAX_SHORT * total:
            return
        found = sorted(each for octave in short for each in self._kept[octave])
        rows = tuple(dict.fromkeys(each.row for each in found))
        yield Finding(
            code="short-answers",
            severity="info",
            message=f"a very short answer in {counted(len(rows), 'row')}: of the others, nineteen in twenty have "
            f"{1 << (usual - 1):,} characters or more",
            rows=rows,
            places=tuple(
                Place(row=each.row, field=each.field, evidence=evidence(each.said))
                for each in found[:MAX_PLACES]
            ),
            facts={"usual_chars": 1 << (usual - 1)},
        )

    def _usual_short(self, total: int) -> int:
        """The octave of the 5th percentile."""
        left = 0.05 * total
        for octave in sorted(self._counts):
            left -= self._counts[octave]
            if left < 0:
                return octave
        return 0
