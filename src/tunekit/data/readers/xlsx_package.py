"""The parts of an Excel workbook (xlsx, xlsm) beside its sheets: their list, shared texts, formats of numbers.

Knows where a package keeps what (ECMA-376 parts 1 and 2) and bounds each part; reads no cells.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import IO

from tunekit.data.readers import xml_text, zip_limits
from tunekit.data.readers.sheet_rows import SheetPart
from tunekit.data.readers.zip_limits import Member
from tunekit.data.wording import brief
from tunekit.errors import DataError

MAX_PART_BYTES = 16 << 20
"""Of the small parts, which are read whole: the list of sheets, the styles. Real ones have some kilobytes."""

MAX_SHARED_BYTES = 512 << 20
"""Of the table of shared texts, which is held in memory as long as a sheet is read."""

_SHEET = re.compile(r"<sheet\s([^<>]*+)")
_RELATION = re.compile(r"<Relationship\s([^<>]*+)")
_PROPERTIES = re.compile(r"<workbookPr\s([^<>]*+)")
_FORMAT = re.compile(r"<numFmt\s([^<>]*+)")
_ID = re.compile("[0-9]{1,9}")
_ITEM = re.compile(r"<si(?=[\s/>])")
_CELL_FORMAT = re.compile(r"<xf\s([^<>]*+)")


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """A format of numbers: its id, and its code where the workbook defines it."""

    id: int
    code: str


class Package:
    """An open workbook.

    Args:
        file: The archive, open for reading bytes at any place.
        members: What it declares to hold.

    Raises:
        DataError: It is no such workbook, or is damaged.
    """

    def __init__(self, file: IO[bytes], members: Sequence[Member]) -> None:
        self._file = file
        self._members = {_folded(member.name): member for member in members}
        if any(name.endswith("workbook.bin") for name in self._members):
            raise DataError("this is a binary Excel workbook (.xlsb)", hint="save it as .xlsx")
        self._path = self._target("_rels/.rels", "officeDocument") or "xl/workbook.xml"
        if _folded(self._path) not in self._members:
            raise DataError("this zip archive holds no workbook", hint="unpack it, and name one file in it")

    # --- parts --------------------------------------------------------------------------------------------

    def pieces(self, path: str) -> Iterator[str]:
        """The XML of a part; see `xml_text.pieces`.

        Raises:
            DataError: There is no such part, or it is not what it should be.
        """
        member = self._member(path)
        return xml_text.pieces(zip_limits.chunks(self._file, member), member.name, unprefixed=True)

    def _member(self, path: str) -> Member:
        try:
            return self._members[_folded(path)]
        except KeyError:
            raise DataError(
                f"the workbook has no part {brief(path)}, which it names",
                hint="open it with a spreadsheet program and save it again",
            ) from None

    def _whole(self, path: str) -> str:
        self._refuse_large(path, MAX_PART_BYTES)
        return "".join(self.pieces(path))

    def _refuse_large(self, path: str, most: int) -> None:
        member = self._member(path)
        if member.unpacked > most:
            raise DataError(
                f"the part {brief(path)} of the workbook has {member.unpacked:,} bytes, and {most:,} is the most",
                hint="save the data as CSV or Parquet, which are read row by row",
            )

    def _relations(self, path: str) -> Iterator[Mapping[str, str]]:
        """What the part at this path says that it refers to, as attributes."""
        if _folded(path) in self._members:
            yield from map(xml_text.attributes, _RELATION.findall(self._whole(path)))

    def _target(self, relations: str, kind: str) -> str | None:
        base = posixpath.dirname(posixpath.dirname(relations))
        for relation in self._relations(relations):
            if relation.get("Type", "").endswith(f"/{kind}"):
                return _joined(base, relation.get("Target", ""))
        return None

    @cached_property
    def _own_relations(self) -> str:
        folder, name = posixpath.split(self._path)
        return posixpath.join(folder, "_rels", f"{name}.rels")

    # --- what they say ------------------------------------------------------------------------------------

    @cached_property
    def _workbook(self) -> str:
        return self._whole(self._path)

    @property
    def since_1904(self) -> bool:
        """Whether its days are counted from 1904, as old Macintoshes did."""
        return any(
            xml_text.attributes(tag).get("date1904") in ("1", "true")
            for tag in _PROPERTIES.findall(self._workbook)
        )

    @cached_property
    def sheets(self) -> list[SheetPart]:
        """The sheets with cells, in order; no charts."""
        base = posixpath.dirname(self._path)
        related = {relation.get("Id"): relation for relation in self._relations(self._own_relations)}
        found = []
        for tag in _SHEET.findall(self._workbook):
            named = xml_text.attributes(tag)
            id = next((value for name, value in named.items() if name.endswith(":id")), None)
            relation = related.get(id, {})
            if relation.get("Type", "").endswith("/worksheet"):
                path = _joined(base, relation.get("Target", ""))
                hidden = named.get("state", "visible") != "visible"
                found.append(SheetPart(named.get("name", ""), path, hidden))
        return found

    @cached_property
    def texts(self) -> Sequence[str]:
        """The table of shared texts."""
        path = self._target(self._own_relations, "sharedStrings")
        if path is None:
            return ()
        self._refuse_large(path, MAX_SHARED_BYTES)
        texts: list[str] = []
        rest = ""
        for piece in self.pieces(path):
            rest += piece
            cut = max(rest.rfind("<si"), 0)
            texts += _items(rest[:cut])
            rest = rest[cut:]
            xml_text.refuse_long(len(rest), path)
        texts += _items(rest.partition("</sst>")[0])
        return texts

    @cached_property
    def formats(self) -> Sequence[NumberFormat]:
        """Formats of numbers, by the style that cells name."""
        path = self._target(self._own_relations, "styles")
        if path is None:
            return ()
        styles = self._whole(path)
        own = styles.partition("<numFmts")[2].partition("</numFmts>")[0]  # others are of conditional formats
        codes = {
            named.get("numFmtId", ""): named.get("formatCode", "")
            for named in map(xml_text.attributes, _FORMAT.findall(own))
        }
        of_cells = styles.partition("<cellXfs")[2].partition("</cellXfs>")[0]
        ids = [xml_text.attributes(tag).get("numFmtId", "0") for tag in _CELL_FORMAT.findall(of_cells)]
        return [NumberFormat(int(id) if _ID.fullmatch(id) else 0, codes.get(id, "")) for id in ids]


def _items(xml: str) -> Sequence[str]:
    """The texts of some items of the table, as a rule plain ones."""
    bare = xml[max(xml.find("<si"), 0) :].replace('<t xml:space="preserve">', "<t>")
    first, between, last = "<si><t>", "</t></si><si><t>", "</t></si>"
    texts = bare.removeprefix(first).removesuffix(last).split(between)
    # As many tags as these items have: no other is among them.
    if bare.startswith(first) and bare.endswith(last) and bare.count("<") == 4 * len(texts):
        return xml_text.plain_all(texts)
    return [xml_text.runs(item) for item in _ITEM.split(bare)[1:]]


def _folded(path: str) -> str:
    return path.replace("\\", "/").lower()


def _joined(base: str, target: str) -> str:
    """The path of a part that another in the folder `base` refers to."""
    if target.startswith("/"):
        return target[1:]
    return posixpath.normpath(posixpath.join(base, target))
