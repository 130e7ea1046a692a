"""Rows in another language than the others, and answers in another language than their question.

Compares scripts, or languages where the context names a detector. Knows what is usual in these rows, so translations
and classifications of foreign texts are no finding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.exchanges import Exchange, exchanges
from tunekit.data.findings import MAX_PLACES, Finding, Place, Severity, evidence
from tunekit.data.patterns.scripts import script_of
from tunekit.data.views import texts
from tunekit.data.wording import counted
from tunekit.examples import Example, LabelledExample

MAX_RARE = 0.05
"""Share of rows up to which a language, or a pair of them, is an exception; above, it is what the data are about."""
MAX_KEPT = 10_000
"""Rows kept of each pair: memory stays bounded, and only of a million rows could an exception have more."""


class _Kept(NamedTuple):
    number: int
    row: str
    field: str
    text: str


class Languages(Check):
    """Which languages, or scripts, are asked and answered in."""

    worst = "warning"
    codes = ("answer-in-another-language", "mixed-languages")

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._language_of = context.language_of or script_of
        self._number = 0
        self._counts: Counter[tuple[str, str]] = Counter()
        self._kept: dict[tuple[str, str], list[_Kept]] = {}

    def see(self, example: Example) -> None:
        """Look at its last answer and at what stands before it."""
        asked, field, said = _last_exchange(example)
        answered = self._language_of(said) if said else None
        question = (self._language_of(asked) if asked else None) or answered
        if question is None:
            return
        pair = (question, answered or question)
        self._counts[pair] += 1
        self._number += 1
        kept = self._kept.setdefault(pair, [])
        if len(kept) < MAX_KEPT:
            text = said if answered else asked
            kept.append(_Kept(self._number, example.id, field, text[:40]))

    def findings(self) -> Iterable[Finding]:
        """The exceptions; without any, whether there are several languages."""
        most = MAX_RARE * self._number
        rare = [pair for pair, count in self._counts.items() if count <= most]
        shown = ", ".join(f"{_name(pair)} {count:,}" for pair, count in self._counts.most_common(10))
        foreign = [pair for pair in rare if pair[0] != pair[1]]
        if foreign:
            yield self._finding(
                "answer-in-another-language",
                "warning",
                f"{{rows}} answered in another language than asked, which is not usual here ({shown});"
                " look whether that was asked for, as in a translation",
                foreign,
            )
        own = [pair for pair in rare if pair[0] == pair[1]]
        if own:
            yield self._finding(
                "mixed-languages",
                "info",
                f"{{rows}} in a language that is rare here ({shown}); look whether they belong here",
                own,
            )
        elif len({answered for pair in self._counts if pair not in rare for answered in pair[1:]}) > 1:
            yield self._finding("mixed-languages", "info", f"several languages ({shown})", [])

    def _finding(
        self, code: str, severity: Severity, message: str, pairs: Iterable[tuple[str, str]]
    ) -> Finding:
        kept = sorted(exchange for pair in pairs for exchange in self._kept[pair])
        return Finding(
            code=code,
            severity=severity,
            message=message.format(rows=counted(sum(self._counts[pair] for pair in pairs), "row")),
            rows=tuple(exchange.row for exchange in kept),
            places=tuple(
                Place(row=exchange.row, field=exchange.field, evidence=evidence(exchange.text))
                for exchange in kept[:MAX_PLACES]
            ),
            facts={"languages": {_name(pair): count for pair, count in self._counts.most_common()}},
        )


def _name(pair: tuple[str, str]) -> str:
    return pair[0] if pair[0] == pair[1] else f"{pair[0]} > {pair[1]}"


def _last_exchange(example: Example) -> Exchange:
    """The last answer and what is asked; a label is in no language, and a conversation may await its answer."""
    if isinstance(example, LabelledExample):
        return Exchange(example.text, "text", "")
    for exchange in reversed(list(exchanges(example))):
        return exchange
    for field, text, _ in reversed(list(texts(example))):
        return Exchange(text, field, "")
    return Exchange("", "", "")
