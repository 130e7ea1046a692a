"""What a person should know about a table in text beside its rows. Knows how findings are worded; reads no rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from tunekit.data.findings import Finding, Severity, evidence
from tunekit.data.readers.base import Notes, ReadOptions
from tunekit.data.readers.counted import Counted
from tunekit.data.readers.dialect import Dialect
from tunekit.data.readers.table_layout import Layout
from tunekit.data.wording import listed


class TableNotes:
    """Collects what is noticed while rows pass by.

    Args:
        notes: Where it goes in the end.
        layout: Of the table.
        unit: What rows are counted in: lines of a text, or rows of a sheet.
    """

    def __init__(self, notes: Notes, layout: Layout, unit: Literal["line", "row"] = "line") -> None:
        self._unit = unit
        self._notes = notes
        self._keys = layout.names.keys
        self._nameless = dict.fromkeys(layout.nameless, 0)
        self._spilled = Counted()
        self.blank, self.padded, self.repeated, self.swallowed = (Counted() for _ in range(4))

    def row(self, number: int) -> str:
        """Id of the row that begins on this line."""
        return self._notes.row(number)

    def spilled(self, row: str, position: int, cell: str) -> None:
        """A column without a name has something in it."""
        self._nameless[position] += 1
        self._spilled.add(row, self._keys[position], evidence(cell))

    def dialect(self, dialect: Dialect, options: ReadOptions) -> None:
        """Say what was decided about the cells of a text."""
        quoting = "backslash" if dialect.escaped else dialect.quoting
        self._notes.facts.update(delimiter=dialect.delimiter, quoting=quoting)
        if options.quoting is None and dialect.escaped:
            self._say(
                "guessed-escapes",
                'quotes inside cells have backslashes before them, so \\" is read as a quote, \\\\ as a backslash;'
                " pass quoting=True if backslashes are text here",
            )
        if options.quoting is None and not dialect.quoting:
            self._say(
                "guessed-quoting",
                "quotes were taken for a part of the text, as some open a cell and do not close it;"
                " pass quoting=True if they stand around cells",
            )

    def begin(self, layout: Layout) -> None:
        """Say what was decided about the table as a whole."""
        self._notes.facts.update(is_table=True, header=layout.line or False)
        if layout.reason and not layout.line:
            self._say(
                "assumed-no-header",
                f"the first row was taken for data: {layout.reason}; the columns are called {listed(self._keys)};"
                " pass header=True if it names them",
            )
        if layout.above:
            self._say(
                "rows-above-header",
                f"{self._unit} {layout.line} names the columns; what stands above it was not read",
                rows=[self._notes.row(line) for line in layout.above],
            )
        if layout.second:
            self._say(
                "two-header-rows",
                f"{self._unit} {layout.second} looks like more names and was read as data;"
                f" pass header={layout.second} if it names the columns",
                "warning",
                rows=[self._notes.row(layout.second)],
            )
        if cleaned := layout.cleaned:
            self._say(
                "cleaned-column-names",
                f"spaces around names of columns were taken off: {listed(cleaned)}",
                columns=cleaned,
            )
        if repeated := layout.repeated:
            self._say(
                "repeated-column-names",
                f"names that another column has, too, got their position added: {listed(repeated)}",
                columns=repeated,
            )

    def finish(self) -> None:
        """Say what the rows were like, once the last has been read."""
        found: tuple[tuple[Counted, str, Severity, str], ...] = (
            (self.blank, "blank-rows", "info", "{rows} with nothing in any cell, passed by"),
            (self.padded, "padded-rows", "info", "{rows} with more cells than columns, empty ones, left off"),
            (self.repeated, "repeated-header", "warning", "the header once more in {rows}, passed by"),
            (
                self.swallowed,
                "rows-inside-quotes",
                "warning",
                "a quoted cell in {rows} goes on over lines that look like rows of their own;"
                " pass quoting=False if quotes are part of the text here",
            ),
        )
        for counted, code, severity, message in found:
            if counted.count:
                self._notes.findings.append(counted.finding(code, severity, message))
        self._finish_nameless()

    def _finish_nameless(self) -> None:
        empty = [self._keys[position] for position, count in self._nameless.items() if not count]
        filled = {self._keys[position]: count for position, count in self._nameless.items() if count}
        if empty:
            message = f"columns without name and content were left out: {listed(empty)}"
            self._say("empty-columns", message, columns=empty)
        if filled:
            message = f"columns without a name hold something in {{rows}}; they are called {listed(filled)}"
            self._notes.findings.append(
                self._spilled.finding("unnamed-columns", "info", message, columns=filled)
            )

    def _say(
        self, code: str, message: str, severity: Severity = "info", *, rows: Sequence[str] = (), **facts: Any
    ) -> None:
        self._notes.findings.append(
            Finding(code=code, severity=severity, message=message, rows=tuple(rows), facts=facts)
        )
