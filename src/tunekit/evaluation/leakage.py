"""Questions of the test that the model under test was trained on. Knows rows of both; not models, nor how one learns.

What is in both is found as the checks of data find it: questions that are equal after normalisation, questions that are
nearly equal, and runs of 13 words in a row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from pydantic import Field

from tunekit.data.similarity.leaks import Asked, OtherSet
from tunekit.data.wording import counted
from tunekit.evaluation.items import Item
from tunekit.evaluation.records import Record
from tunekit.examples import Example

_WAYS = {
    "question": "ask what is asked in the training data",
    "near": "ask nearly what is asked in the training data",
    "passage": "have 13 words in a row of the training data",
}


class Leak(Record):
    """One item of the test that is in the training data.

    Attributes:
        item: Its id.
        row: Id of the first training row that it is in.
        how: "question", it asks the same; "near", nearly the same; "passage", 13 words in a row are the same.
    """

    item: str
    row: str
    how: str


class Leakage(Record):
    """What of a test is in the training data.

    Attributes:
        n_items: Items of the test.
        n_rows: Rows of the training data.
        leaks: Each item that is in them, with the strongest way in which it is.
        not_compared: Items and rows that were too many, too long or too alike to be compared in every way.

    Examples:
        >>> from tunekit.data.dataset import Dataset
        >>> from tunekit.evaluation.evaluator import Evaluator
        >>> test = Dataset.from_records([{"prompt": "Where is my parcel?", "completion": "delivery"}])
        >>> train = Dataset.from_records([{"prompt": "where is my parcel", "completion": "delivery"}])
        >>> found = Evaluator(test).check_leakage(train)
        >>> found.leaks[0].how, found.ids
        ('question', frozenset({'records:1'}))
    """

    n_items: int
    n_rows: int
    leaks: tuple[Leak, ...] = Field(repr=False)
    not_compared: int = 0

    @property
    def ids(self) -> frozenset[str]:
        """Ids of the items that leak: what to leave out of the test, or to look at apart."""
        return frozenset(leak.item for leak in self.leaks)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know, in words; empty where nothing leaks and all was compared."""
        return tuple(self._said())

    def __str__(self) -> str:
        return "\n".join(self.warnings) or f"nothing of {counted(self.n_rows, 'training row')} is in the test"

    def _said(self) -> Iterator[str]:
        number = Counter(leak.how for leak in self.leaks)
        for how, what in _WAYS.items():
            if number[how]:
                first = next(leak for leak in self.leaks if leak.how == how)
                yield (
                    f"{number[how]} of {self.n_items} items {what}, such as {first.item!r} in row {first.row!r}:"
                    " scores on them are too high"
                )
        if self.not_compared:
            yield f"{counted(self.not_compared, 'row')} were not compared in every way: too many, too long or too alike"


def find_leaks(items: Sequence[Item], train: Iterable[Example]) -> Leakage:
    """What of these items is in the training data.

    Args:
        items: Questions of the test.
        train: Rows that a model was trained on; they are read once.
    """
    other = OtherSet("train", train)
    leaks = []
    for item in items:
        found = other.find(Asked.of(item.example))
        if found is not None:
            leaks.append(
                Leak(item=item.id, row=other.ids[found.row] or f"#{found.row}", how=found.leak.value)
            )
    return Leakage(
        n_items=len(items),
        n_rows=len(other.ids),
        leaks=tuple(leaks),
        not_compared=other.not_kept + other.not_compared,
    )
