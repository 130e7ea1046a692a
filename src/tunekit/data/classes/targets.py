"""The short answers of classification-like data: counting them, and telling such data apart. Knows no files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tunekit.errors import DataError
from tunekit.examples import CompletionExample, Example, LabelledExample

MAX_CLASS_CHARS = 100
"""A longer completion is an answer, not a class."""

MAX_CLASSES = 65_536
"""With more, they are not looked at: they are no classes, and would fill the memory."""


def are_few(different: int, answers: int) -> bool:
    """Whether so few different answers may be classes: fewer than one for every three rows.

    The rule of `openai tools fine_tunes.prepare_data`.
    """
    return 3 * different < answers


def count(examples: Sequence[Example]) -> Counter[str]:
    """How often each completion or label occurs; a row with several labels counts for each."""
    counts: Counter[str] = Counter()
    for example in examples:
        counts.update(_targets(example))
    return counts


def classes(examples: Sequence[Example]) -> list[str] | None:
    """The class of each row, or None where the data do not look like classification.

    Labelled rows have classes by definition. Completions look like classes when all are short and there are few.
    """
    if all(isinstance(example, LabelledExample) for example in examples):
        return [_class(example) for example in examples if isinstance(example, LabelledExample)]
    if not all(isinstance(example, CompletionExample) for example in examples):
        return None
    found = [example.completion for example in examples if isinstance(example, CompletionExample)]
    few = are_few(len(set(found)), len(found))
    return found if few and max(map(len, found)) <= MAX_CLASS_CHARS else None


def _class(example: LabelledExample) -> str:
    return example.label if isinstance(example.label, str) else "\0".join(sorted(example.label))


def _targets(example: Example) -> tuple[str, ...]:
    if isinstance(example, CompletionExample):
        return (example.completion,)
    if isinstance(example, LabelledExample):
        return (example.label,) if isinstance(example.label, str) else example.label
    raise DataError(
        f"row {example.id!r} is a {example.kind} example, which has no single target",
        hint="targets() is for completion and labelled examples",
    )
