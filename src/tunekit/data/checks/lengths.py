"""How long inputs and answers are, in characters, and which rows stand out. Knows no tokens and no target's limits."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from math import log2
from typing import Any

from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.compact import RowIds
from tunekit.data.findings import MAX_PLACES, Finding, Rows, evidence
from tunekit.data.fixes.lengths import MAX_CHARS, DropLong, is_long
from tunekit.data.views import answer_text, input_text
from tunekit.data.wording import counted
from tunekit.examples import Example

_FEWEST_ROWS = 100
_FEWEST_CHARS = 1_000
_FENCE = 3.0
"""Interquartile ranges of the lengths' logarithms above the third quartile: "far out" (Tukey 1977, "Exploratory Data
Analysis"). Lengths of texts are skewed; their logarithms much less."""


class Lengths(Check):
    """The distribution of lengths, and the rows that are very long by an old rule or beside the others."""

    worst = "info"
    codes = ("long-rows", "lengths", "length-outliers")

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._ids = RowIds()
        self._read = array("I")
        self._said = array("I")
        self._long = Rows()

    def see(self, example: Example) -> None:
        """Measure it."""
        read, said = input_text(example), answer_text(example)
        self._ids.append(example.id)
        self._read.append(len(read))
        self._said.append(len(said))
        if is_long(len(read), len(said)):
            shown = len(self._long.places) < MAX_PLACES
            self._long.add(example.id, "", evidence(max(read, said, key=len)) if shown else "")

    def findings(self) -> Iterable[Finding]:
        """The distribution, and what stands out."""
        if not self._ids:
            return
        yield self._distributions()
        if self._long:
            yield Finding(
                code="long-rows",
                severity="info",
                message=f"{counted(len(self._long), 'row')} with more than {MAX_CHARS:,} characters of input and "
                "answer; models with a short context would not read the end",
                rows=tuple(self._long.ids),
                places=tuple(self._long.places),
                fix=DropLong.proposed(),
                facts={"limit": MAX_CHARS},
            )
        yield from self._outliers()

    def _distributions(self) -> Finding:
        read, said = _distribution(self._read), _distribution(self._said)
        of = "half of the {} have up to {p50:,}, nine in ten up to {p90:,}, the longest {max:,}".format
        parts = [of("inputs", **read), of("answers", **said)] if read["max"] else [of("texts", **said)]
        return Finding(
            code="lengths",
            severity="info",
            message=f"in characters, {'; '.join(parts)}",
            facts={"unit": "characters", "input": read, "answer": said},
        )

    def _outliers(self) -> Iterator[Finding]:
        if len(self._ids) < _FEWEST_ROWS:
            return
        totals = array("I", (read + said for read, said in zip(self._read, self._said, strict=True)))
        fence = max(_fence(totals), _FEWEST_CHARS)
        rows = Rows()
        for index, total in enumerate(totals):
            if total > fence:
                rows.add(self._ids[index], "", f"{total:,} characters")
        if rows:
            verb = "is" if len(rows) == 1 else "are"
            yield Finding(
                code="length-outliers",
                severity="info",
                message=f"{counted(len(rows), 'row')} {verb} far longer than the others, with over {fence:,} "
                "characters; look whether something went wrong when they were made",
                rows=tuple(rows.ids),
                places=tuple(rows.places),
                facts={"over": fence},
            )


def _distribution(lengths: Sequence[int]) -> dict[str, Any]:
    ordered = sorted(lengths)
    return {
        "p50": _percentile(ordered, 50),
        "p90": _percentile(ordered, 90),
        "p99": _percentile(ordered, 99),
        "max": ordered[-1],
        "mean": round(sum(ordered) / len(ordered), 1),
    }


def _percentile(ordered: Sequence[int], percent: int) -> int:
    """The smallest length that `percent` of all do not exceed (nearest rank)."""
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]


def _fence(lengths: Sequence[int]) -> int:
    ordered = sorted(lengths)
    low, high = (log2(_percentile(ordered, percent) + 1) for percent in (25, 75))
    return int(2 ** (high + _FENCE * (high - low)))
