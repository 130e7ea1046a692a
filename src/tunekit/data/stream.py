"""`DatasetStream`: examples that are read anew each time they are gone through, however large the file.

Knows how steps follow each other; not how files look. It has every method of `Dataset` that needs one pass only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Self

from tunekit.data import arguments, loading, writing
from tunekit.data.fixes.run import FixedRows
from tunekit.data.loading import Found, Plan
from tunekit.data.methods.base import Step, keep_row
from tunekit.data.methods.checking import Checking
from tunekit.data.methods.converting import Converting
from tunekit.data.methods.reading import Reading
from tunekit.data.methods.writing import Writing
from tunekit.data.patterns.veil import veiled
from tunekit.data.sources.base import Source
from tunekit.examples import Example

if TYPE_CHECKING:
    from tunekit.data.checks.base import CheckContext
    from tunekit.data.dataset import Dataset
    from tunekit.data.fixes.report import FixReport


class _Reading:
    """A source gone through from the beginning each time; `found` is what the latest pass noticed."""

    def __init__(self, source: Source, plan: Plan) -> None:
        self.source, self.plan = source, plan
        self.found = Found(name=source.name)

    def __iter__(self) -> Iterator[Example]:
        self.found = Found(name=self.source.name)
        return loading.examples(self.source, self.plan, self.found)


class _Stepped:
    def __init__(self, rows: Iterable[Example], step: Step) -> None:
        self.rows, self.step = rows, step

    def __iter__(self) -> Iterator[Example]:
        return self.step(self.rows)


class DatasetStream(Reading, Checking, Converting, Writing, Iterable[Example]):
    r"""Examples of a file or an iterable, one at a time, at constant memory.

    Made by `load`, `from_records` and their kin, which take what those of `Dataset` take. Nothing is read until the
    examples are gone through, and everything is read anew each time; over an iterator, once.

    Examples:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "big.jsonl")
        >>> _ = path.write_text('{"prompt": "2+2", "completion": "4"}\n' * 3)
        >>> stream = DatasetStream.load(path)
        >>> sum(1 for _ in stream), len(stream.collect())
        (3, 3)
    """

    __slots__ = ("_origin", "_rows")

    def __init__(self, rows: Iterable[Example], origin: _Reading) -> None:
        self._rows, self._origin = rows, origin

    @classmethod
    def _read(cls, source: Source, plan: Plan) -> Self:
        reading = _Reading(source, plan)
        return cls(reading, reading)

    def __iter__(self) -> Iterator[Example]:
        return iter(self._rows)

    def _through(self, step: Step) -> Self:
        return type(self)(_Stepped(self._rows, step), self._origin)

    def _fixed(self, names: Sequence[str], context: CheckContext) -> Self:
        return type(self)(FixedRows(self._rows, names, context), self._origin)

    @property
    def _found(self) -> Found:
        return self._origin.found

    @property
    def fixes(self) -> FixReport | None:
        """What `fix` did in the latest pass, as far as it has come; None where it is not how this stream was made."""
        return self._rows.report if isinstance(self._rows, FixedRows) else None

    def __repr__(self) -> str:
        return f"<DatasetStream of {veiled(self._origin.source.place)!r}>"

    def map(self, function: Callable[[Example], Example]) -> Self:
        """A stream of `function(example)`. A result without an id or meta keeps those of its origin."""
        arguments.function("function", function, of="an example")
        return self._through(lambda examples: (keep_row(function(each), each) for each in examples))

    def filter(self, function: Callable[[Example], bool]) -> Self:
        """The examples for which `function(example)` is true."""
        arguments.function("function", function, of="an example")
        return self._through(lambda examples: (each for each in examples if function(each)))

    def head(self, n: int = 5) -> Dataset:
        """The first `n` examples, held."""
        from tunekit.data.dataset import Dataset

        most = min(arguments.whole("n", n, least=0), sys.maxsize)
        return Dataset(islice(self, most))

    def collect(self) -> Dataset:
        """All examples, held in memory, with what reading noticed."""
        from tunekit.data.dataset import Dataset

        return Dataset._of(list(self), self._found, self.fixes)

    def fingerprint(self) -> str:
        """The same as `Dataset.fingerprint`, in one pass."""
        return writing.fingerprint(self)
