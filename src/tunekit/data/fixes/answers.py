"""Leave out rows whose answers teach nothing or the wrong thing. Knows which rows those are; the checks count them.

All of these throw rows away, so they run only by name. What is wrong in one turn of a chat takes the whole row with it:
the turns after it answer to it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator

from tunekit.data import turns
from tunekit.data.answer_endings import AnswerEndings
from tunekit.data.checks.base import CheckContext
from tunekit.data.classes.stand_ins import StandIns
from tunekit.data.exchanges import exchanges
from tunekit.data.fixes.base import Fix
from tunekit.data.patterns import placeholders, repetition
from tunekit.examples import (
    ChatExample,
    CompletionExample,
    Example,
    LabelledExample,
    Message,
    PreferenceExample,
    SegmentsExample,
    UnpairedExample,
)


def empty_answers(example: Example) -> Iterator[str]:
    """Fields in which the row has nothing to learn: no last answer, no chosen or rejected one, no label."""
    if isinstance(example, ChatExample):
        last = turns.after_answer(example.messages) - 1
        if last >= 0 and turns.is_blank(example.messages[last]):
            yield f"messages[{last}]"
    elif isinstance(example, (CompletionExample, UnpairedExample)):
        yield from _blank("completion", example.completion)
    elif isinstance(example, PreferenceExample):
        yield from _blank("chosen", example.chosen)
        yield from _blank("rejected", example.rejected)
    elif isinstance(example, LabelledExample):
        yield from _blank(
            "label", example.label if isinstance(example.label, str) else "".join(example.label) or "-"
        )
    elif isinstance(example, SegmentsExample) and not any(
        segment.learn and segment.text.strip() for segment in example.segments
    ):
        yield "segments"


def _blank(field: str, said: str | tuple[Message, ...]) -> Iterator[str]:
    if not said.strip() if isinstance(said, str) else all(map(turns.is_blank, said)):
        yield field


class _Drop(Fix):
    safety = "lossy"

    def apply(self, example: Example) -> Example | None:
        """The row if there is nothing wrong with it."""
        return None if self.is_wrong(example) else example

    @abstractmethod
    def is_wrong(self, example: Example) -> bool:
        """Whether the row is left out."""


class DropEmptyAnswers(_Drop):
    """Leaves out rows with nothing to learn."""

    name = "drop-empty-answers"
    says = "Leaves out rows whose answer is empty."

    def is_wrong(self, example: Example) -> bool:
        """Whether an answer is empty."""
        return any(True for _ in empty_answers(example))


class DropEmptyTexts(_Drop):
    """Leaves out labels without a text."""

    name = "drop-empty-texts"
    says = "Leaves out labelled rows whose text is empty."

    def is_wrong(self, example: Example) -> bool:
        """Whether it labels nothing."""
        return isinstance(example, LabelledExample) and not example.text.strip()


class _DropByAnswer(_Drop):
    def is_wrong(self, example: Example) -> bool:
        """Whether any of its answers is of this sort."""
        return any(self.teaches_nothing(said) for _, _, said in exchanges(example))

    @abstractmethod
    def teaches_nothing(self, said: str) -> bool:
        """Whether the answer is of the sort that is left out."""


class DropMissingAnswers(_DropByAnswer):
    """Leaves out rows whose answer is a missing value spelled out."""

    name = "drop-missing-answers"
    says = "Leaves out rows whose answer is only 'N/A', 'null', '-' or the like, where that is no class."

    def prepare(self, examples: Iterable[Example]) -> None:
        """Learn which spellings are a class."""
        self._stand_ins = StandIns()
        for example in examples:
            for _, _, said in exchanges(example):
                self._stand_ins.add(said)

    def teaches_nothing(self, said: str) -> bool:
        """Whether it is a missing value."""
        return placeholders.is_missing(said) and not self._stand_ins.is_class(said)


class DropPlaceholderAnswers(_DropByAnswer):
    """Leaves out rows whose answer is a template."""

    name = "drop-placeholder-answers"
    says = "Leaves out rows whose answer has a place to fill in, such as '{{name}}'."

    def teaches_nothing(self, said: str) -> bool:
        """Whether there is something to fill in."""
        return placeholders.template(said) is not None


class DropRepetitiveAnswers(_DropByAnswer):
    """Leaves out rows whose answer goes round in circles."""

    name = "drop-repetitive-answers"
    says = "Leaves out rows whose answer repeats the same words again and again."

    def teaches_nothing(self, said: str) -> bool:
        """Whether it is a loop."""
        return repetition.loop(said) is not None


class DropRefusals(_DropByAnswer):
    """Leaves out rows whose answer is a refusal."""

    name = "drop-refusals"
    says = "Leaves out rows whose answer begins with a refusal, such as 'As an AI language model, I cannot'."

    def teaches_nothing(self, said: str) -> bool:
        """Whether it refuses."""
        return placeholders.refusal(said) is not None


class DropTruncatedAnswers(_Drop):
    """Leaves out rows whose answer breaks off."""

    name = "drop-truncated-answers"
    says = "Leaves out rows whose answer breaks off in the middle, where the other answers do not."

    def __init__(self, context: CheckContext) -> None:
        super().__init__(context)
        self._rows: frozenset[str] = frozenset()

    def prepare(self, examples: Iterable[Example]) -> None:
        """Learn how the answers usually end."""
        endings = AnswerEndings()
        for example in examples:
            if not isinstance(example, LabelledExample):
                endings.see(example.id, exchanges(example))
        self._rows = frozenset(ending.row for ending in endings.truncated())

    def is_wrong(self, example: Example) -> bool:
        """Whether it breaks off."""
        return example.id in self._rows
