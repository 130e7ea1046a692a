"""Datasets to files: one JSON object per line, the same bytes every time. Knows no reader and no backend."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from tunekit._files import write_atomic
from tunekit.errors import DataError
from tunekit.examples import Example, to_dict


def write_jsonl(path: str | os.PathLike[str], examples: Iterable[Example]) -> None:
    """Publish the file whole. See `Dataset.write_jsonl`."""
    data = b"".join(encoded(example) for example in examples)
    # The user's own file: permissions as the umask says, unlike what tunekit keeps for itself.
    write_atomic(Path(path), data, mode=0o666, hint="give a path that can be written")


def check(examples: Iterable[Example]) -> None:
    """Raise `DataError` for the first example whose content JSON or UTF-8 cannot hold."""
    for example in examples:
        encoded(example, with_row=False)


def encoded(example: Example, *, with_row: bool = True) -> bytes:
    """One line of UTF-8 JSON, its newline included.

    Raises:
        DataError: The row holds what JSON or UTF-8 cannot.
    """
    body = to_dict(example, with_row=with_row)
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"
    except UnicodeEncodeError as error:
        what = f"half a surrogate pair, {error.object[error.start]!r}, which has no UTF-8 form"
    except (TypeError, ValueError, RecursionError) as error:
        what = f"what JSON cannot hold: {error}"
    raise DataError(
        f"row {example.id!r} holds {what}", hint="map the dataset to examples of text and plain numbers"
    )
