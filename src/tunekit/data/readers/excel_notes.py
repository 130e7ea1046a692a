"""What a person should know about a sheet beside its rows: other sheets, titles, errors, merged cells, cut numbers.

Knows where a workbook says which file holds which sheet; reads no rows.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from tunekit.data.findings import Finding, Rows
from tunekit.data.readers import cell_text, zip_limits
from tunekit.data.readers.base import Notes
from tunekit.data.readers.column_names import ColumnNames
from tunekit.data.readers.sheet_scan import Spot, column_number
from tunekit.data.readers.workbook_limits import Scan
from tunekit.data.wording import brief, listed

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

Parts: TypeAlias = Mapping[str, Scan]
"""What was seen of each sheet that has cells, by its name; empty where a workbook does not tell (ods)."""

_MAX_BYTES = 1 << 20
_SHEET = re.compile(r"<(?:\w+:)?sheet\s([^>]*)>")
_RELATION = re.compile(r"<(?:\w+:)?Relationship\s([^>]*)>")
_ATTRIBUTE = re.compile(r"""([\w:]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")


def parts(file: BinaryIO, scans: Mapping[str, Scan]) -> Parts:
    """What was seen in each sheet, by its name."""
    targets = {
        each.get("Id"): each.get("Target", "")
        for each in _tags(file, "xl/_rels/workbook.xml.rels", _RELATION)
    }
    found = {}
    for sheet in _tags(file, "xl/workbook.xml", _SHEET):
        target = targets.get(sheet.get("r:id"), "").removeprefix("/").removeprefix("xl/")
        if f"xl/{target}" in scans:
            found[sheet.get("name", "")] = scans[f"xl/{target}"]
    return found


def _tags(file: BinaryIO, name: str, tag: re.Pattern[str]) -> Iterable[Mapping[str, str]]:
    for member in zip_limits.members(file):
        if member.name == name and member.unpacked <= _MAX_BYTES:
            xml = b"".join(zip_limits.chunks(file, member)).decode("utf-8", "replace")
            for attributes in tag.findall(xml):
                yield {key: html.unescape(a or b) for key, a, b in _ATTRIBUTE.findall(attributes)}


def other_sheets(read: str, known: Sequence[str], hidden: set[str], parts: Parts) -> list[Finding]:
    """That sheets with data were not read."""
    others = [name for name in known if name != read and (name in parts or not parts)]
    if not others:
        return []
    told = ", ".join(brief(name) + (" (hidden)" if name in hidden else "") for name in others[:20])
    return [
        Finding(
            code="other-sheets",
            severity="info",
            message=f"the sheet {brief(read)} was read; not read: {told}. Pass sheet= for another",
            facts={"read": read, "others": others},
        )
    ]


@dataclass(slots=True)
class Seen:
    """What shows while the rows of a sheet pass by.

    Attributes:
        sheet: The sheet.
        columns: Their names.
        header_row: Number of the row that names them; None where none does.
        notes: Where findings go.
    """

    sheet: CalamineSheet
    columns: ColumnNames
    header_row: int | None
    notes: Notes
    _keys: list[str]
    _long: Rows

    def __init__(
        self, sheet: CalamineSheet, columns: ColumnNames, header_row: int | None, notes: Notes
    ) -> None:
        self.sheet, self.columns, self.header_row, self.notes = sheet, columns, header_row, notes
        self._keys = columns.keys
        self._long = Rows()

    def note_header(self, above: Sequence[tuple[int, Sequence[Any]]], why: str) -> None:
        """Say where the header is, and what stands above it (`above` ends with the header), or why there is none."""
        self.notes.facts["header_row"] = self.header_row
        if why:
            message = f"no header: {why}; the columns are called {listed(self._keys[:3])}"
            message += ", ...; pass header=1 if the first row does name them"
            self.notes.findings.append(Finding(code="no-header", severity="info", message=message))
        elif len(above) > 1:
            first = next(cell for cell in above[0][1] if cell != "")
            message = (
                f"the header is on row {self.header_row}; what stands above it was not read: {brief(first)}"
            )
            facts = {"row": self.header_row, "above": [number for number, _ in above[:-1]]}
            self.notes.findings.append(
                Finding(code="header-on-row", severity="info", message=message, facts=facts)
            )

    def look(self, block: Sequence[tuple[int, Sequence[Any]]]) -> None:
        """Look for numbers that are too long in rows before they become texts."""
        for index, column in enumerate(zip(*(row for _, row in block), strict=True)):
            if float in set(map(type, column)) and any(map(cell_text.is_long, column)):
                for (number, _), cell in zip(block, column, strict=True):
                    if cell_text.is_long(cell):
                        self._long.add(self.notes.row(number), self._keys[index], cell_text.text(cell))

    def finish(self, parts: Parts) -> None:
        """Put together what was seen, once the last row has been read."""
        scan = parts.get(self.sheet.name)
        if scan:
            self._note_spots(scan.errors, "error-cells", "hold an error and were read as blank")
            self._note_spots(
                scan.not_computed,
                "formulas-without-values",
                "hold a formula whose value was never computed, and were read as blank; open the file in a"
                " spreadsheet program and save it",
            )
        self._note_merged()
        if len(self._long):
            self._note(
                "long-integers",
                self._long,
                "hold a whole number of 16 digits or more, of which a sheet keeps 15; format such a column as text"
                " where it comes from",
            )

    def _note_spots(self, spots: Sequence[Spot], code: str, what: str) -> None:
        found = Rows()
        for row, letters, text in spots:
            if row > (self.header_row or 0):
                found.add(self.notes.row(row), self._key(column_number(letters.encode()) - 1), text[:40])
        if len(found):
            self._note(code, found, what)

    def _note_merged(self) -> None:
        found = Rows()
        begin, last = self.header_row or 0, self.sheet.end[0] if self.sheet.end else 0
        for (top, left), (bottom, _) in sorted(self.sheet.merged_cell_ranges or ()):
            for row in range(max(top, begin), min(bottom, last) + 1):
                found.add(self.notes.row(row + 1), self._key(left))
        if len(found):
            self._note("merged-cells", found, "are merged; only the first cell of each has the value")

    def _note(self, code: str, found: Rows, what: str) -> None:
        message = f"cells in {len(found):,} row{'' if len(found) == 1 else 's'} {what}"
        self.notes.findings.append(
            Finding(
                code=code,
                severity="warning",
                message=message,
                rows=tuple(found.ids),
                places=tuple(found.places),
                facts={"rows": len(found)},
            )
        )

    def _key(self, column: int) -> str:
        """Name of a column by its position in the sheet, from 0."""
        index = column - (self.sheet.start[1] if self.sheet.start else 0)
        return self._keys[index] if 0 <= index < len(self._keys) else ""
