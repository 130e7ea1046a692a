"""The result files of a job: tables of metrics by step. Knows CSV and its disguises; fetches nothing."""

from __future__ import annotations

import base64
import codecs
import csv
import io
import math
import re

from tunekit.backends.openai.wire import unreadable

MAX_CELL_CHARS = 1000
_BASE64 = re.compile(rb"[A-Za-z0-9+/_=\s-]+")
_SEPARATORS = (",", ";", "\t")
_NOT_NAMES = ("<", "{", "[")
"""A page and JSON may have separators in their first line; the names of columns begin with none of these."""
_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*")


def rows_of(content: bytes) -> list[dict[str, float]]:
    r"""The rows of a result file, each with the numbers that it has, by the host's own names for the columns.

    Some hosts send the table in base64 (xing61/zzz-api #21), some of these as a JSON text; each has other columns,
    and spreadsheets have other separators.

    Raises:
        BackendError: It is no table.

    Examples:
        >>> rows_of(b"step,train_loss,valid_loss\n1,0.5,\n")
        [{'step': 1.0, 'train_loss': 0.5}]
    """
    text = _text(content)
    head = text.lstrip().partition("\n")[0]
    separator = _separator(head)
    try:
        table = list(csv.DictReader(io.StringIO(text), delimiter=separator))
    except csv.Error as error:
        raise unreadable("a result file", str(error)) from None
    rows = [found for row in table if (found := _numbers(row, separator))]
    is_head = separator in head and not head.startswith(_NOT_NAMES)
    is_empty = not any(cell for row in table for cell in row.values()) and (is_head or not text.strip())
    if not rows and not is_empty:
        raise unreadable(
            "a result file", f"it begins with {content[:40]!r}"
        )  # as it came: there a key is masked
    return rows


def _separator(head: str) -> str:
    """What stands between the names of the columns."""
    return max(_SEPARATORS, key=head.count)


def _text(content: bytes) -> str:
    """The text, out of base64 where it is in that: a table has lines of numbers, and base64 has none."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    bare = content.strip().removeprefix(b'"').removesuffix(b'"')
    if _BASE64.fullmatch(bare) and b"\n" in (decoded := _decoded(bare)):
        content = decoded
    return content.decode(_encoding(content), errors="replace")


def _encoding(content: bytes) -> str:
    """UTF-16 where there is a mark of that, as spreadsheets write it."""
    is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return "utf-16" if is_wide else "utf-8-sig"


def _decoded(content: bytes) -> bytes:
    """What base64 stands for; nothing where it is none. Some leave its padding out."""
    letters = b"".join(content.split()).rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    try:
        found = base64.b64decode(letters + b"=" * (-len(letters) % 4), validate=True)
        found.decode(_encoding(found))
    except ValueError:  # of base64, and of the text
        return b""
    return found


def _numbers(row: dict[str | None, str | list[str] | None], separator: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, cell in row.items():
        if name and name.strip() and isinstance(cell, str) and len(cell) <= MAX_CELL_CHARS:
            # Where a comma separates no columns, it stands before the decimals.
            value = _number(cell.replace(",", ".") if separator == ";" else cell)
            if value is not None:
                found[name.strip()] = value
    return found


def _number(cell: str) -> float | None:
    if not _NUMBER.fullmatch(cell):  # Python itself takes "1_000" and digits of other scripts
        return None
    value = float(cell)
    return value if math.isfinite(value) else None
