"""What docs/reference/findings.md says of each finding and fix. Knows the form of its tables; no check and no fix."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "findings.md"
_ROW = re.compile(
    r"^\| `(?P<name>[a-z0-9-]+)`\{ #(?P<anchor>[a-z0-9-]+) \} \| (?P<first>[a-z, ]+) \| (?P<rest>.+) \|$",
    re.MULTILINE,
)
_LINK = re.compile(r"\[`([a-z0-9-]+)`\]\(#([a-z0-9-]+)\)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a table.

    Attributes:
        name: The code of a finding, or the name of a fix.
        anchor: Where a link finds it.
        first: Severities of a finding, most severe first; the safety of a fix.
        says: The other cells, as a reader sees them.
        links: Names and anchors of the fixes that it names.
    """

    name: str
    anchor: str
    first: tuple[str, ...]
    says: str
    links: tuple[tuple[str, str], ...]


def findings() -> list[Entry]:
    """Every finding, in the order of the page."""
    return _entries(_parts()[0])


def fixes() -> list[Entry]:
    """Every fix, in the order of the page."""
    return _entries(_parts()[1])


def _parts() -> tuple[str, str]:
    before, _, after = PAGE.read_text(encoding="utf-8").partition("\n## Fixes ")
    return before, after


def _entries(text: str) -> list[Entry]:
    return [
        Entry(
            name=row["name"],
            anchor=row["anchor"],
            first=tuple(row["first"].split(", ")),
            says=html.unescape(row["rest"]),
            links=tuple(_LINK.findall(row["rest"])),
        )
        for row in _ROW.finditer(text)
    ]
