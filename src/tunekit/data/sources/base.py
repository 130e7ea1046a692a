"""What a source of rows is. Knows no particular one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager

from tunekit.data.readers.base import Notes, Row


class Source(ABC):
    """Numbered rows that can be opened again and again."""

    name: str
    """First part of the row ids; the second is the row's number."""

    place: str
    """What errors call it: a path, or the name."""

    @abstractmethod
    def opened(self, notes: Notes) -> AbstractContextManager[Iterator[Row]]:
        """The rows, from the first. What is decided and noticed on the way goes to `notes`.

        Raises:
            DataError: It cannot be read, or not again.
        """
