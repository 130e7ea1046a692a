"""How the rows of one source are read: as the caller says, or as their keys and contents say. Knows no file.

The choice is made once, from the first rows, and named in a finding; later rows of another shape are read as that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from tunekit.data.classes.targets import MAX_CLASS_CHARS
from tunekit.data.findings import Finding
from tunekit.data.shapes import columns as by_columns
from tunekit.data.shapes import fields, guesses, table, translations, unread
from tunekit.data.shapes.base import Record, Shape
from tunekit.data.shapes.catalogue import shape as named
from tunekit.data.shapes.columns import Columns
from tunekit.data.shapes.labelled import by_position
from tunekit.data.shapes.remarks import Remarks
from tunekit.data.shapes.restated import Restated
from tunekit.data.shapes.restating import Restating
from tunekit.data.shapes.sample import Sample, recognised
from tunekit.data.wording import brief, listed
from tunekit.errors import DataError, SpecError
from tunekit.examples import Example, LabelledExample

SAMPLE_ROWS = 200
"""How many rows a choice looks at; more are not used."""
_MOST_KEYS = 100
"""A lone object with more keys is no row with columns to choose from, but a vocabulary or the like."""

Found: TypeAlias = Example | tuple[Example, ...]
Read: TypeAlias = Callable[[Any, str], Found]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """How rows are read.

    Attributes:
        name: Of the shape, or "columns" where an input and a target were named or guessed.
        says: What the rows are, in a few words.
        read: The example, or the examples, of a decoded row with this id; none where its annotators did not accept it.
            Raises `DataError` with the field.
        columns: The columns that are read, where they are.
        findings: What was guessed, and how to say otherwise.
        remarks: What there was to say about the rows that have been read.
    """

    name: str
    says: str
    read: Read
    columns: Columns | None = None
    findings: tuple[Finding, ...] = ()
    remarks: Remarks = field(default_factory=Remarks)


def choose(
    sample: Sequence[Any], *, columns: Columns | None = None, shape: str | None = None, is_table: bool = False
) -> Chosen:
    """How to read rows that begin like these.

    Args:
        sample: The first rows, as a reader gives them; what is no row is passed over.
        columns: What the caller says about columns, kinds and labels.
        shape: What the caller says about the shape.
        is_table: Whether the rows are a table's: all have the same columns, and every cell is a text.

    Raises:
        SpecError: There is no such shape, or it does not go with the columns.
        DataError: Nobody said what the rows are, and they do not say it themselves.

    Examples:
        >>> chosen = choose([{"instruction": "Say hi", "input": "", "output": "hi"}])
        >>> chosen.says, chosen.read({"instruction": "Say no", "output": "no"}, "a.json:2").completion
        ('Alpaca instructions', 'no')
    """
    asked = columns or Columns(None, None)
    first = sample[:SAMPLE_ROWS]
    records = [unread.as_object(row) for row in first if isinstance(row, Mapping) or unread.is_chat(row)]
    lists = [row for row in first if isinstance(row, list) and not unread.is_chat(row)]
    restating = Restating(records)
    if shape is not None:
        return _by_shape(named(shape), asked, restating)
    if asked.targets:
        return _by_columns(asked, [*records, *map(by_position, lists)], restating)
    if len(lists) > len(records):
        return _of_lists(lists, asked, restating)
    return _of_records(records, asked, restating, is_table=is_table)


def _reader(
    restate: Callable[[Record], Restated],
    read: Callable[[Restated, str], Found],
    remarks: Remarks,
    record_of: Callable[[Any], Record] = unread.as_record,
) -> Read:
    """Reads rows that are restated first, and keeps what there is to say about those that could be read."""

    def read_row(row: Any, id: str) -> Found:
        made = restate(record_of(row))
        found = read(made, id) if made.is_accepted else ()
        if made.remarks:
            remarks.add(id, made.remarks)
        return found

    return read_row


# --- as the caller says -------------------------------------------------------------------------------


def _by_shape(shape: Shape, asked: Columns, restating: Restating) -> Chosen:
    if asked.targets:
        raise SpecError(
            f"shape={shape.name!r} and target={asked.target!r} exclude each other",
            hint="a shape knows its own keys; pass the one or the other",
        )
    if asked.kind is not None and asked.kind not in shape.kinds:
        raise SpecError(
            f"shape={shape.name!r} has no {asked.kind} examples", hint=f"it has {listed(sorted(shape.kinds))}"
        )

    def restate(record: Record) -> Restated:
        return restating(record, shape.name)

    def read(made: Restated, id: str) -> Found:
        return shape.read(made.record, id)

    found = shape.read if shape.name == "pairs" else _reader(restate, read, restating.remarks)
    return Chosen(name=shape.name, says=shape.says, read=_with_names(found, asked), remarks=restating.remarks)


def _by_columns(columns: Columns, records: Sequence[Record], restating: Restating) -> Chosen:
    names = columns.names

    def restate(record: Record) -> Restated:
        return restating.for_columns(translations.flat(record), names)

    return _of_columns(columns, records, restate, restating.remarks)


def _of_columns(
    columns: Columns, records: Sequence[Record], restate: Callable[[Record], Restated], remarks: Remarks
) -> Chosen:
    def read(made: Restated, id: str) -> Example:
        return by_columns.read(columns, made.record, id)

    said = f"{brief(columns.input)} with " if columns.input is not None else ""
    return Chosen(
        name="columns",
        says=f"{said}{listed(columns.targets)} as {guesses.role(columns)}",
        read=_reader(restate, read, remarks),
        columns=columns,
        findings=tuple(guesses.odd_labels(records, columns)),
        remarks=remarks,
    )


# --- as the rows say ----------------------------------------------------------------------------------


def _of_records(records: list[Record], asked: Columns, restating: Restating, *, is_table: bool) -> Chosen:
    sample = Sample.of(records, asked, restating)
    return (
        _chosen(sample, asked, restating, is_table=is_table) if sample.records else _unseen(asked, restating)
    )


def _chosen(sample: Sample, asked: Columns, restating: Restating, *, is_table: bool) -> Chosen:
    [(name, count), *_] = sample.counts.most_common(1) or [("", 0)]
    if not sample.strange or count * 2 >= len(sample.records):
        return _guessed_shape(named(name), sample, asked, restating)
    try:
        return _guessed_columns(sample, asked, restating)
    except DataError:
        unread.refuse_tokens(sample.strange[0])
        unread.refuse_turns(sample.strange)
        meant = named(name) if count else unread.meant(sample.records[0])
        if meant is not None:
            return _guessed_shape(meant, sample, asked, restating)
        if is_table or _has_columns(sample):
            raise
        raise unread.unknown(sample.strange[0]) from None


def _has_columns(sample: Sample) -> bool:
    first = sample.strange[0]
    flat = translations.is_one(first) or any(fields.spelled(value) is not None for value in first.values())
    return flat and (len(sample.records) > 1 or len(first) <= _MOST_KEYS)


def _guessed_columns(sample: Sample, asked: Columns, restating: Restating) -> Chosen:
    def restate(record: Record) -> Restated:
        return restating(translations.flat(record))

    guess = translations.guess(sample.strange, asked) or table.guess(sample.strange, asked)
    found = _of_columns(guess.columns, sample.records, restate, restating.remarks)
    return replace(found, findings=(guesses.guessed_columns(guess), *found.findings))


def _guessed_shape(main: Shape, sample: Sample, asked: Columns, restating: Restating) -> Chosen:
    keys = frozenset(key for record in sample.of_shape(main) for key in record)

    def read(made: Restated, id: str) -> Found:
        is_main = made.shape is None and main.recognises(made.record)
        shape = main if is_main else recognised(made, asked)
        if shape is None:
            unread.refuse_tokens(made.record)
            if keys and keys.isdisjoint(made.record):
                raise unread.unknown(made.record)
            shape = main  # with a mistake, whose field the shape's own reader names
        return shape.read(made.record, id)

    findings = [] if main.name == "tunekit" else [guesses.guessed_shape(main, sample.counts, sample.records)]
    if main.name == "labelled":
        key = next((key for key in ("label", "labels") if key in keys), "label")
        labels = Columns("text", key, "labelled", asked.label_names)
        findings += guesses.odd_labels(sample.records, labels)
    return Chosen(
        name=main.name,
        says=main.says,
        read=_with_names(_reader(restating, read, restating.remarks, unread.as_object), asked),
        findings=tuple(findings),
        remarks=restating.remarks,
    )


def _of_lists(rows: list[list[Any]], asked: Columns, restating: Restating) -> Chosen:
    records = [by_position(row) for row in rows]
    pairs = named("pairs")
    if asked.kind not in (None, "labelled") or not _are_text_and_label(rows, pairs):
        guess = table.guess(records, asked)
        found = _by_columns(guess.columns, records, restating)
        return replace(found, findings=(guesses.guessed_columns(guess), *found.findings))
    finding = guesses.guessed_shape(pairs, Counter({pairs.name: len(rows)}), records)
    numbers = guesses.odd_labels(records, Columns("column 1", "column 2", "labelled", asked.label_names))
    read = _with_names(pairs.read, asked)
    return Chosen(name=pairs.name, says=pairs.says, read=read, findings=(finding, *numbers))


def _are_text_and_label(rows: list[list[Any]], pairs: Shape) -> bool:
    """Whether all are pairs of which the first is the longer, and the second short enough for a label."""
    if not all(pairs.recognises(row) for row in rows):
        return False
    texts, labels = [len(text) for text, _ in rows], [len(str(label)) for _, label in rows]
    return sum(texts) > sum(labels) and max(labels) <= MAX_CLASS_CHARS


def _unseen(asked: Columns, restating: Restating) -> Chosen:
    """Nothing is known yet: each row is read as what it is."""

    def read(made: Restated, id: str) -> Found:
        sample = Sample((made.record,), (recognised(made, asked),))
        return _chosen(sample, asked, restating, is_table=False).read(made.record, id)

    return Chosen(
        name="", says="rows", read=_reader(restating, read, restating.remarks), remarks=restating.remarks
    )


def _with_names(read: Read, asked: Columns) -> Read:
    """The reader, labels called by the names that the caller gave them."""
    if not asked.label_names and asked.label_separator is None:
        return read

    def renamed(row: Any, id: str) -> Found:
        found = read(row, id)
        if isinstance(found, LabelledExample):
            return found.replace(label=by_columns.labels(asked, found.label, "label"))
        return found

    return renamed
