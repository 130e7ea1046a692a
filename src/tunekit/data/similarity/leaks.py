"""What of another set is in a row: its question, a passage, or nearly its question. Knows texts; makes no findings."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import NamedTuple

from tunekit.data.compact import RowIds, Tally
from tunekit.data.similarity.comparable import Comparable
from tunekit.data.similarity.keys import text_key
from tunekit.data.similarity.near import NearIndex, Text
from tunekit.data.similarity.normalise import normalise, passages
from tunekit.data.views import answer_text, input_text, last_answer, turn_texts
from tunekit.examples import ChatExample, CompletionExample, Example, LabelledExample, SegmentsExample

MAX_ROWS = 100_000
MAX_BYTES = 64_000_000
MAX_ROW_BYTES = 100_000
"""Near questions are looked for among so many of another set, in so many bytes of rows, and in none longer."""
MAX_PASSAGES = 2_000_000
"""Passages of another set that are kept."""

_COMMON_ROWS = 10
"""A passage in more rows than this is a common phrase or a template, and tells of no leak. GPT-3's clean-up ignored
13-grams in more than ten training documents; here the rows of the other set count, so that what is said of one row does
not depend on others that may be left out."""


class Leak(Enum):
    """How another set is in a row."""

    QUESTION = "question"
    PASSAGE = "passage"
    NEAR = "near"


class Asked(NamedTuple):
    """A row as it is held against other sets.

    Attributes:
        question: What it asks: the input without system turns; of raw text, the text.
        normalised: The same, normalised.
        passages: Keys of all runs of 13 words of question and answer.
    """

    question: str
    normalised: str
    passages: frozenset[int]

    @classmethod
    def of(cls, example: Example) -> Asked:
        """Question and passages of a row."""
        question = _question(example)
        normalised = normalise(question)
        found = {*passages(normalised), *passages(normalise(answer_text(example)))}
        return cls(question, normalised, frozenset(found))

    @property
    def text(self) -> Text:
        """The question as the index of near duplicates wants it."""
        return Text.of(Comparable(self.normalised, "", ""))


class Found(NamedTuple):
    """A leak, and the first row of the other set that it comes from."""

    leak: Leak
    row: int


class OtherSet:
    """The rows of another set, in memory that is bounded and small beside their texts.

    Args:
        name: What it is called.
        examples: Its rows; they are read once, here.
    """

    def __init__(self, name: str, examples: Iterable[Example]) -> None:
        self.name = name
        self.ids = RowIds()
        self.not_kept = 0
        """Rows of which not all is kept: no passages, or nothing to find near questions by."""
        self.letters = Tally()
        self.questions = Tally()
        self._passages = Tally()
        self._near_rows = array("I")
        self._near = self._read(examples)
        self._common = max(1, min(_COMMON_ROWS, len(self.ids) // 2))
        self._room = MAX_BYTES
        self._without_room = 0

    @property
    def not_compared(self) -> int:
        """Rows that were looked up when there was no room or no time left to find near questions."""
        return self._without_room + self._near.cut

    def find(self, row: Asked) -> Found | None:
        """The strongest leak into this row."""
        number = self.questions.find(text_key(row.normalised))
        if number is not None:
            return Found(Leak.QUESTION, self.questions.first[number])
        shared = [number for key in row.passages if (number := self._passages.find(key)) is not None]
        telling = [
            self._passages.first[number] for number in shared if self._passages.times[number] <= self._common
        ]
        if telling:
            return Found(Leak.PASSAGE, min(telling))
        return self._find_near(row.text)

    def asking(self, rows: AbstractSet[int]) -> int:
        """How many rows ask what these first rows of a question ask."""
        return sum(
            times
            for first, times in zip(self.questions.first, self.questions.times, strict=True)
            if first in rows
        )

    def _find_near(self, text: Text) -> Found | None:
        size = len(text.packed)
        if size > min(MAX_ROW_BYTES, self._room):
            self._without_room += 1
            return None
        self._room -= size
        number = self._near.nearest(self._near.shingled(text))
        return None if number is None else Found(Leak.NEAR, self._near_rows[number])

    def _read(self, examples: Iterable[Example]) -> NearIndex:
        texts: list[Text] = []
        room = MAX_BYTES
        for row, example in enumerate(examples):
            asked = Asked.of(example)
            self.ids.append(example.id)
            self.letters.add(text_key(asked.question.strip()), row)
            kept = self._keep_passages(asked, row)
            if self.questions.add(text_key(asked.normalised), row):
                size = len(asked.text.packed)
                if size <= min(MAX_ROW_BYTES, room) and len(texts) < MAX_ROWS:
                    room -= size
                    texts.append(asked.text)
                    self._near_rows.append(row)
                else:
                    kept = False
            self.not_kept += not kept
        index = NearIndex(texts)
        for text in texts:
            index.add(index.shingled(text))
        return index

    def _keep_passages(self, asked: Asked, row: int) -> bool:
        if len(self._passages) + len(asked.passages) > MAX_PASSAGES:
            return False
        for key in sorted(asked.passages):
            self._passages.add(key, row)
        return True


def _question(example: Example) -> str:
    if isinstance(example, (CompletionExample, LabelledExample, SegmentsExample)):
        return input_text(example) or answer_text(example)
    turns = (
        example.messages[: last_answer(example.messages)]
        if isinstance(example, ChatExample)
        else example.messages
    )
    spoken = [turn for turn in turns if turn.role not in ("system", "developer")] or turns
    return "\n".join(text for _, text, _ in turn_texts(spoken, "")) or answer_text(example)
