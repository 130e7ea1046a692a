"""One JSON object per line. Knows what JSON and UTF-8 can hold; not what a record means."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tunekit.errors import DataError

# Built once: `json.dumps` with options of its own builds an encoder for every row.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def encoded(records: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[bytes]:
    """Lines of UTF-8 JSON, their newlines included, of records with their row ids.

    Raises:
        DataError: A record holds what JSON or UTF-8 cannot.
    """
    for row, record in records:
        yield line(record, row)


def line(record: Mapping[str, Any], row: str) -> bytes:
    """One record as a line.

    Raises:
        DataError: It holds what JSON or UTF-8 cannot.
    """
    try:
        return _encode(record).encode() + b"\n"
    except UnicodeEncodeError as error:
        what = f"half a surrogate pair, {error.object[error.start]!r}, which has no UTF-8 form"
    except (TypeError, ValueError, RecursionError) as error:
        what = f"what JSON cannot hold: {error}"
    raise DataError(f"row {row!r} holds {what}", hint="map the dataset to examples of text and plain numbers")
