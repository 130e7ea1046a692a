"""Where each of a few texts stands among many rows, in a few bytes each. Knows places; judges no text."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable

from tunekit.data.compact import RowIds
from tunekit.data.findings import Rows, evidence


class Occurrences:
    """Collects where texts occur, of which there are few different ones.

    Examples:
        >>> found = Occurrences()
        >>> found.add("a.csv:2", [("label", "late")])
        >>> found.add("a.csv:3", [("label", "lost")])
        >>> found.of({"lost"}.__contains__).ids
        ['a.csv:3']
    """

    def __init__(self) -> None:
        self._ids = RowIds()
        self._numbers: dict[str, int] = {}
        self._rows = array("I")
        self._texts = array("I")
        self._fields = array("I")

    def add(self, row: str, found: Iterable[tuple[str, str]]) -> None:
        """Note the fields and texts of one row; rows come in data order."""
        self._ids.append(row)
        for field, text in found:
            self._rows.append(len(self._ids) - 1)
            self._fields.append(self._numbers.setdefault(field, len(self._numbers)))
            self._texts.append(self._numbers.setdefault(text, len(self._numbers)))

    def of(self, is_wanted: Callable[[str], bool]) -> Rows:
        """The rows that have such a text."""
        names = list(self._numbers)
        wanted = {number for number, name in enumerate(names) if is_wanted(name)}
        found = Rows()
        for row, field, text in zip(self._rows, self._fields, self._texts, strict=True):
            if text in wanted:
                found.add(self._ids[row], names[field], evidence(names[text]))
        return found
