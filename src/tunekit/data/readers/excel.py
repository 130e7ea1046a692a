"""Workbooks of Excel (xlsx, xlsm) and OpenDocument (ods): which kind, which sheet. Knows no cells and no record shape.

Sheets stream: memory holds a piece of one and, for Excel's, the table of shared texts. There is no limit but that of
the archive (`zip_limits`). Old binary workbooks (xls, xlsb) are not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import IO, BinaryIO, Protocol

from tunekit.data.findings import Finding
from tunekit.data.readers import sheet_rows, zip_limits
from tunekit.data.readers.base import Notes, ReadOptions, Row
from tunekit.data.readers.ods import OdsWorkbook
from tunekit.data.readers.rewindable import rewindable
from tunekit.data.readers.sheet_rows import SheetPart
from tunekit.data.readers.xlsx_sheet import XlsxWorkbook
from tunekit.data.wording import brief, listed, nearest
from tunekit.errors import DataError

_COMPOUND = b"\xd0\xcf\x11\xe0"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_DIRECTORY_BYTES = 1 << 20
_MOST_LOOKED_AT = 100  # sheets, to say which were not read


class Workbook(Protocol):
    """What sheets there are."""

    @property
    def sheets(self) -> Sequence[SheetPart]:
        """The sheets, in order."""

    def sheet(self, part: SheetPart) -> sheet_rows.Sheet:
        """One of them, from its beginning."""


def rows(file: BinaryIO, options: ReadOptions, notes: Notes) -> Iterator[Row]:
    """Rows of one sheet as texts by column name, numbered as in the sheet. Blank rows are passed by.

    Raises:
        DataError: It is no such workbook, is protected or damaged, or the sheet, its header or a wanted column is not
            there.
    """
    with rewindable(file) as (content, _):
        workbook = _opened(content)
        part = _chosen(workbook, options.sheet)
        notes.facts["sheet"] = part.name
        notes.findings += _others(workbook, part)
        yield from sheet_rows.rows(workbook.sheet(part), part.name, options, notes)


def _opened(content: IO[bytes]) -> Workbook:
    content.seek(0)
    if content.read(len(_COMPOUND)) == _COMPOUND:
        if _ENCRYPTED in content.read(_DIRECTORY_BYTES):
            raise DataError("the workbook is protected by a password", hint="save it without one")
        raise DataError("this is an old Excel workbook (.xls)", hint="save it as .xlsx or as CSV (UTF-8)")
    members = zip_limits.members(content)
    is_ods = any(member.name == "content.xml" for member in members)
    return OdsWorkbook(content, members) if is_ods else XlsxWorkbook(content, members)


def _chosen(workbook: Workbook, wanted: str | int | None) -> SheetPart:
    sheets = workbook.sheets
    if not sheets:
        raise DataError("the workbook has no sheet", hint="look at what wrote it")
    names = [sheet.name for sheet in sheets]
    if wanted is None:
        filled = [sheet for sheet in sheets if not sheet.hidden and sheet.filled is not False]
        for rows in (2, 1):  # a table has a header and a row; a note on a sheet before it has one
            found = next((sheet for sheet in filled if _has_rows(workbook, sheet, rows)), None)
            if found is not None:
                return found
        raise DataError(
            f"no visible sheet has data; the sheets are {listed(names)}",
            hint="look at what wrote it; for a hidden sheet pass sheet= with its name",
        )
    if wanted in names:
        return sheets[names.index(str(wanted))]
    if isinstance(wanted, int) and 1 <= wanted <= len(sheets):
        return sheets[wanted - 1]
    raise DataError(
        f"no sheet {brief(wanted)}; the sheets are {listed(names)}",
        hint=nearest(str(wanted), names) or f"pass a name, or a position from 1 to {len(sheets)}",
    )


def _has_rows(workbook: Workbook, part: SheetPart, least: int = 1) -> bool:
    """Whether so many rows stand in a sheet; one that cannot be read does not get lost by that."""
    try:
        return len(list(islice(workbook.sheet(part).rows(), least))) == least
    except DataError:
        return True


def _others(workbook: Workbook, read: SheetPart) -> list[Finding]:
    """That other sheets with something in them were not read."""
    others = [
        sheet
        for sheet in workbook.sheets[:_MOST_LOOKED_AT]
        if sheet != read and (_has_rows(workbook, sheet) if sheet.filled is None else sheet.filled)
    ]
    if not others:
        return []
    told = ", ".join(brief(sheet.name) + (" (hidden)" if sheet.hidden else "") for sheet in others[:20])
    return [
        Finding(
            code="other-sheets",
            severity="info",
            message=f"the sheet {brief(read.name)} was read; not read: {told}. Pass sheet= for another",
            facts={"read": read.name, "others": [sheet.name for sheet in others]},
        )
    ]
