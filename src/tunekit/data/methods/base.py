"""What a collection of examples must offer for the shared methods to work on it. Knows no file and no method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Self

from tunekit.data import arguments
from tunekit.data.loading import Found, Plan
from tunekit.data.sources.base import Source
from tunekit.errors import SpecError
from tunekit.examples import Example

if TYPE_CHECKING:
    from tunekit.data.checks.base import CheckContext

Step = Callable[[Iterable[Example]], Iterator[Example]]
"""Examples in, examples out, one at a time."""


class Examples(ABC):
    """Examples in order that can be gone through more than once."""

    __slots__ = ()

    @classmethod
    @abstractmethod
    def _read(cls, source: Source, plan: Plan) -> Self:
        """The examples of a source."""

    @abstractmethod
    def __iter__(self) -> Iterator[Example]: ...

    @abstractmethod
    def _through(self, step: Step) -> Self:
        """The examples that come out of a step."""

    @abstractmethod
    def _fixed(self, names: Sequence[str], context: CheckContext) -> Self:
        """The examples mended."""

    @property
    @abstractmethod
    def _found(self) -> Found:
        """What reading noticed; complete once the examples have been gone through."""


def keep_row(new: Example, old: Example) -> Example:
    """A result that has no id or meta of its own gets those of its origin.

    Raises:
        SpecError: It is no example.
    """
    if not arguments.is_example(new):
        raise SpecError(
            f"what the function made of row {old.id!r} is {type(new).__name__!r}, not an example",
            hint="return an example, such as the one that it got, or example.replace(...)",
        )
    if new.id and new.meta:
        return new
    return new.replace(id=new.id or old.id, meta=new.meta or old.meta)
