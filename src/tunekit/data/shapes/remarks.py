"""What there is to say about rows as they are read, counted over all of them. Knows the findings; reads no row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, TypeAlias

from tunekit.data.findings import Finding, Severity
from tunekit.data.readers.counted import Counted
from tunekit.data.wording import counted

Code: TypeAlias = Literal["other-spellings", "keys-left-out", "unaccepted-annotations", "cut-off-answers"]

_SAYS: Mapping[Code, tuple[Severity, str]] = {
    "other-spellings": ("info", "{rows} in other spellings, read as what they mean"),
    "keys-left-out": ("info", "keys with nothing to learn were left out of {rows}"),
    "unaccepted-annotations": ("warning", "what nobody accepted was not loaded, in {rows}"),
    "cut-off-answers": (
        "warning",
        "answers that did not end by themselves are learned as they are, in {rows}",
    ),
}
_MOST_KINDS = 20
"""Different things that one finding names; rows of others are counted and listed."""


class Remark(NamedTuple):
    """One thing to say about one row.

    Attributes:
        code: Of the finding that says it.
        what: The same words for all rows with the same, such as "the role 'human' as 'user'".
        field: Where it stands.
    """

    code: Code
    what: str
    field: str = ""


class Remarks:
    """Collects remarks while the rows pass by: one finding for each code, at constant memory.

    Examples:
        >>> remarks = Remarks()
        >>> remarks.add("a.jsonl:2", [Remark("keys-left-out", "'id'", "messages[0].id")])
        >>> print(*remarks.findings())
        info: keys-left-out: keys with nothing to learn were left out of 1 row: 'id' (1 row) (a.jsonl:2:messages[0].id)
    """

    __slots__ = ("_found", "_whats")

    def __init__(self) -> None:
        self._found: dict[Code, Counted] = {}
        self._whats: dict[Code, dict[str, int]] = {}

    def add(self, row: str, remarks: Iterable[Remark]) -> None:
        """Note what there is to say about one row; rows come in data order."""
        for code, what in dict.fromkeys((each.code, each.what) for each in remarks):
            whats = self._whats.setdefault(code, {})
            if what in whats or len(whats) < _MOST_KINDS:
                whats[what] = whats.get(what, 0) + 1
        for each in remarks:
            self._found.setdefault(each.code, Counted()).add(row, each.field)

    def findings(self) -> list[Finding]:
        """What was said, in the order of the codes."""
        return [self._finding(code) for code in _SAYS if code in self._found]

    def _finding(self, code: Code) -> Finding:
        severity, says = _SAYS[code]
        whats = self._whats[code]
        named = ", ".join(f"{what} ({counted(count, 'row')})" for what, count in whats.items())
        return self._found[code].finding(code, severity, f"{says}: {named}", kinds=dict(whats))
