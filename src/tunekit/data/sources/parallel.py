"""Two files of which line n of one answers line n of the other. Knows lines only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import zip_longest
from pathlib import PurePath

from tunekit.data import arguments
from tunekit.data.patterns.veil import veiled
from tunekit.data.readers import compressed, files
from tunekit.data.readers.base import Notes, Row
from tunekit.data.readers.encoding import check as check_encoding
from tunekit.data.readers.text_file import TextFile
from tunekit.data.sources.base import Source
from tunekit.errors import DataError


class ParallelSource(Source):
    """Lines of two files side by side, as translation corpora come.

    Args:
        input_path: What the model reads.
        target_path: What it should answer. Its name begins the row ids.
        encoding: Of both; recognised unless told.
    """

    def __init__(
        self,
        input_path: str | os.PathLike[str],
        target_path: str | os.PathLike[str],
        *,
        encoding: str | None,
    ) -> None:
        self._paths = (arguments.path("input_path", input_path), arguments.path("target_path", target_path))
        if encoding is not None:
            check_encoding(arguments.text("encoding", encoding, such_as="utf-8"))
        self._encoding = encoding
        self.place = self._paths[1]
        self.name = veiled(PurePath(self.place).name)

    @contextmanager
    def opened(self, notes: Notes) -> Iterator[Iterator[Row]]:
        """The rows, from the first line."""
        notes.name = self.name
        notes.facts.update(format="parallel", input=veiled(PurePath(self._paths[0]).name), target=self.name)
        with ExitStack() as stack:
            texts = [
                TextFile(compressed.opened(stack.enter_context(files.opened(path)), notes), self._encoding)
                for path in self._paths
            ]
            notes.facts["encoding"] = texts[0].decoder.encoding.name
            yield self._rows(*(text.lines() for text in texts))
            for text in texts:
                text.decoder.finish(notes)

    def _rows(self, inputs: Iterator[str], targets: Iterator[str]) -> Iterator[Row]:
        for number, (read, said) in enumerate(zip_longest(inputs, targets), start=1):
            if read is None or said is None:
                ends, goes_on = self._paths if read is None else reversed(self._paths)
                raise DataError(
                    f"{PurePath(ends).name!r} ends before line {number}, and {PurePath(goes_on).name!r} goes on",
                    line=number,
                    hint="both files need the same lines in the same order; was one cut, or filtered?",
                )
            yield number, {"input": read.rstrip("\r\n"), "target": said.rstrip("\r\n")}
