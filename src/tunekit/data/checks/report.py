"""`CheckReport`: everything that a check found, for people and for programs. Knows findings; finds none."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tunekit.data.findings import Finding, ProposedFix
from tunekit.data.patterns.veil import veiled_json
from tunekit.data.summary import Summary


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What `Dataset.check` found: all of it at once, errors first.

    Attributes:
        name: What was checked: a file's name, or what the records were called.
        rows: How many rows were seen.
        findings: What is wrong or worth knowing.
        targets: Targets whose rules were checked as well.
        source: How the file was read: format, encoding, columns and the like.
        summary: Kinds, classes and lengths.

    Examples:
        >>> import tunekit as tk
        >>> rows = [("Where is it?", "delivery"), ("Where is it?", "delivery"), ("I want my money", "refund")]
        >>> report = tk.Dataset.from_records(map(list, rows)).check()
        >>> report["duplicate-rows"].rows
        ('records:2',)
        >>> report.ok
        True
    """

    name: str
    rows: int
    findings: tuple[Finding, ...]
    targets: tuple[str, ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)
    summary: Summary = field(default_factory=Summary)

    @property
    def ok(self) -> bool:
        """Whether there is no error, whatever the warnings."""
        return not self.errors

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What will fail or mislead training."""
        return self._of("error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What is probably wrong."""
        return self._of("warning")

    @property
    def fixes(self) -> tuple[ProposedFix, ...]:
        """Every fix that some finding proposes, once each, in the order of the findings."""
        return tuple({found.fix.name: found.fix for found in self.findings if found.fix}.values())

    def passes(self, target: str) -> bool:
        """Whether nothing stands against training there: no error of that target's rules, and none of everybody's.

        Raises:
            KeyError: The report was not made for that target.
        """
        if target not in self.targets:
            raise KeyError(target)
        return not any(found.target in ("", target) for found in self.errors)

    def _of(self, severity: str) -> tuple[Finding, ...]:
        return tuple(found for found in self.findings if found.severity == severity)

    def __getitem__(self, code: str) -> Finding:
        for found in self.findings:
            if found.code == code:
                return found
        raise KeyError(code)

    def __contains__(self, code: object) -> bool:
        return any(found.code == code for found in self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __bool__(self) -> bool:
        return True  # a report without findings is still a report; ask `ok`

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: the same report for the same data, on every machine. Secrets and personal data are masked."""
        body = {
            "name": self.name,
            "rows": self.rows,
            "source": dict(self.source),
            "summary": self.summary.to_dict(),
            "targets": {target: self.passes(target) for target in self.targets},
            "findings": [found.to_dict() for found in self.findings],
        }
        return veiled_json(body)

    def to_json(self) -> str:
        """The same as text, indented."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2)

    def to_html(self) -> str:
        """One page that needs nothing else: no script, no font and no picture from elsewhere."""
        from tunekit.data.rendering.page import page

        return page(self)

    def __str__(self) -> str:
        from tunekit.data.rendering.lines import lines

        return "\n".join(lines(self))
