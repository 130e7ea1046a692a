"""What a workbook would make calamine hold in memory, found out before it does. Knows limits; not what cells mean.

Every member of the archive is looked at, whatever its name: which of them calamine reads is said by other members.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import BinaryIO, TypeAlias

from tunekit.data.readers import zip_limits
from tunekit.data.readers.ods_scan import OdsScan
from tunekit.data.readers.shared_texts import SharedTexts
from tunekit.data.readers.sheet_scan import SheetScan
from tunekit.data.readers.zip_limits import Member
from tunekit.data.wording import brief
from tunekit.errors import DataError

MAX_FILE_BYTES = 256 << 20
"""calamine holds the whole file. A sheet of numbers down to Excel's last row with ten columns packs into 60 MB."""

CELL_BYTES = 32
"""Of a cell in calamine's rectangle, blank or not (calamine 0.37, measured)."""

FREE_RECTANGLE_BYTES = 64 << 20
RECTANGLE_PER_BYTE = 16
"""Most that the rectangle may take, and for each byte of XML besides. A filled cell has at least 20 bytes of XML: a
sheet of which a tenth is filled passes, and one stray cell in the last row of two columns."""

FREE_TEXT_BYTES = 256 << 20
TEXT_PER_BYTE = 64
"""Most that the copies of long texts may take, and for each byte of XML besides. A hundred thousand rows that repeat
a system prompt of 6,000 characters pass."""

Scan: TypeAlias = SheetScan | OdsScan

# After an optional mark: declarations, comments and blanks, and then the first element; so, no document type.
_PROLOG = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s++|<\?[^>]*+>|<!--(?:[^-]|-(?!->))*+-->)*+<[A-Za-z_]")
_XML_NAME = re.compile(r"\.(?:xml|rels|vml)$", re.IGNORECASE)
_BUILT = "the file is damaged, or built to exhaust memory; save the data again"


def check(file: BinaryIO) -> Mapping[str, Scan]:
    """Look through a workbook (xlsx, xlsm, ods) of a stranger: what was seen of cells, by the name of the member.

    Takes a third of the time in which calamine reads the same file, and 10 MB.

    Raises:
        DataError: It is damaged, declares a document type, or would take far more memory than it has data.
    """
    members = zip_limits.members(file)
    is_ods = _is_ods({member.name.lower().replace("\\", "/") for member in members})
    texts = SharedTexts()
    sheets: dict[Member, Scan] = {}
    for member in members:
        pieces = zip_limits.chunks(file, member)
        scan: Scan | SharedTexts | None = None
        if first := _first_of_xml(pieces, member):
            pieces = chain((first,), pieces)
            if member.name.lower().endswith("sharedstrings.xml"):
                scan = texts
            elif not is_ods:
                scan = sheets[member] = SheetScan()
            elif member.name == "content.xml":
                scan = sheets[member] = OdsScan()
        for piece in pieces:
            if scan:
                scan.see(piece)
        if scan:
            scan.end()
    for member, sheet in sheets.items():
        _check_rectangle(member, sheet)
        _check_texts(file, member, sheet, texts)
    return {member.name: sheet for member, sheet in sheets.items() if sheet.rows}


def _is_ods(names: set[str]) -> bool:
    """Whether this is an OpenDocument spreadsheet, and not one of Excel's.

    One of them only: calamine tries the formats in turn, and might read what was looked at as the other.
    """
    if any(name.endswith("workbook.bin") for name in names):
        raise DataError("this is a binary Excel workbook (.xlsb)", hint="save it as .xlsx")
    is_ods, is_excel = "content.xml" in names, "xl/workbook.xml" in names
    if is_ods == is_excel:
        what = "two kinds of workbook" if is_ods else "no workbook"
        raise DataError(f"this zip archive holds {what}", hint="pass a workbook, or unpack the archive first")
    return is_ods


def _first_of_xml(pieces: Iterator[bytes], member: Member) -> bytes:
    """The first piece of a member that is XML; b"" for another, read to its end."""
    first = next(pieces, b"")
    if not first or (first.lstrip()[:1] != b"<" and not _XML_NAME.search(member.name)):
        for _ in pieces:
            pass  # unpacked all the same: its real size counts
        return b""
    if not _PROLOG.match(first):
        what = "declares a document type" if b"<!DOCTYPE" in first else "is not XML in UTF-8"
        raise DataError(
            f"the member {brief(member.name)} {what}",
            hint="spreadsheet programs write no such file; save the data again with one",
        )
    return first


def _check_rectangle(member: Member, sheet: Scan) -> None:
    takes = sheet.rows * sheet.columns * CELL_BYTES
    if takes > FREE_RECTANGLE_BYTES + RECTANGLE_PER_BYTE * sheet.bytes:
        raise DataError(
            f"the cells of {brief(member.name)} are scattered over {sheet.rows:,} rows and {sheet.columns:,} columns,"
            f" which would take {takes >> 20:,} MB; there are only {sheet.bytes:,} bytes of them",
            hint="delete the stray cells far below or right of the data, or save the sheet as CSV",
        )


def _check_texts(file: BinaryIO, member: Member, sheet: Scan, texts: SharedTexts) -> None:
    most = FREE_TEXT_BYTES + TEXT_PER_BYTE * (sheet.bytes + texts.bytes)
    if isinstance(sheet, OdsScan):
        takes = sheet.copied
    elif texts.most_copied(sheet.bytes) <= most:
        return
    else:
        takes = texts.copied(zip_limits.chunks(file, member))
    if takes > most:
        raise DataError(
            f"the cells of {brief(member.name)} repeat long texts up to {takes >> 20:,} MB", hint=_BUILT
        )
