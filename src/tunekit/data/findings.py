"""What is known to be wrong with data, and what would mend it. Knows the form of a finding; not how one is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from tunekit.data.patterns.veil import veiled, veiled_json
from tunekit.data.wording import brief

Severity: TypeAlias = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
Safety: TypeAlias = Literal["lossless", "lossy", "semantic"]

MAX_PLACES = 20
"""Places that a finding shows with evidence; the ids of all its rows are in `Finding.rows`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One spot in the data.

    Attributes:
        row: Row id, such as `"tickets.csv:12"`.
        field: Column or path in the row, such as `"messages[1].content"`; "" for the whole row.
        evidence: At most 40 characters of what stands there; masked where it is a secret or personal data.

    Examples:
        >>> str(Place(row="tickets.csv:12", field="completion"))
        'tickets.csv:12:completion'
    """

    row: str
    field: str = ""
    evidence: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "field", veiled(self.field))
        object.__setattr__(self, "evidence", veiled(self.evidence))

    def __str__(self) -> str:
        return veiled(f"{self.row}:{self.field}" if self.field else self.row)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedFix:
    """What `Dataset.fix` would do about a finding.

    Attributes:
        name: What to pass to `Dataset.fix`.
        safety: "lossless" changes no meaning and drops nothing that could be learned, and runs unasked; "lossy" throws
            something away; "semantic" may change what the data mean. The last two run only by name.
        says: What it does, in one sentence.
    """

    name: str
    safety: Safety
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, or worth knowing, in all the rows where it is.

    It may be shown and logged: secrets and personal data in it are masked, but for `rows`, which are ids of the data.

    Attributes:
        code: Stable name of the kind of finding, such as `"duplicate-rows"`; an anchor in the docs.
        severity: "error" will fail or mislead training, "warning" is probably wrong, "info" is worth knowing.
        message: What is wrong, with counts.
        rows: Ids of all rows concerned, in data order; empty for a finding about the whole dataset.
        places: The first of those with field and evidence.
        fix: What would mend it, if something does.
        target: Whose rule it is, such as `"foundry"`; "" for a rule of good data anywhere.
        facts: Numbers and names for programs, as plain JSON.

    Examples:
        >>> import tunekit as tk
        >>> rows = [{"text": "Where is it?", "label": "delivery "}, {"text": "I want my money", "label": "refund"}]
        >>> finding = tk.Dataset.from_records(rows).check()["label-spaces"]
        >>> finding.rows, finding.places[0].evidence, finding.fix.name
        (('records:1',), 'delivery ', 'strip-labels')
    """

    code: str
    severity: Severity
    message: str
    rows: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    fix: ProposedFix | None = None
    target: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", veiled(self.message))
        object.__setattr__(self, "facts", veiled_json(self.facts))

    def __str__(self) -> str:
        where = f" ({', '.join(map(str, self.places[:3]))}{', ...' if len(self.rows) > 3 else ''})"
        return f"{self.severity}: {self.code}: {self.message}{where if self.places else ''}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, for reports and logs."""
        body: dict[str, Any] = {"code": self.code, "severity": self.severity, "message": self.message}
        if self.target:
            body["target"] = self.target
        body["rows"] = list(self.rows)
        body["places"] = [
            {"row": place.row, "field": place.field, "evidence": place.evidence} for place in self.places
        ]
        if self.fix:
            body["fix"] = {"name": self.fix.name, "safety": self.fix.safety, "says": self.fix.says}
        if self.facts:
            body["facts"] = dict(self.facts)
        return veiled_json(body)


class Rows:
    """Collects where a finding is, while the rows pass by: every row id once, and the first places.

    Examples:
        >>> found = Rows()
        >>> found.add("a.csv:2", "completion", "N/A")
        >>> found.add("a.csv:2", "prompt", "N/A")
        >>> len(found), len(found.places)
        (1, 2)
    """

    __slots__ = ("ids", "places")

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.places: list[Place] = []

    def add(self, row: str, field: str = "", evidence: str = "") -> None:
        """Note one place; rows come in data order."""
        if not self.ids or self.ids[-1] != row:
            self.ids.append(row)
        if len(self.places) < MAX_PLACES:
            self.places.append(Place(row=row, field=field, evidence=evidence))

    def __len__(self) -> int:
        return len(self.ids)


_AROUND = 200
"""Characters on both sides of what is shown that may tell that it is part of a secret."""


def evidence_of_end(text: str) -> str:
    r"""At most 40 characters from the end of `text`; fewer where they would not all be shown.

    Examples:
        >>> evidence_of_end("the first line\n" * 3 + "and then\n\n\n{")
        'st line\\nthe first line\\nand then\\n\\n\\n{'
    """
    shown = ""
    for chars in range(40, 0, -2):
        shown = evidence(text, len(text) - chars)
        if text.endswith("...") or not shown.endswith("..."):
            break
    return shown


def evidence(text: str, start: int = 0, end: int | None = None) -> str:
    """At most 40 characters of `text` around a match, control characters made visible and secrets masked."""
    end = len(text) if end is None else end
    room = max(0, 40 - (end - start)) // 2
    first, last = max(0, start - room), min(end + room, start + 41)
    begin = max(0, first - _AROUND)
    # `brief` would veil, too, and see less of what stands around.
    shown = brief(veiled(text[begin : last + _AROUND], excerpt=True)[first - begin : last - begin])
    return shown[1:].removesuffix(shown[0])  # what was cut ends in "..." and no quote
