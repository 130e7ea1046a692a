"""`Dataset`: an immutable sequence of typed examples. Knows what can be asked of one; not how files look.

Reading lives in `loading` and `readers`, splitting in `splits`, writing in `writing`; this is the face they share.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar, overload

from tunekit._canonical import fingerprint_rows
from tunekit.data import loading, splits, targets, writing
from tunekit.data.loading import OnError, Skipped
from tunekit.data.recognise import Format
from tunekit.data.shapes import Columns
from tunekit.errors import SpecError
from tunekit.examples import EXAMPLE_KINDS, Example, to_dict

_ExampleT = TypeVar("_ExampleT")
_KINDS: tuple[type[Example], ...] = tuple(EXAMPLE_KINDS.values())


class Dataset(Sequence[Example]):
    """Typed examples in order: what is trained on and what is evaluated on.

    A dataset never changes; every method returns a new one, and the rows in it keep their ids. Two datasets are equal
    when their examples are equal in content and order; row ids and meta columns do not count.

    Args:
        examples: The examples, in order.
        skipped: Rows that a reader left out, for the record.

    Raises:
        SpecError: Something in `examples` is not an example.

    Examples:
        >>> from tunekit.examples import CompletionExample
        >>> data = Dataset([CompletionExample(prompt="2+2", completion="4")])
        >>> len(data), data[0].completion
        (1, '4')
    """

    __slots__ = ("_examples", "_fingerprint", "_skipped")

    def __init__(self, examples: Iterable[Example] = (), *, skipped: Iterable[Skipped] = ()) -> None:
        self._examples = tuple(examples)
        self._skipped = tuple(skipped)
        self._fingerprint = ""
        for index, example in enumerate(self._examples):
            if not isinstance(example, _KINDS):
                raise SpecError(
                    f"item {index} of a Dataset is {type(example).__name__!r}, not an example",
                    hint="use tunekit.CompletionExample and its kin, or Dataset.from_records for dictionaries",
                )

    # --- from files and records ---------------------------------------------------------------------

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        input: str | None = None,
        target: str | None = None,
        kind: Literal["completion", "labelled"] | None = None,
        format: Format | None = None,
        encoding: str | None = None,
        delimiter: str | None = None,
        limit: int | None = None,
        on_error: OnError = "raise",
    ) -> Dataset:
        r"""Read a file of examples, one row at a time.

        JSON lines may hold chats (`{"messages": [...]}`), `{"prompt": ..., "completion": ...}`, `{"text": ...}` or what
        `write_jsonl` wrote; with `input` and `target`, any objects. Tables (CSV, TSV) need a header; without `input`
        and `target` they must have the columns `prompt` and `completion`. Other columns and keys go to `meta`.
        The format is recognised by content.

        Args:
            path: The file.
            input: Column or key with what the model reads. Leave out for raw text.
            target: Column or key with what the model should answer.
            kind: What a row with `input` and `target` becomes; `"completion"` unless told.
            format: `"jsonl"`, `"csv"` or `"tsv"`, where recognition would be wrong.
            encoding: Of the text; UTF-8 unless told. A byte order mark is taken off.
            delimiter: Between the cells of a table, where recognition would be wrong.
            limit: Stop after so many examples from the top. For a random part use `sample`.
            on_error: `"raise"` at rows that cannot be used, or `"skip"` and list them in `skipped`.

        Raises:
            DataError: With path, line and field: the file cannot be read, is of another format, or a row is wrong.
            SpecError: An argument is wrong.

        Examples:
            >>> import pathlib, tempfile
            >>> path = pathlib.Path(tempfile.mkdtemp(), "tickets.csv")
            >>> _ = path.write_text("text,label,day\nWhere is my parcel?,delivery,Mon\n")
            >>> data = Dataset.load(path, input="text", target="label")
            >>> data[0].completion, data[0].id, data[0].meta
            ('delivery', 'tickets.csv:2', {'day': 'Mon'})
        """
        columns = Columns.of(input, target, kind)
        source = loading.Source.of(path, format=format, encoding=encoding, delimiter=delimiter)
        return cls._collected(loading.load(source, columns, limit=limit, on_error=on_error))

    @classmethod
    def from_records(
        cls,
        records: Iterable[Mapping[str, Any]],
        *,
        input: str | None = None,
        target: str | None = None,
        kind: Literal["completion", "labelled"] | None = None,
        name: str = "records",
        limit: int | None = None,
        on_error: OnError = "raise",
    ) -> Dataset:
        """The same as `load` for dictionaries that are already in memory, or that an iterator makes.

        Args:
            records: Dictionaries of any shape that `load` accepts as a JSON line.
            input: As for `load`.
            target: As for `load`.
            kind: As for `load`.
            name: First part of the row ids; the second is the position, from 1.
            limit: As for `load`.
            on_error: As for `load`.

        Raises:
            DataError: A record cannot be used; its `line` is the position, from 1.
            SpecError: An argument is wrong.

        Examples:
            >>> Dataset.from_records([{"q": "2+2", "a": "4"}], input="q", target="a")[0].id
            'records:1'
        """
        columns = Columns.of(input, target, kind)
        return cls._collected(
            loading.from_records(records, columns, name=name, limit=limit, on_error=on_error)
        )

    @classmethod
    def _collected(cls, found: loading.Loaded) -> Dataset:
        return cls(found.examples, skipped=found.skipped)

    # --- a sequence ---------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._examples)

    def __iter__(self) -> Iterator[Example]:
        return iter(self._examples)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> Dataset: ...
    def __getitem__(self, index: int | slice) -> Example | Dataset:
        return Dataset(self._examples[index]) if isinstance(index, slice) else self._examples[index]

    def __add__(self, other: object) -> Dataset:
        return self.concat(other) if isinstance(other, Dataset) else NotImplemented

    def __eq__(self, other: object) -> bool:
        return self._examples == other._examples if isinstance(other, Dataset) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._examples)

    def __repr__(self) -> str:
        rows = f"{len(self):,} example{'' if len(self) == 1 else 's'}"
        kinds = f" ({', '.join(sorted(self.kinds))})" if self else ""
        skipped = f", {len(self._skipped):,} skipped" if self._skipped else ""
        return f"<Dataset: {rows}{kinds}{skipped}>"

    # --- facts --------------------------------------------------------------------------------------

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of example in it: chat, completion, preference, prompt, labelled."""
        return frozenset(example.kind for example in self._examples)

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Rows that `load(..., on_error="skip")` left out, and why. Empty on every dataset made from this one."""
        return self._skipped

    def fingerprint(self) -> str:
        """SHA-256 in hex of the examples in order, without row ids and meta columns. Computed once.

        Raises:
            DataError: A row holds something that JSON cannot, such as a date among its tools.

        Examples:
            >>> a = Dataset.from_records([{"prompt": "a", "completion": "b"}], name="monday")
            >>> b = Dataset.from_records([{"prompt": "a", "completion": "b"}], name="tuesday")
            >>> a.fingerprint() == b.fingerprint()
            True
        """
        if not self._fingerprint:
            try:
                self._fingerprint = fingerprint_rows(to_dict(example, with_row=False) for example in self)
            except (TypeError, ValueError, RecursionError):
                writing.check(self._examples)
                raise
        return self._fingerprint

    def targets(self) -> Counter[str]:
        """How often each completion or label occurs. A row with several labels counts for each of them.

        Raises:
            DataError: There are examples of other kinds, which have no single target.

        Examples:
            >>> rows = [{"t": "hi", "y": "ham"}, {"t": "win!", "y": "spam"}, {"t": "yo", "y": "ham"}]
            >>> Dataset.from_records(rows, input="t", target="y").targets()
            Counter({'ham': 2, 'spam': 1})
        """
        return targets.count(self._examples)

    def head(self, n: int = 5) -> Dataset:
        """The first `n` examples."""
        return self[: splits.whole("n", n, least=0)]

    # --- new datasets -------------------------------------------------------------------------------

    def map(self, function: Callable[[Example], Example]) -> Dataset:
        """A new dataset of `function(example)`. A result without an id or meta keeps those of its origin.

        Raises:
            SpecError: The function returned something that is not an example.
        """
        return Dataset(_keep_row(function(example), example) for example in self)

    def filter(self, function: Callable[[Example], bool]) -> Dataset:
        """The examples for which `function(example)` is true."""
        return Dataset(example for example in self if function(example))

    def concat(self, *others: Dataset) -> Dataset:
        """This dataset followed by the others; `a + b` is the same."""
        return Dataset(example for part in (self, *others) for example in part)

    def sample(self, n: int, seed: int = 0) -> Dataset:
        """`n` examples drawn without replacement, in their original order; all of them if there are no more.

        The draw depends on the content and on `seed` only: every machine and Python version draws the same rows.

        Raises:
            SpecError: `n` is not a whole number from 0 up.
        """
        return self._take(splits.sample(self._examples, n, seed))

    def split(
        self,
        test: float | int = 0.2,
        seed: int = 0,
        *,
        stratify: splits.Stratify = "auto",
        groups: str | None = None,
    ) -> tuple[Dataset, Dataset]:
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
                completions); False never; a function gives the class of an example.
            groups: Meta column whose equal values must stay on one side (a customer, a thread, a document).

        Raises:
            SpecError: An argument is wrong, the meta column is missing, or there are fewer than two clusters to part.

        Examples:
            >>> rows = [{"prompt": f"ticket {i}", "completion": "bug" if i % 4 else "idea"} for i in range(20)]
            >>> train, test = Dataset.from_records(rows).split(test=0.2, seed=7)
            >>> sorted(test.targets().items())
            [('bug', 3), ('idea', 1)]
        """
        held_out = splits.split(self._examples, test, seed, stratify, groups)
        rest = (index for index in range(len(self)) if index not in held_out)
        return self._take(rest), self._take(sorted(held_out))

    def _take(self, indices: Iterable[int]) -> Dataset:
        return Dataset(self._examples[index] for index in indices)

    # --- to files -----------------------------------------------------------------------------------

    def write_jsonl(self, path: str | os.PathLike[str]) -> None:
        """Write one JSON object per line, row ids and meta included; `load` gives the same dataset back.

        UTF-8 without a byte order mark, keys in a fixed order, Unix line ends: equal rows give equal bytes. The file
        appears whole or not at all.

        Raises:
            DataError: A row holds what JSON or UTF-8 cannot: a date in meta, NaN, half a surrogate pair.
            StorageError: The disk said no.
        """
        writing.write_jsonl(path, self._examples)


def _keep_row(new: Example, old: Example) -> Example:
    if not isinstance(new, _KINDS) or (new.id and new.meta):
        return new
    return new.replace(id=new.id or old.id, meta=new.meta or old.meta)
