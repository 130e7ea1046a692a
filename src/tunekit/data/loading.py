"""From a source of rows to examples: read, choose the shape, convert. Knows no `Dataset`.

The one place that decides what happens to a row that cannot be used.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, Literal, TypeAlias

from tunekit.data.arguments import whole
from tunekit.data.patterns.veil import veiled
from tunekit.data.readers.base import Made, Notes, Row
from tunekit.data.shapes import BlankTarget, Columns
from tunekit.data.shapes.choose import SAMPLE_ROWS, Chosen, choose
from tunekit.data.shapes.fast_chat import FastChats
from tunekit.data.shapes.template_cells import TemplateCells
from tunekit.data.sources.base import Source
from tunekit.data.wording import counted
from tunekit.errors import DataError, SpecError
from tunekit.examples import Example

OnError: TypeAlias = Literal["raise", "skip"]

_LISTED_LINES = 5
_BLANKING = frozenset({"error-cells", "formulas-without-values", "merged-cells"})
"""Findings of readers that say why a cell is blank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A row that was left out because the caller said `on_error="skip"`.

    Attributes:
        id: Its row id, such as `"tickets.csv:12"`.
        line: 1-based line, sheet row or item where it begins.
        reason: What was wrong with it.
    """

    id: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the rows of a source are to become.

    Attributes:
        columns: The input and the target, where the caller names them.
        shape: Name of the record shape, where the caller names it.
        limit: Most examples, or None.
        on_error: What to do with a row that cannot be used.
        together: Go on after a row with nothing to learn, and raise one error for all such rows at the end.
    """

    columns: Columns | None = None
    shape: str | None = None
    limit: int | None = None
    on_error: OnError = "raise"
    together: bool = False

    @classmethod
    def of(cls, columns: Columns | None, shape: str | None, limit: int | None, on_error: OnError) -> Plan:
        """From the arguments of `Dataset.load`."""
        most = None if limit is None else whole("limit", limit, least=1)
        return cls(columns=columns, shape=shape, limit=most, on_error=on_error)

    def __post_init__(self) -> None:
        if self.on_error not in ("raise", "skip"):
            raise SpecError(f"on_error is {self.on_error!r}", hint="use 'raise' or 'skip'")


@dataclass(slots=True)
class Found:
    """What one pass over a source noticed; complete after the last row.

    Attributes:
        name: Of the source.
        notes: Facts and findings of the readers.
        skipped: Rows left out.
        is_train: Whether a test part has been taken away.
    """

    name: str = ""
    notes: Notes = field(default_factory=Notes)
    skipped: list[Skipped] = field(default_factory=list)
    is_train: bool = False


def examples(source: Source, plan: Plan, found: Found) -> Iterator[Example]:
    """The examples of a source, one at a time.

    Raises:
        DataError: With path, line and field: the source cannot be read, or a row cannot be used.
    """
    found.name = source.name
    with _named_in_errors(source.place), source.opened(found.notes) as rows:
        rows, chosen = _chosen(rows, plan, found)
        yield from _converted(rows, chosen, plan, found)


@contextmanager
def _named_in_errors(place: str) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        error.path = error.path or place
        _veil(error)
        raise


def _veil(error: DataError) -> None:
    """Errors are logged: what a file's name, a column's or a cell tells of a person stays out of them."""
    error.message, error.hint = veiled(error.message), veiled(error.hint)
    error.path, error.field = veiled(error.path or ""), error.field and veiled(error.field)
    error.args = (error.message,)


def _chosen(rows: Iterator[Row], plan: Plan, found: Found) -> tuple[Iterator[Row], Chosen]:
    """The same rows, and the shape that the first of them have."""
    sample = list(islice(rows, SAMPLE_ROWS))
    values = [value for _, value in sample if not isinstance(value, DataError)]
    if not values:
        _refuse_no_rows(sample, plan)
    is_table = bool(found.notes.facts.get("is_table"))
    chosen = choose(values, columns=plan.columns, shape=plan.shape, is_table=is_table)
    if chosen.name == "openai":
        found.notes.decode = FastChats(found.name)
    found.notes.facts["shape"] = chosen.name
    found.notes.findings.extend(chosen.findings)
    return chain(sample, rows), chosen


def _refuse_no_rows(sample: Sequence[Row], plan: Plan) -> None:
    for number, value in sample:
        if plan.on_error == "raise":
            value.line = value.line or number
            raise value
        raise DataError(
            f"no row can be used; the first: {value.message}",
            line=number,
            hint='pass on_error="raise" for that error with its own hint',
        )
    raise DataError("there are no rows", hint="look at what they come from")


def _converted(rows: Iterator[Row], chosen: Chosen, plan: Plan, found: Found) -> Iterator[Example]:
    blank, most = _Blank(), sys.maxsize if plan.limit is None else plan.limit
    cells = TemplateCells(chosen.columns)
    left = most
    for number, value in rows:
        row_id = f"{found.name}:{number}"
        try:
            made = _made(value, chosen, row_id)
        except DataError as error:
            error.line = number
            if plan.on_error == "skip":
                found.skipped.append(Skipped(id=row_id, line=number, reason=_reason(error)))
            elif plan.together and isinstance(error, BlankTarget):
                blank.add(error, number)  # one message for all of them: people fix a column at once
            else:
                raise
            continue
        cells.see(value, row_id)
        yield from made[:left]
        left -= len(made)
        if left <= 0:
            break
    blank.check(found.notes)
    found.notes.findings.extend((*cells.findings(), *chosen.remarks.findings()))
    if left == most:
        _refuse_nothing(found)


def _made(value: Any, chosen: Chosen, row_id: str) -> Sequence[Example]:
    if type(value) is Made:
        return value.examples
    if isinstance(value, DataError):
        raise value
    made = chosen.read(value, row_id)
    return made if isinstance(made, tuple) else (made,)


def _reason(error: DataError) -> str:
    return f"{error.field}: {error.message}" if error.field else error.message


def _refuse_nothing(found: Found) -> None:
    if not found.skipped:
        raise DataError(
            "no row was accepted by its annotators, so nothing is left to learn",
            hint="finish the annotation, or export another set",
        )
    first, skipped = found.skipped[0], counted(len(found.skipped), "row")
    raise DataError(
        f"no row can be used, {skipped} skipped; the first: {first.reason}",
        line=first.line,
        hint='pass on_error="raise" for that error with its own hint',
    )


class _Blank:
    """Rows with nothing to learn: where the first few are, and how many."""

    def __init__(self) -> None:
        self.first: DataError | None = None
        self.lines: list[int] = []
        self.count = 0

    def add(self, error: DataError, line: int) -> None:
        self.first = self.first or error
        self.count += 1
        if self.count <= _LISTED_LINES:
            self.lines.append(line)

    def check(self, notes: Notes) -> None:
        if self.first is None:
            return
        row = notes.row(self.lines[0])
        reasons = [each.message for each in notes.findings if each.code in _BLANKING and row in each.rows]
        more = ", ..." if self.count > len(self.lines) else ""
        where = (
            f" in {self.count} rows, on lines {', '.join(map(str, self.lines))}{more}"
            if self.count > 1
            else ""
        )
        raise DataError(
            "; ".join([self.first.message + where, *reasons]),
            line=self.lines[0],
            field=self.first.field,
            hint='fill them in, or pass on_error="skip" to leave such rows out and list them in `skipped`',
        )
