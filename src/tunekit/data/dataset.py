"""`Dataset`: an immutable sequence of typed examples. Knows what can be asked of one; not how files look.

Reading, checking, converting and writing are in `methods`, which `DatasetStream` shares; this file has what needs all
the rows at hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self, overload

from tunekit.data import arguments, loading, writing
from tunekit.data.classes import targets
from tunekit.data.loading import Found, Plan, Skipped
from tunekit.data.methods.base import Step, keep_row
from tunekit.data.methods.checking import Checking
from tunekit.data.methods.converting import Converting
from tunekit.data.methods.mixing import Mixing
from tunekit.data.methods.parting import Parting
from tunekit.data.methods.reading import Reading
from tunekit.data.methods.writing import Writing
from tunekit.data.sources.base import Source
from tunekit.data.wording import counted
from tunekit.examples import Example

if TYPE_CHECKING:
    from tunekit.data.checks.base import CheckContext
    from tunekit.data.fixes.report import FixReport


class Dataset(Reading, Checking, Converting, Parting, Mixing, Writing, Sequence[Example]):
    """Typed examples in order: what is trained on and what is evaluated on.

    A dataset never changes; every method returns a new one, and the rows in it keep their ids. Two datasets are equal
    when their examples are equal in content and order; row ids and meta columns do not count.

    Args:
        examples: The examples, in order.

    Raises:
        SpecError: Something in `examples` is not an example.

    Examples:
        >>> from tunekit.examples import CompletionExample
        >>> data = Dataset([CompletionExample(prompt="2+2", completion="4")])
        >>> len(data), data[0].completion
        (1, '4')
    """

    __slots__ = ("_examples", "_fingerprint", "_fixes", "_noted")

    def __init__(self, examples: Iterable[Example] = ()) -> None:
        self._examples = tuple(arguments.OnlyExamples("a Dataset", examples))
        self._fingerprint = ""
        self._noted = Found()
        self._fixes: FixReport | None = None

    @classmethod
    def _read(cls, source: Source, plan: Plan) -> Self:
        found = Found(name=source.name)
        examples = list(loading.examples(source, replace(plan, together=True), found))
        return cls._of(examples, found)

    @classmethod
    def _of(cls, examples: Iterable[Example], found: Found, fixes: FixReport | None = None) -> Self:
        made = cls(examples)
        made._noted, made._fixes = found, fixes
        return made

    def _through(self, step: Step) -> Self:
        return self._of(step(self), self._noted)  # another form of the same rows

    def _fixed(self, names: Sequence[str], context: CheckContext) -> Self:
        from tunekit.data.fixes import run

        examples, report = run.run(self, names, context)
        found = Found(name=self._noted.name, is_train=self._noted.is_train)
        return self._of(examples, found, report)

    @property
    def _found(self) -> Found:
        return self._noted

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
        rows = counted(len(self), "example")
        kinds = f" ({', '.join(sorted(self.kinds))})" if self else ""
        skipped = f", {len(self.skipped):,} skipped" if self.skipped else ""
        return f"<Dataset: {rows}{kinds}{skipped}>"

    # --- facts --------------------------------------------------------------------------------------

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of example in it: chat, completion, preference, prompt, labelled."""
        return frozenset(example.kind for example in self._examples)

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Rows that `load(..., on_error="skip")` left out, and why. Conversions and `map` keep it; parts do not."""
        return tuple(self._noted.skipped)

    @property
    def source(self) -> Mapping[str, Any]:
        """How `load` read it: format, encoding, columns, shape and the like. Conversions and `map` keep it."""
        return MappingProxyType(self._noted.notes.facts)

    @property
    def fixes(self) -> FixReport | None:
        """What `fix` did to make this dataset, or None where that is not how it was made."""
        return self._fixes

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
            self._fingerprint = writing.fingerprint(self)
        return self._fingerprint

    def targets(self) -> Counter[str]:
        """How often each completion, label, or only answer of a chat occurs; a row counts for each of its labels.

        Raises:
            DataError: A row has no single target: it is of another kind, or a chat of several answers.

        Examples:
            >>> rows = [{"t": "hi", "y": "ham"}, {"t": "win!", "y": "spam"}, {"t": "yo", "y": "ham"}]
            >>> Dataset.from_records(rows, input="t", target="y").targets()
            Counter({'ham': 2, 'spam': 1})
        """
        return targets.count(self._examples)

    def head(self, n: int = 5) -> Dataset:
        """The first `n` examples."""
        return self[: arguments.whole("n", n, least=0)]

    # --- new datasets -------------------------------------------------------------------------------

    def map(self, function: Callable[[Example], Example]) -> Dataset:
        """A new dataset of `function(example)`. A result without an id or meta keeps those of its origin.

        Raises:
            SpecError: The function returned something that is not an example.
        """
        arguments.function("function", function, of="an example")
        return self._through(lambda rows: (keep_row(function(example), example) for example in rows))

    def filter(self, function: Callable[[Example], bool]) -> Dataset:
        """The examples for which `function(example)` is true."""
        arguments.function("function", function, of="an example")
        return Dataset(example for example in self if function(example))

    def concat(self, *others: Dataset) -> Dataset:
        """This dataset followed by the others; `a + b` is the same."""
        parts = (self, *(arguments.OnlyExamples("others", other) for other in others))
        return Dataset(example for part in parts for example in part)

    def _take(self, indices: Iterable[int], *, is_train: bool = False) -> Self:
        found = Found(name=self._noted.name, is_train=is_train or self._noted.is_train)
        return self._of((self._examples[index] for index in indices), found)
