"""Rows of one finding, collected while they pass by: all are counted, the first are listed. Knows no finding."""

from __future__ import annotations

from typing import Any

from tunekit.data.findings import Finding, Rows, Severity
from tunekit.data.wording import counted

MAX_LISTED = 10_000
"""Rows that a reader lists. A list of every row of a large file would be as large as the file."""


class Counted:
    """Collects where a finding is.

    Examples:
        >>> found = Counted()
        >>> found.add("t.csv:3", "note", "x")
        >>> found.finding("spilled", "info", "text beside the table in {rows}").message
        'text beside the table in 1 row'
    """

    __slots__ = ("_last", "_rows", "count")

    def __init__(self) -> None:
        self.count = 0
        self._rows = Rows()
        self._last = ""

    def add(self, row: str, field: str = "", evidence: str = "") -> None:
        """Note one place; rows come in data order."""
        if row != self._last:
            self.count += 1
            self._last = row
        if self.count <= MAX_LISTED:
            self._rows.add(row, field, evidence)

    def finding(self, code: str, severity: Severity, message: str, **facts: Any) -> Finding:
        """The finding; `{rows}` in its message becomes their number."""
        return Finding(
            code=code,
            severity=severity,
            message=message.replace("{rows}", counted(self.count, "row")),
            rows=tuple(self._rows.ids),
            places=tuple(self._rows.places),
            facts={"rows": self.count, **facts},
        )
