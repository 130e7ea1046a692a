"""What every reader is given and gives back. Knows no format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal, Protocol, TypeAlias

from tunekit.data.findings import Finding

Row: TypeAlias = tuple[int, Any]
"""Number of a row as a person would count in this format (line, sheet row, item from 1), and its decoded value or the
`DataError` that it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """What the caller says about a file; None leaves it to recognition.

    Attributes:
        encoding: Of the text.
        delimiter: Between the cells of a table.
        quoting: Whether a table's cells may stand in double quotes; "backslash" where a quote in them has one before it
            and is not written twice.
        header: True: the first row names the columns; False: there is no such row, columns are called "column 1",
            "column 2", ...; a number: the row, from 1, that names them; names: there is no such row and these are they.
        sheet: Name of a workbook's sheet, or its position from 1.
        part: Which part of a file with several, such as "train" of a JSON object of splits.
        unit: What one row of a plain text is: "line", "paragraph" (blank lines between) or "document" (the file).
        wanted: Columns that must be there.
    """

    encoding: str | None = None
    delimiter: str | None = None
    quoting: bool | Literal["backslash"] | None = None
    header: bool | int | Sequence[str] | None = None
    sheet: str | int | None = None
    part: str | None = None
    unit: Literal["line", "paragraph", "document"] | None = None
    wanted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """Rows that `Notes.decode` has made examples of, in the place of one row."""

    examples: Sequence[Any]


@dataclass(slots=True)
class Notes:
    """What a reader decided and noticed on the way: facts for `Dataset.source`, findings for `Dataset.check`.

    Both may grow until the last row has been read.

    Attributes:
        name: First part of the row ids, for findings.
        facts: What was decided.
        findings: What was noticed.
        decode: A faster way for a block of lines, which may be set once the first rows have shown the shape. From the
            bytes and the number of the first line it makes an example for each line, or leaves them to the reader.

    Examples:
        >>> Notes(name="tickets.csv").row(12)
        'tickets.csv:12'
    """

    name: str = "rows"
    facts: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    decode: Callable[[bytes, int], Sequence[Any] | None] | None = None

    def row(self, number: int) -> str:
        """Id of the row with this number."""
        return f"{self.name}:{number}"


class Reader(Protocol):
    """A module under `tunekit.data.readers` offers a function of this form, called `rows`."""

    def __call__(self, file: BinaryIO, options: ReadOptions, notes: Notes) -> Iterator[Row]:
        """Rows of the file, one at a time."""


Record: TypeAlias = Mapping[str, Any]
