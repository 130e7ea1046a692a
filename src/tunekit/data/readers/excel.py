"""Workbooks (xlsx, xlsm, ods) through python-calamine: which sheet, which header, which rows. Knows no record shape.

calamine reads a sheet whole: besides the file itself, memory holds 32 bytes for each cell and the texts of one sheet,
about 100 MB for 100,000 rows of five columns. What would take far more than its size is refused before: see
`workbook_limits`. Old binary workbooks (xls, xlsb) are not read: nothing bounds what they make calamine allocate.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from statistics import median
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, TypeVar

from tunekit.data.readers import cell_text, column_names, excel_notes, first_row, workbook_limits
from tunekit.data.readers.base import Notes, ReadOptions, Row
from tunekit.data.readers.column_names import ColumnNames
from tunekit.data.wording import brief, listed, nearest
from tunekit.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    from python_calamine import CalamineSheet, CalamineWorkbook

_T = TypeVar("_T")
_Numbered: TypeAlias = tuple[int, list[Any]]

_LOOK_AHEAD = 100
_LEAST_SHARE = 0.6
_BLOCK_ROWS = 512
_COMPOUND = b"\xd0\xcf\x11\xe0"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")


def rows(file: BinaryIO, options: ReadOptions, notes: Notes) -> Iterator[Row]:
    """Rows of one sheet as texts by column name, numbered as in the sheet. Blank rows are passed by.

    Raises:
        DataError: It is no such workbook, is protected or damaged, would take far more memory than it has data, or
            the sheet, its header or a wanted column is not there.
        MissingExtraError: python-calamine is not installed.
    """
    content = _whole(file)
    parts = excel_notes.parts(content, workbook_limits.check(content))
    workbook = _opened(content)
    content.close()  # calamine has a copy
    sheet = _chosen(workbook, options.sheet, parts, notes)
    yield from _rows(sheet, options, parts, notes)


# --- the file -----------------------------------------------------------------------------------------


def _whole(file: BinaryIO) -> io.BytesIO:
    data = file.read(workbook_limits.MAX_FILE_BYTES + 1)
    if len(data) > workbook_limits.MAX_FILE_BYTES:
        raise DataError(
            f"the workbook is larger than {workbook_limits.MAX_FILE_BYTES >> 20} MB, and is read whole",
            hint="save the data as CSV or Parquet, which are read row by row",
        )
    if data.startswith(_COMPOUND):
        if _ENCRYPTED in data:
            raise DataError("the workbook is protected by a password", hint="save it without one")
        raise DataError("this is an old Excel workbook (.xls)", hint="save it as .xlsx or as CSV (UTF-8)")
    return io.BytesIO(data)


def _opened(content: BinaryIO) -> CalamineWorkbook:
    try:
        from python_calamine import CalamineWorkbook
    except ImportError:
        raise MissingExtraError("python_calamine", extra="excel") from None
    content.seek(0)
    return _careful(lambda: CalamineWorkbook.from_filelike(content), "the workbook")


def _careful(read: Callable[[], _T], what: str) -> _T:
    """The result of calamine's function; whatever it has against the file is a `DataError`."""
    from python_calamine import CalamineError, PasswordError

    hint = "open it with a spreadsheet program and save it again"
    try:
        return read()
    except PasswordError:
        raise DataError(f"{what} is protected by a password", hint="save it without one") from None
    except CalamineError as error:
        raise DataError(f"{what} cannot be read: {brief(str(error), quote=False)}", hint=hint) from None
    except BaseException as error:
        # A panic of Rust arrives as an exception that is no `Exception`, and whose class cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise DataError(f"{what} is damaged in a way that its reader did not expect", hint=hint) from None


# --- the sheet ----------------------------------------------------------------------------------------


def _chosen(
    workbook: CalamineWorkbook, wanted: str | int | None, parts: excel_notes.Parts, notes: Notes
) -> CalamineSheet:
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    known = [sheet.name for sheet in workbook.sheets_metadata if sheet.typ == SheetTypeEnum.WorkSheet]
    hidden = {
        sheet.name for sheet in workbook.sheets_metadata if sheet.visible != SheetVisibleEnum.Visible
    }
    if not known:
        raise DataError("the workbook has no sheet", hint="look at what wrote it")
    if wanted is None:
        sheet = _first(workbook, [name for name in known if name not in hidden], known)
    else:
        sheet = _sheet(workbook, _named(known, wanted))
    notes.facts["sheet"] = sheet.name
    notes.findings += excel_notes.other_sheets(sheet.name, known, hidden, parts)
    return sheet


def _first(workbook: CalamineWorkbook, visible: Sequence[str], known: Sequence[str]) -> CalamineSheet:
    """The first visible sheet that is not blank."""
    for name in visible:
        sheet = _sheet(workbook, name)
        if sheet.height:
            return sheet
    raise DataError(
        f"no visible sheet has data; the sheets are {listed(known)}",
        hint="look at what wrote it; for a hidden sheet pass sheet= with its name",
    )


def _named(known: Sequence[str], wanted: str | int) -> str:
    if wanted in known:
        return str(wanted)
    if isinstance(wanted, int) and 1 <= wanted <= len(known):
        return known[wanted - 1]
    raise DataError(
        f"no sheet {brief(wanted)}; the sheets are {listed(known)}",
        hint=nearest(str(wanted), known) or f"pass a name, or a position from 1 to {len(known)}",
    )


def _sheet(workbook: CalamineWorkbook, name: str) -> CalamineSheet:
    return _careful(lambda: workbook.get_sheet_by_name(name), f"the sheet {brief(name)}")


# --- its rows -----------------------------------------------------------------------------------------


def _rows(
    sheet: CalamineSheet, options: ReadOptions, parts: excel_notes.Parts, notes: Notes
) -> Iterator[Row]:
    numbered = enumerate(sheet.iter_rows(), start=1)
    ahead = list(islice(_filled(numbered), _LOOK_AHEAD))
    if not ahead:
        raise DataError(f"the sheet {brief(sheet.name)} is blank", hint="pass sheet= with another's name")
    if type(options.header) is int:
        _read_up_to(options.header, ahead, numbered)
    index, why = _header(ahead, options)
    above = [] if index is None else ahead[: index + 1]
    columns = _columns(above, options.header, len(ahead[0][1]))
    line = above[-1][0] if above else None
    columns.check(options.wanted, line)
    seen = excel_notes.Seen(sheet, columns, line, notes)
    seen.note_header(above, why)
    empty = True
    for row in _records(chain(ahead[len(above) :], numbered), columns, seen):
        empty = False
        yield row
    if empty:
        raise DataError(
            f"the sheet {brief(sheet.name)} has a header and no rows",
            line=line,
            hint="look at what wrote it; did its query find anything?",
        )
    seen.finish(parts)


def _read_up_to(row: int, ahead: list[_Numbered], numbered: Iterator[_Numbered]) -> None:
    """Have the row with this number among those looked at."""
    while ahead[-1][0] < row and (more := next(numbered, None)):
        ahead.append(more)
    if row not in {number for number, _ in ahead}:
        raise DataError(
            f"there is no row {row} with names; the rows are {ahead[0][0]} to {ahead[-1][0]}",
            hint="header= takes the number that the sheet shows at the left",
        )


def _header(ahead: Sequence[_Numbered], options: ReadOptions) -> tuple[int | None, str]:
    """Which of these rows names the columns; where none seems to, why."""
    said = options.header
    if type(said) is int:
        return [number for number, _ in ahead].index(said), ""
    if said is not None:
        return (0 if said is True else None), ""
    texts = [list(map(cell_text.text, row)) for _, row in ahead]
    for index, row in enumerate(texts):
        if options.wanted and set(options.wanted) <= set(row):
            return index, ""
    # What is much emptier than the rows after it is a title, or names groups of columns.
    filled = [sum(map(bool, row)) for row in texts]
    titles = next(index for index, count in enumerate(filled) if count >= _LEAST_SHARE * median(filled))
    found = first_row.of(texts[titles:])
    return (None, found.reason) if found.row is None else (titles + found.row, "")


def _columns(above: Sequence[_Numbered], said: bool | int | Sequence[str] | None, width: int) -> ColumnNames:
    if above:
        return ColumnNames(tuple(map(cell_text.text, above[-1][1])))
    return column_names.given(said, width) if isinstance(said, Sequence) else column_names.positions(width)


def _filled(numbered: Iterator[_Numbered]) -> Iterator[_Numbered]:
    return ((number, row) for number, row in numbered if any(cell != "" for cell in row))


def _records(numbered: Iterator[_Numbered], columns: ColumnNames, seen: excel_notes.Seen) -> Iterator[Row]:
    keys = columns.keys
    # A column without a name is in a row only where that row has something in it.
    nameless = [key for key, name in zip(keys, columns.written, strict=True) if not name]
    while block := list(islice(numbered, _BLOCK_ROWS)):
        seen.look(block)
        for (number, _), cells in zip(block, cell_text.texts([row for _, row in block]), strict=True):
            if not any(cells):
                continue
            record = dict(zip(keys, cells, strict=True))
            for key in nameless:
                if not record[key]:
                    del record[key]
            yield number, record
