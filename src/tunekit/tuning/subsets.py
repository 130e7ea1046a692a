"""Nested parts of training data: a smaller one lies within every larger one. Knows rows and classes; trains nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tunekit.data.arguments import sequence, whole
from tunekit.data.classes import targets
from tunekit.data.dataset import Dataset
from tunekit.data.splitting.ranks import ranks
from tunekit.data.wording import counted
from tunekit.errors import SpecError

MOST_SIZES = 6
FEWEST_ROWS = 10


class Nested:
    """Parts of a dataset that grow by adding rows and never by exchanging them.

    In data that look like classification every part has the classes in the shares of the whole, to within one row of
    each, and every class at least once where the part has room for all of them. Which rows are taken depends on their
    content and the seed, not on where they stand; a part keeps the order of the whole.

    Args:
        data: The whole.
        seed: Another seed takes other rows first.

    Examples:
        >>> rows = [{"text": f"{n}", "label": "ab"[n % 4 == 0]} for n in range(100)]
        >>> nested = Nested(Dataset.from_records(rows, input="text", target="label"), seed=0)
        >>> nested.part(20).targets()
        Counter({'a': 15, 'b': 5})
    """

    def __init__(self, data: Dataset, *, seed: int) -> None:
        self._data = data
        self._order = _order(data, seed)

    def part(self, size: int) -> Dataset:
        """The first `size` rows of the order.

        Raises:
            SpecError: There are fewer rows.
        """
        if size > len(self._data):
            raise SpecError(
                f"a part of {counted(size, 'row')}, of {counted(len(self._data), 'row')}",
                hint="a learning curve ends at all of the training data",
            )
        if size == len(self._data):
            return self._data
        return Dataset(self._data[index] for index in sorted(self._order[:size]))


def default_sizes(rows: int) -> tuple[int, ...]:
    """All rows, half of them, a quarter and so on: at most six sizes, none below ten rows.

    Examples:
        >>> default_sizes(1000), default_sizes(50)
        ((31, 62, 125, 250, 500, 1000), (12, 25, 50))
    """
    halves = (rows >> times for times in range(MOST_SIZES))
    return tuple(sorted({rows, *(size for size in halves if size >= FEWEST_ROWS)}))


def checked_sizes(sizes: Sequence[int] | None, rows: int) -> tuple[int, ...]:
    """The sizes in order, each once.

    Raises:
        SpecError: There is none, or one is no size of a part.
    """
    if sizes is None:
        return default_sizes(rows)
    found = sorted(
        {whole("a size", size, least=1) for size in sequence("sizes", sizes, of="numbers of rows")}
    )
    if not found or found[-1] > rows:
        raise SpecError(
            f"sizes are {found!r:.60}, of {counted(rows, 'row')}",
            hint=f"use numbers of rows from 1 to {rows}",
        )
    return tuple(found)


def _order(data: Dataset, seed: int) -> list[int]:
    """Indices of all rows, those that every part has first.

    The j-th row of a class of m stands at share (j + 1/2) / m of the way, so that a part that goes as far as share t
    has t * m rows of it, rounded. The first row of each class comes before all of them.
    """
    found = ranks(data, seed, "learning-curve")
    names = targets.classes(list(data)) or [""] * len(data)
    rows_of = Counter(names)
    taken: Counter[str] = Counter()
    placed = []
    for index in sorted(range(len(found)), key=lambda index: (found[index], index)):
        name = names[index]
        share = (taken[name] + 0.5) / rows_of[name] if taken[name] else 0.0
        taken[name] += 1
        placed.append((share, found[index], index))
    return [index for _, _, index in sorted(placed)]
