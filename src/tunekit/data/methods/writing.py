"""To files. Knows what users ask; `writing` knows the bytes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tunekit.data import writing
from tunekit.data.methods.base import Examples

if TYPE_CHECKING:
    from tunekit.data.writers.report import WriteReport


class Writing(Examples):
    """Files that other tools, services and `load` read."""

    __slots__ = ()

    def write(
        self, path: str | os.PathLike[str], *, shape: str | None = None, target: str | None = None
    ) -> WriteReport:
        """Write a file for other software, in the form that its reader wants.

        The name decides the format: `.jsonl`, or `.csv` and `.tsv` for people and spreadsheets (cells that a
        spreadsheet would run get a quote in front, and stay so); `.gz` or `.zst` after it compress. The file appears
        whole or not at all, and equal rows give equal bytes.

        Args:
            path: The file.
            shape: Record shape of the rows, such as `"openai"` or `"alpaca"`; tunekit's own unless told, which
                alone keeps everything.
            target: Who will read it: a profile such as `"foundry"`, or a target string. It decides the shape and
                whether a byte order mark comes first; meta columns are left out, and the report counts them.

        Raises:
            DataError: The shape cannot hold a row, or a row holds what JSON or UTF-8 cannot; it names the row.
            MissingExtraError: Compression needs a package that is not installed.
            SpecError: There is no such shape or target, or the name has no known ending.
            StorageError: The disk said no.

        Examples:
            >>> import pathlib, tempfile
            >>> from tunekit import Dataset
            >>> chats = Dataset.from_records([{"prompt": "2+2", "completion": "4"}]).to_chat()
            >>> path = pathlib.Path(tempfile.mkdtemp(), "train.jsonl")
            >>> report = chats.write(path, target="openai")
            >>> report.rows, path.read_text()[:24]
            (1, '{"messages":[{"role":"us')
        """
        profile = None
        if target is not None:
            from tunekit.data.profiles import profile_of

            profile = profile_of(target)
        return writing.write(path, self, shape=shape, profile=profile)

    def write_jsonl(self, path: str | os.PathLike[str]) -> None:
        """Write one JSON object per line, row ids and meta included; `load` gives the same dataset back.

        UTF-8 without a byte order mark, keys in a fixed order, Unix line ends: equal rows give equal bytes. The file
        appears whole or not at all. Under the name of a packed file (`.gz`, `.zst`) it is packed.

        Raises:
            DataError: A row holds what JSON or UTF-8 cannot: a date in meta, NaN, half a surrogate pair.
            StorageError: The disk said no.
        """
        writing.write_jsonl(path, self)
