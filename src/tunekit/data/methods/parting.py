"""Parting and drawing. Knows what users ask; `splitting` knows which rows go where."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, Self

from tunekit.data import arguments
from tunekit.data.splitting import by_hash, by_time, ranks, split
from tunekit.data.splitting.by_time import When
from tunekit.data.splitting.shots import Selection, Shots
from tunekit.data.splitting.split import Stratify
from tunekit.examples import Example

Alike = Literal["exact", "normalised", "near"]


class Parting(Sequence[Example]):
    """New datasets out of some or all rows. Which rows depends on their content and a seed, never on the machine."""

    __slots__ = ()

    @abstractmethod
    def _take(self, indices: Iterable[int], *, is_train: bool = False) -> Self:
        """These rows, in this order; `is_train` where the others are a test part."""

    def sample(self, n: int, seed: int = 0) -> Self:
        """`n` examples drawn without replacement, in their original order; all of them if there are no more.

        The draw depends on the content and on `seed` only: every machine and Python version draws the same rows.

        Raises:
            SpecError: `n` is not a whole number from 0 up.
        """
        return self._take(ranks.sample(self, n, seed))

    def shuffle(self, seed: int = 0) -> Self:
        """The same examples in another order, which depends on their content and on `seed` only."""
        return self._take(ranks.shuffled(self, seed))

    def split(
        self,
        test: float | int = 0.2,
        seed: int = 0,
        *,
        stratify: Stratify = "auto",
        groups: str | None = None,
        alike: Alike = "exact",
    ) -> tuple[Self, Self]:
        """Split into (train, test), both in their original order, without leaks.

        Rows with the same input always travel together (an answer that was trained on proves nothing), and so do
        rows of the same group. Rows are ranked by a hash of `seed` and content, so every machine and Python version
        gives the same split, and adding rows moves few others.

        Sizes: test gets exactly `round(test * len)` rows (halves up; at least 1, at most `len - 1`) where no two rows
        share an input or a group; otherwise it is filled up to that number as far as whole clusters fit, with at
        least one. Stratified, every class with two distinct inputs is on both sides and has its share of test to
        within one row, even where that needs a few rows more or less than asked; a class with only one distinct input
        stays in train. Where clusters of several classes make that impossible, train comes first: it has every class.

        Args:
            test: Share of rows (between 0 and 1) or number of rows (1 or more) to hold out.
            seed: Another seed gives another split.
            stratify: `"auto"` keeps class shares where the data look like classification (labels, or few and short
                completions or answers of chats); False never; a function gives the class of an example.
            groups: Meta column whose equal values must stay on one side (a customer, a thread, a document).
            alike: Which inputs count as the same: `"exact"`, `"normalised"` (case, spaces and punctuation aside), or
                `"near"` (most words and word pairs shared; slower).

        Raises:
            SpecError: An argument is wrong, the meta column is missing, or there are fewer than two clusters to part.

        Examples:
            >>> from tunekit import Dataset
            >>> rows = [{"prompt": f"ticket {i}", "completion": "bug" if i % 4 else "idea"} for i in range(20)]
            >>> train, test = Dataset.from_records(rows).split(test=0.2, seed=7)
            >>> sorted(test.targets().items())
            [('bug', 3), ('idea', 1)]
        """
        together = _together(self, alike)
        return self._parted(split.split(self, test, seed, stratify, _column(groups), together))

    def split_by_time(
        self, by: When, test: float | int = 0.2, *, groups: str | None = None
    ) -> tuple[Self, Self]:
        """Split into (older, newest): how the model will do on what comes after its training.

        Rows of one moment stay together, so test may have a few rows more or fewer than asked. With `groups`, a group
        stays on one side, that of its newest row.

        Args:
            by: Meta column with ISO dates or numbers, or a function that gives a date, a datetime or a number.
            test: Share of rows, or number of rows, to hold out.
            groups: Meta column whose equal values must stay on one side.

        Raises:
            SpecError: A row has no time, times are written in several ways, or all are the same.

        Examples:
            >>> from tunekit import Dataset
            >>> rows = [{"prompt": f"p{day}", "completion": "c", "day": f"2026-11-{day:02}"} for day in range(1, 11)]
            >>> older, newest = Dataset.from_records(rows).split_by_time("day", test=0.2)
            >>> [example.meta["day"] for example in newest]
            ['2026-11-09', '2026-11-10']
        """
        return self._parted(by_time.by_time(self, by, test, _column(groups)))

    def split_by_hash(
        self, test: float = 0.2, seed: int = 0, *, groups: str | None = None
    ) -> tuple[Self, Self]:
        """Split into (train, test) so that a row stays on its side for ever, whatever is added or removed.

        Each row's side is decided by a hash of its own input (or group), and by nothing else: what was held out last
        month is held out this month. The price: test has its share of the rows only on average, and of each class
        too. For three parts, split train again with another seed.

        Args:
            test: Expected share of rows to hold out, between 0 and 1.
            seed: Another seed gives another split.
            groups: Meta column whose equal values must stay on one side.

        Raises:
            SpecError: An argument is wrong, or the meta column is missing.
        """
        return self._parted(by_hash.by_hash(self, test, seed, _column(groups)))

    def folds(
        self, k: int = 5, seed: int = 0, *, stratify: Stratify = "auto", groups: str | None = None
    ) -> list[tuple[Self, Self]]:
        """`k` pairs of (train, test) for cross-validation: every row is in exactly one test part.

        Stratified and leak-free as `split` is; it takes the same arguments.

        Raises:
            SpecError: An argument is wrong, or there are fewer inputs or groups than folds.
        """
        parts = split.folds(self, k, seed, stratify, _column(groups))
        return [self._parted(held_out) for held_out in parts]

    def shots(self, k: int, selection: Selection = "random", seed: int = 0) -> Shots:
        """A picker of examples to show a model before a question: from these rows, never the question itself.

        Takes what `Shots` takes.
        """
        return Shots(self, k, selection, seed)

    def _parted(self, held_out: frozenset[int]) -> tuple[Self, Self]:
        rest = (index for index in range(len(self)) if index not in held_out)
        return self._take(rest, is_train=True), self._take(sorted(held_out))


def _together(examples: Sequence[Example], alike: Alike) -> Sequence[Iterable[bytes]]:
    from tunekit.data.similarity import inputs

    ways: dict[str, Callable[[Sequence[Example]], Sequence[Iterable[bytes]]]] = {
        "exact": lambda _: (),
        "normalised": inputs.normalised_keys,
        "near": inputs.near_keys,
    }
    return ways[arguments.one_of("alike", alike, ways)](examples)


def _column(groups: str | None) -> str | None:
    return arguments.optional_text("groups", groups, such_as="customer")
