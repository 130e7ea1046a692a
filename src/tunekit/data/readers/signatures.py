"""What bytes are by how they begin, whatever the file's name says. Knows signatures; not how anything is read.

Sources: the file(1) magic database, and each format's own specification.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from tunekit.errors import DataError

Binary: TypeAlias = Literal["xlsx", "ods", "parquet", "arrow"]

_UNPACK = "unpack it first"
_ONE_FILE = "unpack it, and name one file in it"
_ROWS = "tunekit reads rows: JSON lines, JSON, CSV, TSV, Excel, Parquet, Arrow or text"
_CONVERT = "write it as Parquet or JSON lines with the program that made it"
_PAGE = "the download may have ended at a login or error page"
_OFFICE = "save it as .xlsx or as CSV (UTF-8)"

_OTHERS: tuple[tuple[bytes, str, str], ...] = (
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an old or protected Office file, such as an .xls workbook",
        _OFFICE,
    ),
    (b"\x1f\x8b", "gzip-compressed twice", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed twice", _UNPACK),
    (b"BZh", "bzip2-compressed", _UNPACK),
    (b"\xfd7zXZ\0", "xz-compressed", _UNPACK),
    (b"\x04\x22\x4d\x18", "lz4-compressed", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _ONE_FILE),
    (b"Rar!\x1a\x07", "a RAR archive", _ONE_FILE),
    (b"%PDF-", "a PDF document", _ROWS),
    (b"{\\rtf", "an RTF document", "save it as plain text"),
    (b"SQLite format 3\0", "an SQLite database", "export the table as CSV"),
    (b"PARE", "an encrypted Parquet file", "write it without encryption"),
    (b"FEA1", "a Feather file of the first version", _CONVERT),
    (b"Obj\x01", "an Avro file", _CONVERT),
    (b"ORC", "an ORC file", _CONVERT),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", _CONVERT),
    (b"\x93NUMPY", "a NumPy array", _CONVERT),
    (b"\x80\x02", "a Python pickle", _CONVERT),
    (b"\x80\x03", "a Python pickle", _CONVERT),
    (b"\x80\x04\x95", "a Python pickle", _CONVERT),
    (b"\x80\x05\x95", "a Python pickle", _CONVERT),
    (b"\x89PNG\r\n", "an image", _ROWS),
    (b"\xff\xd8\xff", "an image", _ROWS),
    (b"GIF8", "an image", _ROWS),
    (b"\x7fELF", "a program", _ROWS),
)
# Names of members, which a zip archive holds unpacked, and what they make of it.
_IN_ZIP: tuple[tuple[bytes, str, str], ...] = (
    (b"xl/workbook.bin", "a binary Excel workbook (.xlsb)", _OFFICE),
    (b"word/", "a Word document", "save it as plain text"),
    (b"ppt/", "a presentation", _ROWS),
    (b"data.pkl", "a PyTorch file", _CONVERT),
    (b".npy", "NumPy arrays", _CONVERT),
)
_SPREADSHEET = b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet"
_TEXTS: tuple[tuple[str, str, str], ...] = (
    ("<!doctype html", "an HTML page", _PAGE),
    ("<html", "an HTML page", _PAGE),
    ("<head", "an HTML page", _PAGE),
    ("<?xml", "an XML document", _ROWS),
    ("<!doctype", "an XML document", _ROWS),
)
_LFS = "version https://git-lfs"
_TAR_AT = 257
_MOST_CONTROL = 0.1
_MANY = 4096
_CONTROL = bytes(set(range(32)) - set(b"\t\n\f\r\x1b"))


def binary(head: bytes) -> Binary | None:
    r"""The binary format that can be read, or None for what may be text.

    Raises:
        DataError: It is empty, or of a kind that holds no rows; the message names it.

    Examples:
        >>> binary(b"PAR1\x15\x04")
        'parquet'
        >>> binary(b"id,text\n") is None
        True
    """
    if not head.strip():
        raise empty(len(head))
    if not head.strip(b"\0"):
        raise DataError(
            "the file begins with zero bytes only", hint="fetch or write it again; it was not finished"
        )
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip(head)
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"ARROW1") or _is_arrow_stream(head):
        return "arrow"
    for signature, what, hint in _OTHERS:
        if head.startswith(signature):
            raise _named(what, hint)
    if head[_TAR_AT:].startswith(b"ustar"):
        raise _named("a tar archive", _ONE_FILE)
    return None


def _zip(head: bytes) -> Binary:
    if head[30:].startswith(_SPREADSHEET):
        return "ods"
    for name, what, hint in _IN_ZIP:
        if name in head:
            raise _named(what, hint)
    if b"xl/" in head or b"[Content_Types].xml" in head:
        return "xlsx"
    raise _named("a zip archive", _ONE_FILE)


def _is_arrow_stream(head: bytes) -> bool:
    """Whether it begins as Arrow's streaming form does: a continuation mark and the size of a first message."""
    return head.startswith(b"\xff\xff\xff\xff") and 0 < int.from_bytes(head[4:8], "little") < 1 << 24


def refuse_text(text: str) -> None:
    """Raise `DataError` for text that stands for something else than rows."""
    begin = text[:4096].lstrip()[:40].casefold()
    if begin.startswith(_LFS):
        raise _named("a git-lfs pointer, not the data it stands for", "run `git lfs pull` where it came from")
    for start, what, hint in _TEXTS:
        if begin.startswith(start):
            raise _named(what, hint)


def refuse_noise(head: bytes) -> None:
    """Raise `DataError` for bytes that have far too many control characters for text in one-byte units."""
    if len(head) - len(head.translate(None, _CONTROL)) > _MOST_CONTROL * len(head):
        raise _named("binary data of no known kind", _ROWS)


def empty(size: int) -> DataError:
    """The error that a file is which begins with so many bytes of nothing."""
    said = "the file is empty" if size < _MANY else "the file begins with nothing but blank lines"
    return DataError(said, hint="look at what wrote it; was it still writing?")


def _named(what: str, hint: str) -> DataError:
    return DataError(f"this is {what}", hint=hint)
