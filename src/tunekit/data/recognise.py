"""What format a file has, by how it begins; its name decides only where the content does not. Reads no rows."""

from __future__ import annotations

import codecs
import json
import re
from pathlib import PurePath
from typing import Literal, TypeAlias

from tunekit.data.readers import dialect, encoding, signatures
from tunekit.data.readers.base import ReadOptions
from tunekit.data.readers.dialect import Fit
from tunekit.data.wording import listed
from tunekit.errors import DataError

Format: TypeAlias = Literal["jsonl", "json", "csv", "tsv", "xlsx", "ods", "parquet", "arrow", "txt", "md"]
"""Formats that can be read, each by a reader of `readers.catalogue`."""

_PACKED = (".gz", ".zst", ".zstd")
_JSON = (".jsonl", ".ndjson", ".json")
_TABLE = (".csv", ".tsv", ".tab")
_TEXT = (".txt", ".text", ".log")
_MARKDOWN = (".md", ".markdown")

# What may follow an opening bracket, if it is one of JSON's.
_JSON_BEGIN = re.compile(r'\{\s*["}]|\[\s*(?:[\[{"\]\-0-9]|true|false|null)|[\[{]\s*\Z')
_PAIR = re.compile(r'\[\s*"')
_NAME = re.compile(r"[\w#./()-]+(?: [\w#./()-]+){0,2}")
_NAME_CHARS = 40
_FEW_ROWS = 5
_FEW_COLUMNS = 4
_SPOKEN: dict[Format, str] = {
    "xlsx": "an Excel workbook",
    "ods": "an ODS workbook",
    "parquet": "a Parquet file",
    "arrow": "an Arrow file",
}


def recognise(head: bytes, name: str, options: ReadOptions, given: Format | None = None) -> Format:
    r"""The format of a file.

    Args:
        head: How it begins, unpacked; 64 kB are plenty.
        name: Of the file.
        options: What the caller says about it; a delimiter makes it a table, columns that are wanted show one.
        given: What the caller says it is; then only what cannot be that is refused.

    Raises:
        DataError: It is something else, which the message names.

    Examples:
        >>> recognise(b'{"prompt": "a"}\n{"prompt": "b"}\n', "export.json", ReadOptions())
        'jsonl'
        >>> recognise(b"text\tlabel\nSee you\tham\n", "export.csv", ReadOptions())
        'tsv'
    """
    if given and given in _SPOKEN:
        return given  # and its reader says what else it is
    binary = signatures.binary(head)
    if binary and given:
        raise DataError(
            f"this is {_SPOKEN[binary]}, not {given}", hint=f'leave format= out, or pass "{binary}"'
        )
    if binary:
        return binary
    found = encoding.recognised(head, options.encoding)
    if found.is_narrow and not found.named:
        signatures.refuse_noise(head)
    text = _text(head, found)
    if given not in ("txt", "md"):  # a page may be wanted as what it is: text
        signatures.refuse_text(text)
    return given or _of_text(text, _suffix(name), options)


def _of_text(text: str, suffix: str, options: ReadOptions) -> Format:
    if options.delimiter is not None:
        return "tsv" if options.delimiter == "\t" else "csv"
    if suffix in _MARKDOWN:
        return "md"
    return _json(text, suffix) or _table(text, suffix, options) or _by_name(suffix, options)


def _suffix(name: str) -> str:
    """The last suffix that is not one of compression, in lower case."""
    suffixes = [suffix.lower() for suffix in PurePath(name).suffixes]
    while suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _text(head: bytes, found: encoding.Encoding) -> str:
    try:
        text = codecs.getincrementaldecoder(found.codec)("replace").decode(head).removeprefix("\ufeff")
    except UnicodeError as error:  # UTF-16 without the mark that Python wants, for one
        hint = "leave encoding= out, or pass the file's own"
        raise DataError(f"this is not {found.name.upper()}: {error}", hint=hint) from None
    if not text.strip():
        raise signatures.empty(len(head))
    return text


# --- JSON ---------------------------------------------------------------------------------------------


def _json(text: str, suffix: str) -> Format | None:
    """JSON lines or a JSON document, or None for what is neither."""
    begin = text.lstrip()
    if not _JSON_BEGIN.match(begin) and not (begin[0] in "{[" and suffix in _JSON):
        return None
    try:
        _, end = json.JSONDecoder().raw_decode(begin)
    except (ValueError, RecursionError):
        return _unfinished(begin, suffix)
    value, rest = begin[:end], begin[end:]
    if not rest.strip():
        if suffix in (".jsonl", ".ndjson") and _PAIR.match(value) and "\n" not in value:
            return "jsonl"  # a document that is a list of texts has no rows
        one_line_object = begin[0] == "{" and "\n" not in value
        return "jsonl" if one_line_object and suffix != ".json" else "json"
    if begin[0] == "{" or rest.split(maxsplit=1)[0][0] in "{[" or suffix in _JSON:
        return "jsonl"  # whose reader says what is wrong where values share a line
    return None


def _unfinished(begin: str, suffix: str) -> Format:
    """For a first value that is longer than what is there of it, or broken."""
    first, newline, _ = begin.partition("\n")
    if newline:
        return "jsonl" if begin[0] == "{" and first.rstrip().endswith("}") else "json"
    return "json" if begin[0] == "[" or suffix == ".json" else "jsonl"


# --- tables -------------------------------------------------------------------------------------------


def _table(text: str, suffix: str, options: ReadOptions) -> Format | None:
    """A table with commas, tabs or others between its cells, or None where that is not sure enough."""
    # The last line may be cut off, or end the file without a newline.
    fits = (dialect.of(part, options) for part in (text, text[: text.rfind("\n") + 1]))
    fit = max(fits, key=lambda fit: fit.share)
    is_asked_for = fit.width > 1 and _has_wanted(fit, options)
    if not is_asked_for and suffix not in _TABLE and not _is_sure(fit, suffix):
        return None
    if suffix in (".tsv", ".tab") and fit.dialect.delimiter != "\t" and not fit.is_table:
        return "tsv"
    return "tsv" if fit.dialect.delimiter == "\t" else "csv"


def _has_wanted(fit: Fit, options: ReadOptions) -> bool:
    first = {cell.strip() for _, cells in fit.records[:1] for cell in cells}
    return bool(options.wanted) and first.issuperset(options.wanted)


def _is_sure(fit: Fit, suffix: str) -> bool:
    """Whether this is a table and no prose, in which lines with as many commas may follow each other by chance."""
    if not fit.is_table or len(fit.records) < 2:
        return False
    if fit.dialect.delimiter in "\t;" or suffix not in _TEXT:
        return True
    names = all(len(cell) <= _NAME_CHARS and _NAME.fullmatch(cell) for cell in fit.records[0][1])
    return len(fit.records) >= _FEW_ROWS and (names or fit.width >= _FEW_COLUMNS)


def _by_name(suffix: str, options: ReadOptions) -> Format:
    if suffix in _TEXT:
        return "txt"
    if suffix in _JSON:
        return "json" if suffix == ".json" else "jsonl"  # and its reader says what is wrong with line 1
    columns = f" with the columns {listed(options.wanted)}" if options.wanted else ""
    raise DataError(
        f"neither JSON nor a table{columns}",
        hint='pass format=, such as "csv", "jsonl" or "txt", if it is one of them',
    )
