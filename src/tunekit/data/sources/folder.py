"""What to say to somebody who named a folder: which of its files can be loaded, and how. Knows names of files only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice

from tunekit.errors import DataError

_SUFFIXES = (
    ".jsonl",
    ".ndjson",
    ".json",
    ".csv",
    ".tsv",
    ".tab",
    ".xlsx",
    ".xlsm",
    ".ods",
    ".parquet",
    ".arrow",
)
_PACKED = (".gz", ".zst", ".zstd")
_LOOKED_AT = 1_000
_SHOWN = 4


def refused(path: str) -> DataError:
    """The error for a folder in the place of a file."""
    found = sorted(islice(_files(path, is_top=True), _LOOKED_AT))
    calls = [f"Dataset.load({name!r})" for name in found[:_SHOWN]]
    more = f", or one of {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    hint = f"load a file in it: {', '.join(calls)}{more}" if found else "name one file in it"
    return DataError("this is a directory, not a file", path=path, hint=hint)


def _files(path: str, *, is_top: bool) -> Iterator[str]:
    """Files whose names promise rows, in the folder and in those right under it."""
    try:
        entries = list(islice(os.scandir(path), _LOOKED_AT))
    except OSError:
        return  # a folder that may not be looked into has no files to name
    for entry in entries:
        name = entry.name.lower()
        for packed in _PACKED:
            name = name.removesuffix(packed)
        if name.endswith(_SUFFIXES) and not name.startswith(".") and entry.is_file():
            yield entry.path
        elif is_top and entry.is_dir(follow_symlinks=False) and not name.startswith("."):
            yield from _files(entry.path, is_top=False)
