"""Answers that teach nothing or the wrong thing: none, a stand-in, a refusal, a loop, the question itself.

Looks at each answer by itself; what only shows beside the other answers is in `answer_shape`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.checks.occurrences import Occurrences
from tunekit.data.classes.stand_ins import StandIns
from tunekit.data.exchanges import Exchange, exchanges
from tunekit.data.findings import Finding, Rows, Severity, evidence
from tunekit.data.fixes import answers as fixes
from tunekit.data.fixes.base import Fix
from tunekit.data.patterns import placeholders, repetition
from tunekit.data.wording import counted
from tunekit.examples import Example, LabelledExample

MIN_ECHO_CHARS = 30
"""Of a question that its answer repeats: shorter ones are names and terms, which answers do begin with."""
MANY_ECHOES = 0.5
"""Share of rows from which on repeating the question is how the data were made, and not what some answers say."""


class _Sort(NamedTuple):
    code: str
    severity: Severity
    what: str
    so: str
    fix: type[Fix] | None


_SORTS = (
    _Sort("empty-answers", "error", "an empty answer", "there is nothing to learn", fixes.DropEmptyAnswers),
    _Sort(
        "empty-texts",
        "warning",
        "a label for an empty text",
        "there is nothing to tell the class by",
        fixes.DropEmptyTexts,
    ),
    _Sort(
        "missing-answers",
        "warning",
        "an answer that only spells a missing value",
        "the model would learn to say it, which is right only where it is a class",
        fixes.DropMissingAnswers,
    ),
    _Sort(
        "placeholder-answers",
        "warning",
        "an answer with something to fill in",
        "the model would learn to leave it so",
        fixes.DropPlaceholderAnswers,
    ),
    _Sort(
        "repetitive-answers",
        "warning",
        "an answer that says the same again and again",
        "the model would learn to go round in circles",
        fixes.DropRepetitiveAnswers,
    ),
    _Sort(
        "echoed-prompts",
        "warning",
        "an answer that begins with the whole prompt",
        "the model would learn to repeat what it is asked",
        None,
    ),
    _Sort(
        "refusals",
        "info",
        "an answer that refuses",
        "keep what should be refused, and nothing else",
        fixes.DropRefusals,
    ),
)


class Answers(Check):
    """Looks at every text that the model is trained to say, and at what is missing."""

    codes = tuple(sort.code for sort in _SORTS)

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._rows = {code: Rows() for code in self.codes}
        self._number = 0
        self._stand_ins = StandIns()
        self._missing = Occurrences()

    def see(self, example: Example) -> None:
        """Look at its answers."""
        self._number += 1
        for field in fixes.empty_answers(example):
            self._rows["empty-answers"].add(example.id, field)
        if isinstance(example, LabelledExample) and not example.text.strip():
            self._rows["empty-texts"].add(example.id, "text")
        for exchange in exchanges(example):
            self._see_answer(example.id, exchange)

    def _see_answer(self, row: str, exchange: Exchange) -> None:
        asked, field, said = exchange
        self._stand_ins.add(said)
        if placeholders.is_missing(said):
            self._missing.add(row, [(field, said)])
            return
        for code, place in (
            ("placeholder-answers", placeholders.template(said)),
            ("refusals", placeholders.refusal(said)),
        ):
            if place:
                self._rows[code].add(row, field, evidence(said, *place))
        looping = repetition.loop(said)
        if looping is not None:
            self._rows["repetitive-answers"].add(row, field, evidence(said, looping, looping + 40))
        if len(asked) >= MIN_ECHO_CHARS and said.startswith(asked) and said[len(asked) :].strip():
            self._rows["echoed-prompts"].add(row, field, evidence(said, 0, 40))

    def findings(self) -> Iterable[Finding]:
        """What is wrong with how many of them."""
        self._rows["missing-answers"] = self._missing.of(self._is_stray)
        for sort in _SORTS:
            rows = self._rows[sort.code]
            if rows:
                yield Finding(
                    code=sort.code,
                    severity=self._severity(sort),
                    message=f"{sort.what} in {counted(len(rows), 'row')}: {sort.so}",
                    rows=tuple(rows.ids),
                    places=tuple(rows.places),
                    fix=sort.fix.proposed() if sort.fix else None,
                )

    def _is_stray(self, said: str) -> bool:
        return placeholders.is_missing(said) and not self._stand_ins.is_class(said)

    def _severity(self, sort: _Sort) -> Severity:
        if sort.code == "missing-answers" and self._stand_ins.are_classes:
            return "info"
        if sort.code == "echoed-prompts" and len(self._rows[sort.code]) < MANY_ECHOES * self._number:
            return "info"
        return sort.severity
