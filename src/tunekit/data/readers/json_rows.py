"""The rows of a JSON document, by the way in which it holds them. Knows layouts; not what a row means."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from tunekit.data.readers import json_layout, json_value
from tunekit.data.readers.base import Notes, ReadOptions, Row
from tunekit.data.readers.encoding import Decoder
from tunekit.data.readers.json_cells import by_name, in_part
from tunekit.data.readers.json_layout import Layout, Member, Outline
from tunekit.data.readers.json_scanner import Scanner
from tunekit.data.wording import brief, listed, nearest, shown
from tunekit.errors import DataError

At: TypeAlias = Callable[[int, int], Scanner]
"""Gives a scanner at a place of the document: bytes before it, and its line."""


class JsonRows:
    """One pass over a document: how many rows there were, and in which part one is.

    Args:
        decoder: Of text that is not plain ASCII.
        options: What the caller said.
        notes: Where what was decided goes.
    """

    def __init__(self, decoder: Decoder, options: ReadOptions, notes: Notes) -> None:
        self._decoder = decoder
        self._options = options
        self._notes = notes
        self._number = 0
        self._part = ""
        self._odd = 0

    def array(self, scanner: Scanner) -> Iterator[Row]:
        """Rows of a document that is one array."""
        if self._options.part is not None:
            raise DataError(
                f"there is no part {brief(self._options.part)}: the document is one list",
                hint="leave part out",
            )
        self._notes.facts["layout"] = "array"
        yield from by_name(self._items(scanner), self._options)
        _refuse_more(scanner)

    def object(self, at: At) -> Iterator[Row]:
        """Rows of a document that is one object."""
        scanner = at(0, 1)
        found = json_layout.outline(scanner)
        if not found.more:
            _refuse_more(scanner)
        if self._options.part is not None:
            yield from self._one_part(found, self._options.part, at)
            return
        how = json_layout.layout(found)
        read = json_layout.members_read(found, how)
        self._notes.facts["layout"] = how
        if how not in ("record", "by key"):
            self._notes.facts["keys"] = [member.name for member in read]
        self._notes.findings += json_layout.findings(found, how, read)
        whole = at(0, 1)
        yield from self._laid_out(found, how, at, whole)
        if found.more and how in ("record", "by key"):  # nobody has looked at its end
            _refuse_more(whole)

    # --- layouts of an object -----------------------------------------------------------------------------

    def _laid_out(self, found: Outline, how: Layout, at: At, whole: Scanner) -> Iterator[Row]:
        members = json_layout.members_read(found, how)
        match how:
            case "record":
                yield from self._record(whole)
            case "by key":
                yield from self._by_key(whole)
            case "grid":
                yield from self._grid(found, at)
            case "columns" | "indexed columns":
                yield from self._columns(members, at)
            case "wrapper":
                yield from self._member(members[0], at)
            case "splits":
                for member in members:
                    self._part = member.name
                    yield from self._member(member, at)

    def _one_part(self, found: Outline, wanted: str, at: At) -> Iterator[Row]:
        if wanted not in found.members:
            raise DataError(
                f"there is no part {brief(wanted)}; the parts are {listed(found.members)}",
                hint=nearest(wanted, found.members) or "pass one of them, or leave part out to read all",
            )
        for member in found.members.values():
            if member.name == wanted:
                break
            # Ids stay those that the rows have when all parts are read.
            self._number += member.count if member.kind == "array" else 0
        self._part = wanted
        self._notes.facts.update(layout="part", keys=[wanted])
        yield from self._member(found.members[wanted], at)

    def _member(self, member: Member, at: At) -> Iterator[Row]:
        scanner = at(member.offset, member.line)
        if member.kind == "array":
            rows = by_name(self._items(scanner), self._options)
        elif member.kind == "object":
            inner = json_layout.outline(scanner)
            how = json_layout.layout(inner)
            # Parts in parts: one level is what people write, and each level costs a pass.
            how = "record" if how == "splits" else how
            rows = self._laid_out(inner, how, at, at(member.offset, member.line))
        else:
            raise DataError(
                f"the part {brief(member.name)} is {shown(member.first)}, not rows",
                line=member.line,
                hint="pass the key of a list",
            )
        for number, row in rows:
            yield number, in_part(row, self._part)

    def _record(self, scanner: Scanner) -> Iterator[Row]:
        self._number += 1
        yield self._number, self._value(scanner)

    def _by_key(self, scanner: Scanner) -> Iterator[Row]:
        for key in scanner.each_key():
            self._number += 1
            row = self._value(scanner)
            yield self._number, {"key": key} | row if isinstance(row, dict) else row

    def _grid(self, found: Outline, at: At) -> Iterator[Row]:
        columns, data = found.members["columns"], found.members["data"]
        names = json_value.value(at(columns.offset, columns.line).value())
        if not isinstance(names, list) or data.kind != "array":
            raise DataError(
                "'columns' and 'data' are not both lists",
                line=columns.line,
                hint='a table is {"columns": ["prompt", "completion"], "data": [["...", "..."]]}',
            )
        items = self._items(at(data.offset, data.line))
        yield from by_name(items, self._options, [str(name) for name in names])

    def _columns(self, members: list[Member], at: At) -> Iterator[Row]:
        """One scanner for each column, all of them in step."""
        scanners = [at(member.offset, member.line) for member in members]
        steps = [
            scanner.each_key() if member.kind == "object" else scanner.each_item()
            for scanner, member in zip(scanners, members, strict=True)
        ]
        for keys in zip(*steps, strict=True):
            self._number += 1
            if len(set(keys)) > 1:
                raise DataError(
                    f"{self._where()}: the columns name different rows, {listed(map(str, keys))}",
                    line=scanners[0].line,
                    hint="write the table again with one object for each row",
                )
            cells = [self._value(scanner) for scanner in scanners]
            wrong = next((cell for cell in cells if isinstance(cell, DataError)), None)
            names = (member.name for member in members)
            yield self._number, wrong or dict(zip(names, cells, strict=True))

    # --- items --------------------------------------------------------------------------------------------

    def _where(self, line: int | None = None) -> str:
        of = f" of {brief(self._part)}" if self._part else ""
        return f"item {self._number:,}{of}" + (f" on line {line:,}" if line else "")

    def _items(self, scanner: Scanner) -> Iterator[Row]:
        for _ in scanner.each_item():
            self._number += 1
            yield self._number, self._value(scanner)

    def _value(self, scanner: Scanner) -> Any:
        """The next value; the `DataError` that it is, where it is known where it ends."""
        try:
            raw = scanner.value()
        except DataError as error:
            error.message = f"{self._where()}: {error.message}"
            raise
        try:
            return json_value.value(raw) if raw.isascii() else self._decoded(raw)
        except DataError as error:
            # The line is looked for only here: counting line ends for every item would cost.
            line = scanner.line - raw.count(b"\n")
            broken = error.__context__
            found = DataError(f"{self._where(line)}: {error.message}", line=line, hint=error.hint)
            if not isinstance(broken, json.JSONDecodeError):
                return found
            # Quotes or brackets do not match, so nobody knows where this item ends and the next begins.
            found.line = line + broken.lineno - 1
            raise found from None

    def _decoded(self, raw: bytes) -> Any:
        text = self._decoder.line(raw, self._number)
        odd, problem = self._decoder.settle(self._number)
        if problem:
            raise problem
        found = json_value.value(text)
        if odd and self._odd != self._number:
            self._odd = self._number
            self._decoder.note(self._notes.row(self._number), "", text)
        return found


def _refuse_more(scanner: Scanner) -> None:
    found = scanner.peek()
    if found:
        lines = found in b"{["
        raise DataError(
            f"the document ends, and then goes on with {found.decode('utf-8', 'replace')!r}",
            line=scanner.line,
            hint='several documents one after another are JSON lines: pass format="jsonl"'
            if lines
            else "delete what follows, or look for a bracket too many before it",
        )
