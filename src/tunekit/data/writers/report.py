"""What writing a file came to. Knows no format."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tunekit.data.wording import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteReport:
    """A file that was written, and what of the rows is not in it.

    Attributes:
        path: The file.
        format: "jsonl", "csv", "tsv" or "parquet".
        shape: Record shape of its rows.
        rows: How many.
        size_bytes: Its size, after compression.
        sha256: Of its bytes, in hex; equal rows give equal bytes.
        left_out: Meta columns that were not written, with the number of rows that had them.
        guarded: Cells of a table that a spreadsheet would run, and that got a quote in front, by column.
        load_with: What `Dataset.load` must be told to give the rows back; empty where it sees for itself.

    Examples:
        >>> import pathlib, tempfile
        >>> import tunekit as tk
        >>> data = tk.Dataset.from_records([{"prompt": "2+2", "completion": "4", "day": "Mon"}]).to_chat()
        >>> report = data.write(pathlib.Path(tempfile.mkdtemp(), "train.jsonl"), target="openai")
        >>> report.rows, report.shape, report.left_out
        (1, 'openai', {'day': 1})
    """

    path: Path
    format: str
    shape: str
    rows: int
    size_bytes: int
    sha256: str
    left_out: dict[str, int]
    guarded: dict[str, int] = field(default_factory=dict)
    load_with: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        rows, size = counted(self.rows, "row"), counted(self.size_bytes, "byte")
        said = f"{self.path}: {rows} as {self.shape} ({self.format}), {size}"
        if self.left_out:
            said += f"; without the meta columns {', '.join(map(repr, self.left_out))}"
        if self.guarded:
            cells = counted(sum(self.guarded.values()), "cell")
            said += f"; {cells} that a spreadsheet would run got a ' in front: {', '.join(map(repr, self.guarded))}"
        told = ", ".join(f"{name}={value!r}" for name, value in self.load_with.items())
        return f"{said}; to load it again, pass {told}" if told else said

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "path": str(self.path),
            "format": self.format,
            "shape": self.shape,
            "rows": self.rows,
            "size_bytes": self.size_bytes,
            "sha256": self.sha256,
            "left_out": dict(self.left_out),
            "guarded": dict(self.guarded),
            "load_with": dict(self.load_with),
        }
