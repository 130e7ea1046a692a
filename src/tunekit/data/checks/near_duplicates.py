"""Rows that say nearly the same as an earlier one. Knows what to say of them; `similarity` finds them."""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tunekit.data.checks.base import Check, CheckContext
from tunekit.data.compact import RowIds
from tunekit.data.findings import MAX_PLACES, Finding, Rows, evidence
from tunekit.data.fixes.duplicates import DropNearDuplicates
from tunekit.data.similarity.near import THRESHOLD
from tunekit.data.similarity.near_rows import MAX_BYTES, MAX_ROWS, NearRows
from tunekit.data.wording import counted
from tunekit.examples import Example

_MAX_EXAMPLES = 5


class NearDuplicates(Check):
    """Rows of which inputs and answers overlap for the most part with those of an earlier row.

    Compared are the first 100,000 distinct rows, or as many as have 64 MB of text; it says so where there are more.
    """

    worst = "info"
    codes = ("near-duplicates", "near-duplicates-unchecked")

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._rows = NearRows()
        self._ids = RowIds()  # of the rows that are compared
        self._numbers = array("I")

    def see(self, example: Example) -> None:
        """Keep its normalised texts."""
        number = self._rows.see(example)
        if number is not None:
            self._ids.append(example.id)
            self._numbers.append(number)

    def findings(self) -> Iterable[Finding]:
        """Rows that are nearly the same, and how many were not compared."""
        near = self._rows.near()
        if near:
            yield self._finding(near)
        if self._rows.not_compared or self._rows.cut:
            yield Finding(
                code="near-duplicates-unchecked",
                severity="info",
                message=self._unchecked(),
                facts={"not_compared": self._rows.not_compared, "compared_in_part": self._rows.cut},
            )

    def _unchecked(self) -> str:
        left_out, in_part = self._rows.not_compared, self._rows.cut
        said = []
        if left_out:
            why = f"they come after {MAX_ROWS:,} rows or {MAX_BYTES // 10**6} MB of text, or are very long"
            said.append(
                f"{counted(left_out, 'row')} with no other: {why}; check parts of the data to see more"
            )
        if in_part:
            said.append(
                f"{counted(in_part, 'row')} with some only of those that might be alike, which are many"
            )
        return f"near duplicates were not looked for everywhere: compared were {', and '.join(said)}"

    def _finding(self, near: Mapping[int, int]) -> Finding:
        rows = Rows()
        for row, number in enumerate(self._numbers):
            if number in near:
                shown = len(rows.places) < MAX_PLACES
                rows.add(self._ids[row], "", evidence(self._rows.text(number)) if shown else "")
        verb = "says" if len(rows) == 1 else "say"
        return Finding(
            code="near-duplicates",
            severity="info",
            message=f"{counted(len(rows), 'row')} {verb} nearly the same as an earlier one: their inputs, and their "
            f"answers, share {THRESHOLD:.0%} of their runs of four characters or more",
            rows=tuple(rows.ids),
            places=tuple(rows.places),
            fix=DropNearDuplicates.proposed(),
            facts={
                "threshold": THRESHOLD,
                "clusters": len(set(near.values())),
                "largest": self._largest(near),
            },
        )

    def _largest(self, near: Mapping[int, int]) -> list[dict[str, Any]]:
        """Of the largest clusters, the row that stays, some that are like it, and how many those are."""
        sizes = Counter(near[number] for number in self._numbers if number in near)
        clusters: dict[int, list[str]] = {
            number: []
            for number in heapq.nsmallest(MAX_PLACES, sizes, key=lambda number: (-sizes[number], number))
        }
        stays: dict[int, str] = {}
        for row, number in enumerate(self._numbers):
            cluster = clusters.get(near.get(number, -1))
            if number in clusters:
                stays.setdefault(number, self._ids[row])
            elif cluster is not None and len(cluster) < _MAX_EXAMPLES:
                cluster.append(self._ids[row])
        return [
            {"row": stays[number], "like_it": like_it, "count": sizes[number]}
            for number, like_it in clusters.items()
        ]
