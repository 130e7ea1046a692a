"""Rows that ask the same and answer differently. Knows keys and counts; says nothing about them."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from enum import IntEnum

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


class Dispute(IntEnum):
    """What rows with the same question disagree about."""

    LABELS = 1
    """The class: of labelled rows, and of completions and chats that look like classification."""
    VERDICTS = 2
    """Which of two answers is better, or whether an answer is good."""
    ANSWERS = 3
    """What to say, where several answers may be right."""


class Conflicts:
    """Feed it every row once, then ask which disagree.

    Completions and chats look like classification by the rule of `tunekit.data.statistics.Answers`.
    """

    def __init__(self) -> None:
        self._questions = Numbering()
        self._answers = array("Q")  # to each question, the first
        self._disputes = bytearray()  # about each question, or 0
        self._asked = array("I")  # by each row
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
            self._disputes.append(0)
        if self._answers[number] == answer:
            return None
        self._disputes[number] = dispute = _dispute(example)
        return dispute

    @property
    def questions(self) -> int:
        """How many different questions there are."""
        return len(self._questions)

    def disputed(self, about: Dispute) -> int:
        """How many questions rows disagree about in this way."""
        return sum(map(self._disputes.count, self._codes(about)))

    def rows(self, about: Dispute) -> Iterator[tuple[int, int]]:
        """Position and question of each row that asks one of those questions."""
        codes = self._codes(about)
        for row, number in enumerate(self._asked):
            if number != _NOTHING and self._disputes[number] in codes:
                yield row, number

    def keys(self, about: Dispute) -> Iterator[int]:
        """Keys of those questions, as `question_key` gives them."""
        codes = self._codes(about)
        return (self._questions.key(number) for number, code in enumerate(self._disputes) if code in codes)

    def _codes(self, about: Dispute) -> tuple[int, ...]:
        if not self._spoken.classes:
            return (about,)
        return {Dispute.LABELS: (Dispute.LABELS, Dispute.ANSWERS), Dispute.ANSWERS: ()}.get(about, (about,))


def _dispute(example: Example) -> Dispute:
    if isinstance(example, LabelledExample):
        return Dispute.LABELS
    judged = isinstance(example, (PreferenceExample, UnpairedExample))
    return Dispute.VERDICTS if judged else Dispute.ANSWERS
