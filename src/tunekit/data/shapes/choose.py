"""How the rows of one source are read: as the caller says, or as their keys and contents say. Knows no file.

The choice is made once, from the first rows, and named in a finding; later rows of another shape are read as that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tunekit.data.classes.targets import MAX_CLASS_CHARS
from tunekit.data.findings import Finding
from tunekit.data.shapes import columns as by_columns
from tunekit.data.shapes import fields, guesses, prompts, table
from tunekit.data.shapes.base import Shape
from tunekit.data.shapes.catalogue import shape as named
from tunekit.data.shapes.catalogue import shapes
from tunekit.data.shapes.columns import Columns
from tunekit.data.shapes.labelled import by_position
from tunekit.data.wording import brief, listed, shown
from tunekit.errors import DataError, SpecError
from tunekit.examples import Example, LabelledExample

SAMPLE_ROWS = 200
"""How many rows a choice looks at; more are not used."""
_MOST_KEYS = 100
"""A lone object with more keys is no row with columns to choose from, but a vocabulary or the like."""
_SHAPES = (
    'rows are {"messages": [...]}, {"prompt": ..., "completion": ...} or {"text": ...};'
    " for other keys pass input= and target="
)
_TOKENS = ("input_ids", "token_ids", "tokens")
# Rows with these keys that no shape recognises are of that shape with a mistake in them: its reader says which.
_TELLING = (
    ("messages", "openai"),
    ("chosen", "preference"),
    ("prompt", "prompt-completion"),
    ("instruction", "alpaca"),
)

Read: TypeAlias = Callable[[Any, str], Example | tuple[Example, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """How rows are read.

    Attributes:
        name: Of the shape, or "columns" where an input and a target were named or guessed.
        says: What the rows are, in a few words.
        read: The example, or the examples, of a decoded row with this id. Raises `DataError` with the field.
        columns: The columns that are read, where they are.
        findings: What was guessed, and how to say otherwise.
    """

    name: str
    says: str
    read: Read
    columns: Columns | None = None
    findings: tuple[Finding, ...] = ()


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
    if shape is not None:
        return _by_shape(named(shape), asked)
    rows = [row for row in sample[:SAMPLE_ROWS] if isinstance(row, (Mapping, list))]
    if asked.targets:
        return _by_columns(asked, rows)
    if rows and sum(isinstance(row, list) for row in rows) * 2 > len(rows):
        return _of_lists([row for row in rows if isinstance(row, list)], asked)
    records = [row for row in rows if isinstance(row, Mapping)]
    return _of_records(records, asked, is_table) if records else _unseen(asked)


# --- as the caller says -------------------------------------------------------------------------------


def _by_shape(shape: Shape, asked: Columns) -> Chosen:
    if asked.targets:
        raise SpecError(
            f"shape={shape.name!r} and target={asked.target!r} exclude each other",
            hint="a shape knows its own keys; pass the one or the other",
        )
    if asked.kind is not None and asked.kind not in shape.kinds:
        raise SpecError(
            f"shape={shape.name!r} has no {asked.kind} examples", hint=f"it has {listed(sorted(shape.kinds))}"
        )

    def read(row: Any, id: str) -> Example | tuple[Example, ...]:
        return shape.read(row if shape.name == "pairs" else _record(row), id)

    return Chosen(name=shape.name, says=shape.says, read=_with_names(read, asked))


def _by_columns(columns: Columns, rows: Sequence[Any], finding: Finding | None = None) -> Chosen:
    def read(row: Any, id: str) -> Example:
        return by_columns.read(columns, _record(row), id)

    said = f"{brief(columns.input)} with " if columns.input is not None else ""
    says = f"{said}{listed(columns.targets)} as {guesses.role(columns)}"
    findings = [finding] if finding else []
    return Chosen(
        name="columns",
        says=says,
        read=read,
        columns=columns,
        findings=(*findings, *guesses.numeric_labels([_record(row) for row in rows], columns)),
    )


# --- as the rows say ----------------------------------------------------------------------------------


def _of_records(records: list[Mapping[str, Any]], asked: Columns, is_table: bool) -> Chosen:
    found = [_recognised(record, asked) for record in records]
    counts = Counter(shape.name for shape in found if shape is not None)
    [(name, count), *_] = counts.most_common(1) or [("", 0)]
    strange = [record for record, shape in zip(records, found, strict=True) if shape is None]
    if not strange or count * 2 >= len(records):
        return _guessed_shape(named(name), counts, len(records), records, asked)
    try:
        guess = table.guess(strange, asked)
    except DataError:
        _refuse_tokens(strange[0])
        telling = named(name) if count else _telling(records[0])
        if telling is not None:
            return _guessed_shape(telling, counts, len(records), records, asked)
        flat = any(fields.spelled(value) is not None for value in strange[0].values())
        if is_table or (flat and (len(records) > 1 or len(strange[0]) <= _MOST_KEYS)):
            raise
        raise _unknown(strange[0]) from None
    return _by_columns(guess.columns, records, guesses.guessed_columns(guess))


def _recognised(record: Mapping[str, Any], asked: Columns) -> Shape | None:
    if asked.kind == "prompt" and prompts.has(record) and "kind" not in record:
        return named("rft")  # what is asked for is not to be learned, whatever else the row could be
    return next(
        (
            shape
            for shape in shapes()
            if (asked.kind is None or asked.kind in shape.kinds) and shape.recognises(record)
        ),
        None,
    )


def _telling(record: Mapping[str, Any]) -> Shape | None:
    return next((named(name) for key, name in _TELLING if key in record), None)


def _guessed_shape(
    main: Shape, counts: Counter[str], rows: int, records: list[Mapping[str, Any]], asked: Columns
) -> Chosen:
    def read(row: Any, id: str) -> Example | tuple[Example, ...]:
        record = _object(row)
        shape = main if main.recognises(record) else _recognised(record, asked)
        if shape is None:
            _refuse_tokens(record)
            shape = main if shares_a_key(record) else None
        if shape is None:
            raise _unknown(record)
        return shape.read(record, id)

    keys = frozenset(key for record in records if main.recognises(record) for key in record)

    def shares_a_key(record: Mapping[str, Any]) -> bool:
        # A row of the main shape with a mistake: the shape's own reader names the field.
        return not keys or not keys.isdisjoint(record)

    finding = [] if main.name == "tunekit" else [guesses.guessed_shape(main, counts, rows, records)]
    labels = (
        guesses.numeric_labels(records, Columns("text", "label", "labelled", asked.label_names))
        if main.name == "labelled"
        else []
    )
    return Chosen(name=main.name, says=main.says, read=_with_names(read, asked), findings=(*finding, *labels))


def _of_lists(rows: list[list[Any]], asked: Columns) -> Chosen:
    records = [by_position(row) for row in rows]
    pairs = named("pairs")
    if asked.kind not in (None, "labelled") or not _are_text_and_label(rows, pairs):
        guess = table.guess(records, asked)
        return _by_columns(guess.columns, rows, guesses.guessed_columns(guess))
    finding = guesses.guessed_shape(pairs, Counter({pairs.name: len(rows)}), len(rows))
    numbers = guesses.numeric_labels(records, Columns("column 1", "column 2", "labelled", asked.label_names))
    read = _with_names(pairs.read, asked)
    return Chosen(name=pairs.name, says=pairs.says, read=read, findings=(finding, *numbers))


def _are_text_and_label(rows: list[list[Any]], pairs: Shape) -> bool:
    """Whether all are pairs of which the first is the longer, and the second short enough for a label."""
    if not all(pairs.recognises(row) for row in rows):
        return False
    texts, labels = [len(text) for text, _ in rows], [len(str(label)) for _, label in rows]
    return sum(texts) > sum(labels) and max(labels) <= MAX_CLASS_CHARS


def _unseen(asked: Columns) -> Chosen:
    def read(row: Any, id: str) -> Example | tuple[Example, ...]:
        return choose([_record(row)], columns=asked).read(row, id)

    return Chosen(name="", says="rows", read=read)


# --- rows ---------------------------------------------------------------------------------------------


def _record(row: Any) -> Mapping[str, Any]:
    return by_position(row) if isinstance(row, list) else _object(row)


def _object(row: Any) -> Mapping[str, Any]:
    if isinstance(row, Mapping):
        return row
    raise DataError(f"expected an object, found {shown(row)}", hint=_SHAPES)


def _unknown(record: Mapping[str, Any]) -> DataError:
    return DataError(f"unknown shape with the keys {listed(map(str, record)) or 'none'}", hint=_SHAPES)


def _refuse_tokens(record: Mapping[str, Any]) -> None:
    for key in _TOKENS:
        value = record.get(key)
        if isinstance(value, list) and value and all(type(each) is int for each in value[:20]):
            raise DataError(
                "these are rows of token ids, not text",
                field=key,
                hint="load the data from before they were tokenised: ids mean something to one tokenizer only",
            )


def _with_names(read: Read, asked: Columns) -> Read:
    """The reader, labels called by the names that the caller gave them."""
    if not asked.label_names and asked.label_separator is None:
        return read

    def renamed(row: Any, id: str) -> Example | tuple[Example, ...]:
        found = read(row, id)
        if isinstance(found, LabelledExample):
            return found.replace(label=by_columns.labels(asked, found.label, "label"))
        return found

    return renamed
