"""What fixing changed: every row by its id, and the first changes of each fix as they stood. Applies nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from tunekit.data.compact import RowIds
from tunekit.data.findings import Safety, evidence
from tunekit.data.fixes.base import Fix
from tunekit.data.marks import common_prefix, common_suffix
from tunekit.data.patterns.veil import veiled, veiled_json
from tunekit.data.wording import counted
from tunekit.examples import Example, Message, message_to_dict

MAX_CHANGES = 20
"""Changes and left out rows that each fix shows, unless told; the ids of all its rows are in the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One field of one row, before and after.

    Attributes:
        row: Row id.
        field: Path in the row, such as `"messages[1].content"`; "" where the row became another kind of example.
        before: At most 40 characters around what stood there.
        after: The same of what stands there now.

    Examples:
        >>> str(Change(row="spam.csv:12", field="completion", before="ham ", after="ham"))
        "spam.csv:12:completion: 'ham ' -> 'ham'"
    """

    row: str
    field: str
    before: str
    after: str

    def __str__(self) -> str:
        where = f"{self.row}:{self.field}" if self.field else self.row
        return f"{veiled(where)}: '{self.before}' -> '{self.after}'"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A row that a fix left out.

    Attributes:
        row: Row id.
        why: The reason, such as `"repeats spam.csv:12"`; "" where what the fix says of itself is reason enough.

    Examples:
        >>> str(LeftOut(row="spam.csv:40", why="repeats spam.csv:12"))
        'spam.csv:40: left out: repeats spam.csv:12'
    """

    row: str
    why: str

    def __str__(self) -> str:
        return veiled(f"{self.row}: left out: {self.why}" if self.why else f"{self.row}: left out")


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedFix:
    """What one fix did.

    Attributes:
        name: Its name, as for `Dataset.fix`.
        safety: "lossless", "lossy" or "semantic".
        says: What it does, in one sentence.
        changed: Ids of all rows that it changed, in data order.
        left_out: Ids of all rows that it left out, in data order.
        changes: The first changes, field by field.
        reasons: The first left out rows, each with its reason.

    Examples:
        >>> AppliedFix(name="drop-duplicates", safety="lossy", says="Drops them.", left_out=("a.csv:3",)).count
        1
    """

    name: str
    safety: Safety
    says: str
    changed: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    reasons: tuple[LeftOut, ...] = ()

    @property
    def count(self) -> int:
        """Rows changed or left out."""
        return len(self.changed) + len(self.left_out)

    def __str__(self) -> str:
        done = [
            f"{counted(len(rows), 'row')} {what}"
            for rows, what in ((self.changed, "changed"), (self.left_out, "left out"))
            if rows
        ]
        return f"{self.name} ({self.safety}): {', '.join(done) or 'nothing to do'}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON. Secrets and personal data are masked, in row ids too."""
        body = {
            "name": self.name,
            "safety": self.safety,
            "says": self.says,
            "changed": list(self.changed),
            "left_out": list(self.left_out),
            "changes": [
                {"row": item.row, "field": item.field, "before": item.before, "after": item.after}
                for item in self.changes
            ],
            "reasons": [{"row": item.row, "why": item.why} for item in self.reasons],
        }
        return veiled_json(body)


@dataclass(frozen=True, slots=True, kw_only=True)
class FixReport:
    """What `Dataset.fix` did, or would do.

    Attributes:
        rows_before: How many rows there were.
        rows_after: How many are left.
        fixes: Each fix that ran, in order. A fix that nobody named is listed only where it changed something.

    Examples:
        >>> print(FixReport(rows_before=10, rows_after=9, fixes=(
        ...     AppliedFix(name="drop-duplicates", safety="lossy", says="Leaves out repeated rows.",
        ...                left_out=("a.csv:7",), reasons=(LeftOut(row="a.csv:7", why="repeats a.csv:2"),)),)))
        10 rows -> 9 rows
        drop-duplicates (lossy): 1 row left out
          a.csv:7: left out: repeats a.csv:2
    """

    rows_before: int
    rows_after: int
    fixes: tuple[AppliedFix, ...] = ()

    @property
    def changed_anything(self) -> bool:
        """Whether the data are different now."""
        return any(fix.count for fix in self.fixes)

    def __str__(self) -> str:
        if not self.changed_anything:
            return f"{counted(self.rows_before, 'row')}, none changed"
        return "\n".join(
            [f"{counted(self.rows_before, 'row')} -> {counted(self.rows_after, 'row')}", *self._lines()]
        )

    def _lines(self) -> Iterator[str]:
        for fix in self.fixes:
            yield str(fix)
            shown: list[Change | LeftOut] = [*fix.changes[:3], *fix.reasons[:3]]
            yield from (f"  {item}" for item in shown)
            if fix.count > len({item.row for item in shown}):
                yield "  ..."

    def diff(self) -> str:
        """The changes that the report holds as removed and added lines, fix by fix.

        Examples:
            >>> change = Change(row="a.csv:2", field="label", before="ham ", after="ham")
            >>> applied = AppliedFix(name="strip", safety="lossless", says="Strips.", changed=("a.csv:2",),
            ...                      changes=(change,))
            >>> print(FixReport(rows_before=1, rows_after=1, fixes=(applied,)).diff())
            @@ a.csv:2:label (strip)
            -'ham '
            +'ham'
        """
        return "\n".join(veiled(line) for fix in self.fixes for line in _diff(fix))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, for logs and for `--json`."""
        return {
            "rows_before": self.rows_before,
            "rows_after": self.rows_after,
            "fixes": [fix.to_dict() for fix in self.fixes],
        }

    def to_json(self) -> str:
        """The same as JSON text; equal reports give equal text."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2)


def _diff(fix: AppliedFix) -> Iterator[str]:
    for change in fix.changes:
        where = f"{change.row}:{change.field}" if change.field else change.row
        yield from (f"@@ {where} ({fix.name})", f"-'{change.before}'", f"+'{change.after}'")
    for row in fix.reasons:
        yield from (f"@@ {row.row} ({fix.name})", f"-left out: {row.why or fix.says}")


class FixLog:
    """Collects what one fix does while the rows pass by."""

    def __init__(self, fix: Fix, max_changes: int | None) -> None:
        self._fix = fix
        self._max = max_changes
        self._changed = RowIds()
        self._left_out = RowIds()
        self._changes: list[Change] = []
        self._reasons: list[LeftOut] = []

    def leave_out(self, row: Example) -> None:
        """Note that the fix gave nothing back for this row."""
        self._left_out.append(row.id)
        if self._max is None or len(self._reasons) < self._max:
            self._reasons.append(LeftOut(row=row.id, why=self._fix.reason(row)))

    def change(self, before: Example, after: Example) -> None:
        """Note what is different, if anything is."""
        found = list(differences(before, after))
        if not found:
            return
        self._changed.append(before.id)
        room = None if self._max is None else self._max - len(self._changes)
        for field, old, new in found[:room]:
            removed, added = _around(_text(old), _text(new))
            if self._fix.hides:
                removed = "(not shown)"
            self._changes.append(Change(row=before.id, field=field, before=removed, after=added))

    def applied(self) -> AppliedFix:
        """What has been noted so far."""
        return AppliedFix(
            name=self._fix.name,
            safety=self._fix.safety,
            says=self._fix.says,
            changed=tuple(self._changed),
            left_out=tuple(self._left_out),
            changes=tuple(self._changes),
            reasons=tuple(self._reasons),
        )


def differences(before: Example, after: Example) -> Iterator[tuple[str, Any, Any]]:
    """Path, old value and new value of every field in which two examples differ, meta columns included.

    Examples:
        >>> from tunekit.examples import CompletionExample
        >>> list(differences(CompletionExample(prompt="a", completion="b "),
        ...                  CompletionExample(prompt="a", completion="b")))
        [('completion', 'b ', 'b')]
    """
    if type(before) is not type(after):
        yield "", before.kind, after.kind
        return
    for name in before.__struct_fields__:
        yield from _compared(name, getattr(before, name), getattr(after, name))


def _compared(path: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    if before is after or (type(before) is type(after) and before == after):
        return
    if isinstance(before, msgspec.Struct) and type(before) is type(after):
        for name in before.__struct_fields__:
            yield from _compared(f"{path}.{name}", getattr(before, name), getattr(after, name))
    elif isinstance(before, tuple) and isinstance(after, tuple) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _compared(f"{path}[{index}]", old, new)
    elif isinstance(before, Mapping) and isinstance(after, Mapping) and before.keys() == after.keys():
        for key, old in before.items():
            yield from _compared(f"{path}.{key}", old, after[key])
    else:
        yield path, before, after


def _around(before: str, after: str) -> tuple[str, str]:
    """Both texts around the place where they differ."""
    start = len(common_prefix(before, after))
    tail = len(common_suffix(before[start:], after[start:]))
    return evidence(before, start, len(before) - tail), evidence(after, start, len(after) - tail)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Message):
        return message_to_dict(value)
    return msgspec.structs.asdict(value) if isinstance(value, msgspec.Struct) else str(value)
