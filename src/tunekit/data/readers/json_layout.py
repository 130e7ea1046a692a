"""Where the rows lie in a JSON document that is an object: which of its keys hold them. Knows names and kinds.

People write tables as JSON in half a dozen ways; this tells them apart by the first look at each key, and the reader
says what it decided. `part=` overrides it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from tunekit.data.findings import Finding
from tunekit.data.readers import json_value
from tunekit.data.readers.json_scanner import Scanner
from tunekit.data.wording import brief, listed
from tunekit.errors import DataError

Kind: TypeAlias = Literal["array", "object", "scalar"]
Layout: TypeAlias = Literal["wrapper", "splits", "columns", "indexed columns", "grid", "by key", "record"]

_SHOWN = 8
MAX_MEMBERS = 1000
"""Keys that are looked at closely; an object with more is a record, or rows by their key."""

# Keys under which an array of objects is a part of one record, and not rows.
_RECORD_LISTS = frozenset(
    {
        "messages",
        "conversations",
        "conversation",
        "contents",
        "segments",
        "tools",
        "functions",
        "turns",
        "history",
    }
)
_RECORD_TEXTS = frozenset({"prompt", "question", "instruction", "text", "input", "system"})
_SPLIT = re.compile(
    r"(?:^|[^a-z])(?:train|training|test|testing|val|valid|validation|dev|eval|evaluation|heldout|holdout)(?:[^a-z]|$)"
)


@dataclass(frozen=True, slots=True)
class Member:
    """A key of an object and what its value looks like.

    Attributes:
        name: The key.
        kind: Of the value.
        offset: Bytes of the document before the value.
        line: Of the value, from 1.
        count: Items of an array, keys of an object.
        key: The first key of an object.
        first: The first item of an array, the first value of an object, or a scalar itself; None where there is none.
    """

    name: str
    kind: Kind
    offset: int
    line: int
    count: int = 0
    key: str = ""
    first: Any = None

    @property
    def is_split(self) -> bool:
        """Whether it is called like a part of a data set: "train", "oos_val", "test-2"."""
        return bool(_SPLIT.search(self.name.lower()))

    @property
    def holds_rows(self) -> bool:
        """Whether its items are objects or lists of cells."""
        cells = isinstance(self.first, list) and not any(
            isinstance(cell, (dict, list)) for cell in self.first
        )
        return self.kind == "array" and (isinstance(self.first, dict) or cells)

    @property
    def is_record_list(self) -> bool:
        """Whether it is a list inside one record: turns of a chat, tools."""
        if self.kind != "array" or not isinstance(self.first, dict):
            return False
        return self.name in _RECORD_LISTS or not self.first.keys().isdisjoint(("role", "from"))


@dataclass(slots=True)
class Outline:
    """The keys of an object, in order.

    Attributes:
        members: The first thousand.
        more: Whether there are others.
    """

    members: dict[str, Member] = field(default_factory=dict)
    more: bool = False

    def of(self, *kinds: Kind) -> list[Member]:
        """The members of these kinds."""
        return [member for member in self.members.values() if member.kind in kinds]


def outline(scanner: Scanner) -> Outline:
    """Go through the first thousand keys of the object that comes next and note what is in them.

    Raises:
        DataError: It is not an object of JSON, or a key occurs twice.
    """
    found = Outline()
    for name in scanner.each_key():
        if name in found.members:
            raise DataError(
                f"the key {listed([name])} occurs twice in one object",
                line=scanner.line,
                hint="keep one of them, or rename one",
            )
        if len(found.members) == MAX_MEMBERS:
            found.more = True
            break
        found.members[name] = _member(name, scanner)
    return found


def _member(name: str, scanner: Scanner) -> Member:
    begin = scanner.peek()
    offset, line = scanner.offset, scanner.line
    count, key, first = 0, "", None
    if begin == b"[":
        for _ in scanner.each_item():
            if count:
                scanner.skip()
            else:
                first = _glimpse(scanner.value())
            count += 1
        return Member(name, "array", offset, line, count, key, first)
    if begin == b"{":
        for each in scanner.each_key():
            if count:
                scanner.skip()
            else:
                key, first = each, _glimpse(scanner.value())
            count += 1
        return Member(name, "object", offset, line, count, key, first)
    return Member(name, "scalar", offset, line, first=_glimpse(scanner.value()))


def _glimpse(raw: bytes) -> Any:
    """The value, for a look at it; None for what its own turn will show to be no JSON."""
    try:
        return json_value.value(raw)
    except DataError:
        return None


def layout(found: Outline) -> Layout:
    """How the rows lie in an object.

    Raises:
        DataError: It has lists of different lengths that are neither columns nor rows.
    """
    arrays, objects = found.of("array"), found.of("object")
    if found.members.keys() >= {"columns", "data"} and found.members.keys() <= {"columns", "index", "data"}:
        return "grid"  # pandas: to_json(orient="split")
    if any(member.is_record_list for member in arrays) or _has_text(found.members):
        return "record"
    parts = [*arrays, *objects]
    if parts and not found.more and all(member.is_split for member in parts):
        return "splits"
    if len(arrays) == 1 and (arrays[0].holds_rows or not arrays[0].count):
        return "wrapper"
    if arrays and len({member.count for member in arrays}) == 1:
        return "splits" if all(isinstance(member.first, dict) for member in arrays) else "columns"
    if arrays:
        return _of_unequal(arrays)
    return _of_objects(found, objects)


def _has_text(members: Mapping[str, Member]) -> bool:
    """Whether a text stands under a name that rows have, beside whatever lists there are."""
    return any(
        name in members and members[name].kind == "scalar" and isinstance(members[name].first, str)
        for name in _RECORD_TEXTS
    )


def _of_unequal(arrays: list[Member]) -> Layout:
    if all(member.holds_rows or not member.count for member in arrays):
        return "splits"
    lengths = ", ".join(f"{listed([member.name])} {member.count:,}" for member in arrays[:5])
    raise DataError(
        f"an object with lists of different lengths: {lengths}",
        line=arrays[0].line,
        hint=f"columns need the same length; to read one list as rows pass part={arrays[0].name!r}",
    )


def _of_objects(found: Outline, objects: list[Member]) -> Layout:
    if len(objects) < 2 or len(objects) < len(found.members):
        return "record"
    keys, counts = {member.key for member in objects}, {member.count for member in objects}
    if len(keys) == 1 and len(counts) == 1 and objects[0].key.isdecimal() and not found.more:
        return "indexed columns"  # pandas: to_json() as it is
    return "by key" if len(keys) == 1 and len(objects) > 2 else "record"


def members_read(found: Outline, how: Layout) -> list[Member]:
    """The members that hold the rows."""
    match how:
        case "splits":
            return found.of("array", "object")
        case "columns" | "wrapper":
            return found.of("array")
        case "indexed columns":
            return found.of("object")
        case "grid":
            return [found.members["columns"], found.members["data"]]
        case "record" | "by key":
            return list(found.members.values())


def findings(found: Outline, how: Layout, read: list[Member]) -> list[Finding]:
    """What a person should know about the choice: several parts read as one, keys that were not read."""
    said: list[Finding] = []
    if how == "splits" and len(read) > 1:
        counts = {member.name: member.count for member in read}
        named = ", ".join(f"{brief(name)} {count:,}" for name, count in list(counts.items())[:_SHOWN])
        message = f'{len(read)} parts are read as one data set: {named}; each row has its own under "split"'
        said.append(Finding(code="several-parts", severity="info", message=message, facts={"parts": counts}))
    rest = [name for name in found.members if name not in {member.name for member in read}]
    if rest:
        message = f"keys of the document that hold no rows were not read: {listed(rest)}"
        said.append(Finding(code="keys-not-read", severity="info", message=message, facts={"keys": rest}))
    return said
