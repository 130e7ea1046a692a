"""Rows that ask the same and answer differently. Knows keys and counts; says nothing about them."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from enum import Enum

from tunekit.data.compact import Numbering
from tunekit.data.similarity.keys import answer_key, question_key
from tunekit.data.statistics import Answers
from tunekit.data.views import answer_text
from tunekit.examples import (
    ChatExample,
    CompletionExample,
    Example,
    LabelledExample,
    PreferenceExample,
    UnpairedExample,
)

_NOTHING = 0xFFFF_FFFF  # asks nothing


class Dispute(Enum):
    """What rows with the same question disagree about."""

    LABELS = "labels"
    """The class: of labelled rows, and of completions and chats that look like classification."""
    VERDICTS = "verdicts"
    """Which of two answers is better, or whether an answer is good."""
    ANSWERS = "answers"
    """What to say, where several answers may be right."""


class Conflicts:
    """Feed it every row once, then ask which disagree.

    Completions and chats look like classification by the rule of `tunekit.data.statistics.Answers`.
    """

    def __init__(self) -> None:
        self._questions = Numbering()
        self._answers = array("Q")  # to each question, the first
        self._asked = array("I")  # by each row
        self._disputed: dict[int, Dispute] = {}
        self._spoken = Answers()

    def see(self, example: Example) -> Dispute | None:
        """Take in one row, and say what it disputes with the first row that has its question.

        Whether different answers are different labels is known only after the last row.
        """
        if isinstance(example, (CompletionExample, ChatExample)):
            self._spoken.add(answer_text(example))
        question = question_key(example)
        if question is None:
            self._asked.append(_NOTHING)
            return None
        number, answer = self._questions.number(question), answer_key(example)
        self._asked.append(number)
        if number == len(self._answers):
            self._answers.append(answer)
        if self._answers[number] == answer:
            return None
        self._disputed[number] = _dispute(example)
        return self._disputed[number]

    @property
    def questions(self) -> int:
        """How many different questions there are."""
        return len(self._questions)

    def disputed(self, about: Dispute) -> frozenset[int]:
        """Numbers of the questions that rows disagree about."""
        looks_like = Dispute.LABELS if self._spoken.classes else Dispute.ANSWERS
        return frozenset(
            number
            for number, dispute in self._disputed.items()
            if (looks_like if dispute is Dispute.ANSWERS else dispute) is about
        )

    def rows(self, questions: frozenset[int]) -> Iterator[tuple[int, int]]:
        """Position and question of each row that asks one of these questions."""
        return ((row, number) for row, number in enumerate(self._asked) if number in questions)

    def keys(self, questions: frozenset[int]) -> frozenset[int]:
        """Keys of these questions, as `question_key` gives them."""
        return frozenset(map(self._questions.key, questions))


def _dispute(example: Example) -> Dispute:
    if isinstance(example, LabelledExample):
        return Dispute.LABELS
    judged = isinstance(example, (PreferenceExample, UnpairedExample))
    return Dispute.VERDICTS if judged else Dispute.ANSWERS
