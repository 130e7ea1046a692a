"""Empty cells in an input that is put together from several columns. Knows templates; changes no input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunekit.data.findings import Finding
from tunekit.data.readers.counted import Counted
from tunekit.data.shapes.columns import Columns
from tunekit.data.shapes.labelled import by_position
from tunekit.data.wording import brief, listed


class TemplateCells:
    """Feed it every row that was read, then ask what there is to say.

    The text between two columns stays where one of them is empty: `"{title}, {body}"` makes ", Where is it?". Taking it
    away would be a guess at what it means, so it is said instead.

    Args:
        columns: The columns that are read; None, or one without a template, has nothing to say.
    """

    def __init__(self, columns: Columns | None) -> None:
        self._template = columns.input if columns and columns.input is not None else ""
        inputs = columns.inputs if columns else ()
        self._names = inputs if inputs != (self._template,) else ()
        self._empty: dict[str, int] = {}
        self._rows = Counted()

    def see(self, row: Any, id: str) -> None:
        """Take one row into account, as its reader gave it."""
        if not self._names or not isinstance(row, (Mapping, Sequence)):
            return
        record = row if isinstance(row, Mapping) else by_position(list(row))
        if self._template in record:
            return  # a column that is called like a template
        for name in self._names:
            value = record.get(name)
            if isinstance(value, str) and not value.strip():
                self._empty[name] = self._empty.get(name, 0) + 1
                self._rows.add(id, name)

    def findings(self) -> Iterator[Finding]:
        """That there were empty cells, if there were."""
        if self._rows.count:
            yield self._rows.finding(
                "empty-template-cells",
                "warning",
                f"{{rows}} with nothing in {listed(self._empty)}; the other text of the input {brief(self._template)} "
                "stays around the gap",
                columns=self._empty,
            )
