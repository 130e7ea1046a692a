"""What a file is, from its first bytes and what the caller asked for. Knows signatures; reads no rows."""

from __future__ import annotations

from typing import Literal

from tunekit.data.readers import csv
from tunekit.errors import DataError

Format = Literal["jsonl", "csv", "tsv"]
FORMATS: tuple[str, ...] = ("jsonl", "csv", "tsv")

_EXCEL = "save it as CSV (UTF-8); reading workbooks comes with a later tunekit[excel]"
_UNPACK = "unpack it first"
# Signatures: the file(1) magic database and each format's own specification.
_BINARY: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a zip archive", _UNPACK),
    (b"PK\x05\x06", "an empty zip archive", "export it again"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)", _EXCEL),
    (
        b"PAR1",
        "a Parquet file",
        "write it as JSON lines; reading Parquet comes with a later tunekit[parquet]",
    ),
    (b"ARROW1", "an Arrow file", "write it as JSON lines; reading Arrow comes with a later tunekit[parquet]"),
    (b"\x1f\x8b", "gzip-compressed", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed", _UNPACK),
    (b"BZh", "bzip2-compressed", _UNPACK),
    (b"\xfd7zXZ", "xz-compressed", _UNPACK),
    (b"%PDF", "a PDF document", "tunekit reads rows: JSON lines, CSV or TSV"),
    (b"SQLite format 3\0", "an SQLite database", "export the table as CSV"),
)
_TEXT: tuple[tuple[str, str, str], ...] = (
    (
        "version https://git-lfs",
        "a git-lfs pointer, not the data it stands for",
        "run `git lfs pull` where it came from",
    ),
    ("<!doctype html", "an HTML page", "the download may have ended at a login or error page"),
    ("<html", "an HTML page", "the download may have ended at a login or error page"),
    ("<?xml", "an XML document", "tunekit reads rows: JSON lines, CSV or TSV"),
)
_WIDE_MARKS = (
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def refuse_binary(head: bytes, encoding: str | None) -> None:
    """Raise `DataError` for bytes that are no text, or text of an encoding that nobody named."""
    if not head.strip():
        raise DataError("the file is empty", hint="look at what wrote it; was it still writing?")
    for signature, what, hint in _BINARY:
        if head.startswith(signature):
            if signature == b"PK\x03\x04" and (b"xl/" in head or b"[Content_Types].xml" in head):
                what, hint = "an Excel workbook", _EXCEL
            raise DataError(f"this is {what}, which is not read yet", hint=hint)
    for mark, name in _WIDE_MARKS:
        if head.startswith(mark) and encoding is None:
            raise DataError(f"this is {name.upper()} text", hint=f'pass encoding="{name}"')


def recognise(text: str, suffix: str, wanted: tuple[str, ...], delimiter: str | None) -> Format:
    """The format of text by how it begins; the suffix decides only where the content does not.

    Args:
        text: The beginning of the file.
        suffix: Of its name, lower case with the dot.
        wanted: Columns that must be there.
        delimiter: What the caller says stands between cells; a table, then.

    Raises:
        DataError: It is something else, which the message names.
    """
    begin = text.lstrip()
    folded = begin[:40].casefold()
    for start, what, hint in _TEXT:
        if folded.startswith(start):
            raise DataError(f"this is {what}", hint=hint)
    if delimiter is not None:
        return "csv"
    if begin.startswith("{"):
        return "jsonl"
    found = csv.delimiter_of(text, wanted)
    if found or suffix in (".csv", ".tsv", ".tab"):
        return "tsv" if found == "\t" or suffix in (".tsv", ".tab") else "csv"
    if begin.startswith("["):
        raise DataError(
            "this is a JSON array, which is not read yet", hint="write one object on each line (JSON lines)"
        )
    if suffix in (".jsonl", ".ndjson", ".json"):
        return "jsonl"  # and its reader says what is wrong with line 1
    raise DataError(
        "neither JSON lines nor a table with these columns: "
        + (", ".join(repr(name) for name in wanted) or "prompt, completion"),
        hint='pass format="csv", "tsv" or "jsonl" if it is one of them',
    )
