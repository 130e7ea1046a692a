"""The result files of a job: tables of metrics by step. Knows CSV and its disguises; fetches nothing."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import math

from tunekit.backends.openai.wire import unreadable

MAX_CELL_CHARS = 1000


def rows_of(content: bytes) -> list[dict[str, float]]:
    r"""The rows of a result file, each with the numbers that it has, by the host's own names for the columns.

    Some hosts send the table in base64 (xing61/zzz-api #21), and each has other columns.

    Raises:
        BackendError: It is no table.

    Examples:
        >>> rows_of(b"step,train_loss,valid_loss\n1,0.5,\n")
        [{'step': 1.0, 'train_loss': 0.5}]
    """
    text = _text(content)
    if not text.strip():
        return []
    try:
        table = list(csv.DictReader(io.StringIO(text)))
    except csv.Error as error:
        raise unreadable("a result file", str(error)) from None
    if not table and "," not in text:
        raise unreadable("a result file", f"it begins with {text[:40]!r}")
    return [found for row in table if (found := _numbers(row))]


def _text(content: bytes) -> str:
    """The text, out of base64 where it is in that: a table has commas, base64 has none."""
    if b"," not in content:
        try:
            content = base64.b64decode(b"".join(content.split()), validate=True)
        except binascii.Error:
            pass
    return content.decode("utf-8-sig", errors="replace")


def _numbers(row: dict[str | None, str | list[str] | None]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, cell in row.items():
        if name and isinstance(cell, str) and len(cell) <= MAX_CELL_CHARS:
            value = _number(cell)
            if value is not None:
                found[name.strip()] = value
    return found


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
