"""Workbooks for tests: real ones by openpyxl, and small changes to what is in them. Knows parts; checks nothing."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import openpyxl
import pytest

from tunekit.data.readers import excel
from tunekit.data.readers.base import Notes, ReadOptions
from tunekit.errors import DataError

SHEET = "xl/worksheets/sheet1.xml"
SHARED = "xl/sharedStrings.xml"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
TEXT_TYPE = "urn:oasis:names:tc:opendocument:xmlns"
HEADER = ["prompt", "completion"]


def xlsx(rows: Iterable[Iterable[Any]], *, title: str = "Sheet") -> bytes:
    """A workbook with these rows in its sheet."""
    book = openpyxl.Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(list(row))
    return saved(book)


def saved(book: openpyxl.Workbook) -> bytes:
    """The bytes of a workbook."""
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def parts(content: bytes) -> dict[str, bytes]:
    """The files in an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive of these files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in files.items():
            # OpenDocument part 2, section 3.3: this file comes first and is not packed.
            archive.writestr(name, data, zipfile.ZIP_STORED if name == "mimetype" else method)
    return file.getvalue()


def changed(
    content: bytes, name: str, change: Callable[[bytes], bytes], method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    """The archive with one of its files changed, or added."""
    files = parts(content)
    return packed({**files, name: change(files.get(name, b""))}, method)


def with_rows(xml: str, *, shared: str | None = None, book: bytes | None = None) -> bytes:
    """A workbook whose sheet has these rows in XML, and this table of shared texts."""
    made = book or xlsx([["x"]])
    made = changed(
        made,
        SHEET,
        lambda old: before(old, b"<sheetData>") + f"<sheetData>{xml}</sheetData></worksheet>".encode(),
    )
    if shared is None:
        return made
    relation = (
        '<Relationship Id="texts" Target="sharedStrings.xml"'
        ' Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings"/></Relationships>'
    )
    made = changed(
        made,
        "xl/_rels/workbook.xml.rels",
        lambda old: old.replace(b"</Relationships>", relation.encode()),
    )
    return changed(made, SHARED, lambda _: f'<sst xmlns="{MAIN}">{shared}</sst>'.encode())


def before(text: bytes, mark: bytes) -> bytes:
    """What stands before the mark."""
    return text[: text.index(mark)]


def ods(rows: str, *, head: str = "", styles: str = "", sheets: str = "") -> bytes:
    """An OpenDocument spreadsheet with these rows in XML, as LibreOffice writes it."""
    spaces = " ".join(
        f'xmlns:{name}="{TEXT_TYPE}:{name}:1.0"' for name in ("office", "table", "text", "style")
    )
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?>{head}<office:document-content {spaces}>'
        f"<office:automatic-styles>{styles}</office:automatic-styles><office:body><office:spreadsheet>"
        f'<table:table table:name="One"><table:table-column/>{rows}</table:table>{sheets}'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    return packed(
        {
            "mimetype": b"application/vnd.oasis.opendocument.spreadsheet",
            "content.xml": content.encode(),
            "META-INF/manifest.xml": b"<manifest/>",
            "Configurations2/accelerator/current.xml": b"",
        }
    )


def ods_row(*cells: str, times: int = 1) -> str:
    """A row of an OpenDocument sheet."""
    repeated = f' table:number-rows-repeated="{times}"' if times > 1 else ""
    return f"<table:table-row{repeated}>{''.join(cells)}</table:table-row>"


def said(text: str, times: int = 1) -> str:
    """A cell with a text."""
    repeated = f' table:number-columns-repeated="{times}"' if times > 1 else ""
    return (
        f'<table:table-cell office:value-type="string"{repeated}><text:p>{text}</text:p></table:table-cell>'
    )


def valued(type_: str, value: str, shown: str = "shown") -> str:
    """A cell with a value of another type."""
    attribute = {"float": "value", "percentage": "value", "currency": "value"}.get(type_, f"{type_}-value")
    return (
        f'<table:table-cell office:value-type="{type_}" office:{attribute}="{value}">'
        f"<text:p>{shown}</text:p></table:table-cell>"
    )


def read(content: bytes, **options: Any) -> tuple[list[tuple[int, Any]], Notes]:
    """The rows of a workbook, and what was noticed."""
    notes = Notes(name="book")
    return list(excel.rows(io.BytesIO(content), ReadOptions(**options), notes)), notes


def records(content: bytes, **options: Any) -> list[Any]:
    """The rows without their numbers."""
    return [row for _, row in read(content, **options)[0]]


def failed(content: bytes, **options: Any) -> DataError:
    """The error that ends the reading of a workbook."""
    with pytest.raises(DataError) as caught:
        read(content, **options)
    assert caught.value.hint
    return caught.value
