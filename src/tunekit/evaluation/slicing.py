"""The difference of two models on parts of the test. Knows columns and corrections; not how a difference is found.

Slices overlap and are many, so that some look bad by luck alone: the adjusted p-value is the one to read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tunekit.data.wording import brief
from tunekit.errors import EvaluationError, NotFoundError
from tunekit.evaluation import stats
from tunekit.evaluation.comparison import SliceComparison
from tunekit.evaluation.findings import find
from tunekit.evaluation.grouping import NO_VALUE
from tunekit.evaluation.pairing import Pair, Pairs


def compare_slices(pairs: Pairs, level: float) -> tuple[tuple[SliceComparison, ...], tuple[str, ...]]:
    """The difference on each value of each column, by column, the largest slice first; and why some are left out.

    Raises:
        EvaluationError: An item is in one slice of one evaluation and in another of the other.
    """
    found: list[SliceComparison] = []
    left_out: list[str] = []
    for column in _columns(pairs):
        for value, part in _parts(pairs, column):
            try:
                found.append(_compared(column, value, part, level))
            except EvaluationError as error:  # a metric that is undefined on these few items
                left_out.append(f"slice {column}={brief(value)} is left out: {error}")
    adjusted = stats.holm([each.p_value for each in found])
    corrected = (
        each.model_copy(update={"p_adjusted": p_value}) for each, p_value in zip(found, adjusted, strict=True)
    )
    return tuple(corrected), tuple(left_out)


def part_of(pairs: Pairs, column: str, value: str) -> Pairs:
    """The pairs with a value in a column.

    Raises:
        NotFoundError: There is none.
        EvaluationError: An item is in one slice of one evaluation and in another of the other.
    """
    if column not in _columns(pairs):
        raise NotFoundError(
            f"the evaluations are not sliced by {brief(column)}", hint=f"evaluate with slices=({column!r},)"
        )
    parts = dict(_parts(pairs, column))
    if value not in parts:
        raise NotFoundError(
            f"no item has {brief(value)} as {brief(column)}",
            hint=f"there are: {', '.join(map(brief, parts))}",
        )
    return parts[value]


def _columns(pairs: Pairs) -> tuple[str, ...]:
    return tuple(dict.fromkeys(column for row in pairs.rows for result in row for column in result.slices))


def _parts(pairs: Pairs, column: str) -> Iterator[tuple[str, Pairs]]:
    rows: dict[str, list[Pair]] = {}
    for row in pairs.rows:
        rows.setdefault(_value(row, column), []).append(row)
    for value in sorted(rows, key=lambda name: (-len(rows[name]), name)):
        yield value, replace(pairs, rows=tuple(rows[value]))


def _value(row: Pair, column: str) -> str:
    values = {result.slices[column] for result in row if column in result.slices}
    if len(values) > 1:
        raise EvaluationError(
            f"item {row[0].id!r} has {' and '.join(map(brief, sorted(values)))} as {column!r}",
            hint="the meta columns of the test changed: evaluate both with one Evaluator",
        )
    return values.pop() if values else NO_VALUE


def _compared(column: str, value: str, part: Pairs, level: float) -> SliceComparison:
    found = find(part, level)
    return SliceComparison(
        column=column,
        value=value,
        n=part.n,
        a=part.value(0),
        b=part.value(1),
        delta=found.delta,
        p_value=found.p_value,
        p_adjusted=found.p_value,
        warnings=found.warnings,
    )
