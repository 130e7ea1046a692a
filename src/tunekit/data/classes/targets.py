"""The short answers of classification-like data: counting them, and telling such data apart. Knows no files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tunekit.errors import DataError
from tunekit.examples import ChatExample, CompletionExample, Example, LabelledExample

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
    """How often each answer or label occurs; a row with several labels counts for each.

    Raises:
        DataError: A row has no single target: several answers, calls of tools, or none.
    """
    counts: Counter[str] = Counter()
    for example in examples:
        counts.update(_targets(example))
    return counts


def classes(examples: Sequence[Example]) -> list[str] | None:
    """The class of each row, or None where the data do not look like classification.

    Labelled rows have classes by definition. Completions, and the one answer of a chat, look like classes when all are
    short and there are few.
    """
    if all(isinstance(example, LabelledExample) for example in examples):
        return [_class(example) for example in examples if isinstance(example, LabelledExample)]
    found: list[str] = []
    for example in examples:
        answer = only_answer(example)
        if answer is None or len(answer) > MAX_CLASS_CHARS:
            return None
        found.append(answer)
    return found if are_few(len(set(found)), len(found)) else None


def only_answer(example: Example) -> str | None:
    """The completion, or what a chat with one answer ends with; None where there is no such text."""
    if isinstance(example, CompletionExample):
        return example.completion
    if not isinstance(example, ChatExample) or not example.messages:
        return None
    *before, last = example.messages
    is_only = last.role == "assistant" and not any(turn.role in ("assistant", "tool") for turn in before)
    return last.content if is_only and not last.tool_calls else None


def _class(example: LabelledExample) -> str:
    return example.label if isinstance(example.label, str) else "\0".join(sorted(example.label))


def _targets(example: Example) -> tuple[str, ...]:
    if isinstance(example, LabelledExample):
        return (example.label,) if isinstance(example.label, str) else example.label
    answer = only_answer(example)
    if answer is not None:
        return (answer,)
    raise DataError(
        f"row {example.id!r} is a {example.kind} example, which has no single target",
        hint="targets() is for completions, labels, and chats of one answer",
    )
