"""What was guessed about rows, as findings that say how to override it. Knows no way to guess."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tunekit.data.findings import Finding
from tunekit.data.shapes import fields
from tunekit.data.shapes.base import Shape
from tunekit.data.shapes.catalogue import shape as named
from tunekit.data.shapes.columns import Columns
from tunekit.data.shapes.rft import SOLUTIONS
from tunekit.data.shapes.table import Guess
from tunekit.data.wording import brief, listed

_NUMBERS = frozenset({"0", "1"})
_VERDICTS = frozenset(
    {
        _NUMBERS,
        *map(frozenset, (("bad", "good"), ("no", "yes"), ("rejected", "accepted"), ("rejected", "chosen"))),
        *map(frozenset, (("incorrect", "correct"), ("wrong", "right"), ("undesirable", "desirable"))),
        *map(frozenset, (("down", "up"), ("negative", "positive"), ("\U0001f44e", "\U0001f44d"))),
    }
)
"""Pairs of labels that people give answers."""


def guessed_shape(shape: Shape, counts: Counter[str], records: Sequence[Mapping[str, Any]]) -> Finding:
    """Rows whose keys said what they are; a warning where they may well be something else."""
    doubt = _may_be_verdicts(shape, records) or _may_be_answers(shape, records)
    rows = len(records)
    others = {name: count for name, count in counts.items() if name != shape.name}
    more = "".join(f", {count} as {named(name).says}" for name, count in others.items())
    return Finding(
        code="guessed-shape",
        severity="warning" if doubt else "info",
        message=f"rows are read as {shape.says}, by their keys ({counts[shape.name]} of the first {rows}{more});"
        f" pass shape=, or input= and target=, to read them otherwise{doubt or _verdicts(shape, records)}",
        facts={"shape": shape.name, "rows": rows, "counts": dict(counts)},
    )


def _are_zero_and_one(records: Sequence[Mapping[str, Any]]) -> bool:
    return {fields.spelled(record["label"]) for record in records if "label" in record} == {"0", "1"}


def _verdicts(shape: Shape, records: Sequence[Mapping[str, Any]]) -> str:
    if shape.name != "unpaired" or not _are_zero_and_one(records):
        return ""
    return "; the label 1 says that a completion is good, 0 that it is bad"


def _may_be_verdicts(shape: Shape, records: Sequence[Mapping[str, Any]]) -> str:
    labels = {fields.spelled(record["label"]) for record in records if "label" in record}
    said = frozenset((label or "").strip().casefold() for label in labels)
    if "completion" not in shape.kinds or said not in _VERDICTS:
        return ""
    way = 'pass shape="unpaired"' if said == _NUMBERS else 'write true and false and pass shape="unpaired"'
    return (
        f"; the column 'label' holds {' and '.join(sorted(said))}: where those say which answers are bad and good,"
        f" bad ones are learned, too, unless you {way}"
    )


def _may_be_answers(shape: Shape, records: Sequence[Mapping[str, Any]]) -> str:
    keys = {key for record in records if isinstance(record.get("prompt"), str) for key in record}
    key = next((key for key in SOLUTIONS if key in keys), None)
    if shape.name != "rft" or key is None:
        return ""
    way = f"input='prompt', target={key!r}"
    return f"; {key!r} is what graders compare answers with, and is not learned, unless you pass {way}"


def guessed_columns(guess: Guess) -> Finding:
    """Columns whose names and contents said what they are."""
    columns = guess.columns
    read = f"{brief(columns.input)} is read as the input and " if columns.input is not None else ""
    return Finding(
        code="guessed-columns",
        severity="info",
        message=f"{read}{listed(columns.targets)} as {role(columns)}: {guess.reason};"
        " pass input=, target= and kind= to read other columns",
        facts={
            "input": columns.input,
            "target": columns.target,
            "kind": columns.kind,
            "reason": guess.reason,
        },
    )


def odd_labels(records: Sequence[Mapping[str, Any]], columns: Columns) -> list[Finding]:
    """Labels that nobody has named, and that are written as numbers or as lists."""
    if columns.kind != "labelled" or columns.label_names or isinstance(columns.target, tuple):
        return []
    values = [record.get(key) for record in records for key in columns.targets]
    said = sorted({text for value in values if (text := fields.spelled(value)) and text.strip()})
    plain = [text.strip() for text in said]
    if said and all(text.startswith("[") and text.endswith("]") for text in plain):
        return [_listed_labels(said)]
    if said and all(text.lstrip("+-").isdecimal() for text in plain):
        return [_numeric_labels(said)]
    return []


def _listed_labels(said: Sequence[str]) -> Finding:
    return Finding(
        code="listed-labels",
        severity="warning",
        message=f"the labels are lists that are written as texts ({listed(said)}), and each list is read as one label;"
        " load them as lists, or write them with ';' between and pass label_separator=';'",
        facts={"labels": said[:20]},
    )


def _numeric_labels(said: Sequence[str]) -> Finding:
    return Finding(
        code="numeric-labels",
        severity="info",
        message=f"the labels are numbers ({listed(said)}), which say nothing to a model;"
        ' pass label_names= with what they mean, such as ["no", "yes"]',
        facts={"labels": said[:20]},
    )


def role(columns: Columns) -> str:
    """What the target columns are."""
    if columns.kind == "labelled":
        return "the label" if len(columns.targets) == 1 else "labels"
    return "the reference" if columns.kind == "prompt" else "the completion" if columns.input else "raw text"
