"""Which reader reads which format. Knows the names of the readers' modules; imports one when it is asked for."""

from __future__ import annotations

from importlib import import_module

from tunekit.data.readers.base import Reader

_READERS = {
    "csv": ("delimited", "rows"),
    "tsv": ("delimited", "tab_rows"),
    "jsonl": ("json_lines", "rows"),
    "json": ("json_document", "rows"),
    "xlsx": ("excel", "rows"),
    "ods": ("excel", "rows"),
    "parquet": ("parquet", "rows"),
    "arrow": ("parquet", "rows"),
    "txt": ("text", "rows"),
    "md": ("text", "documents"),
}
FORMATS: tuple[str, ...] = tuple(_READERS)
"""Every format that can be read."""


def reader(format: str) -> Reader:
    """The function that reads rows of this format.

    Imported here and not before: a reader may need a package that only its users have.

    Args:
        format: One of `FORMATS`.

    Examples:
        >>> reader("jsonl").__module__
        'tunekit.data.readers.json_lines'
    """
    module, function = _READERS[format]
    rows: Reader = getattr(import_module(f"tunekit.data.readers.{module}"), function)
    return rows
