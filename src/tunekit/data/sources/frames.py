"""Rows of pandas and polars frames as plain records. Knows what their cells are; not what a column means.

Neither package is imported here: whoever has a frame has it already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tunekit.data.readers.plain import plain
from tunekit.data.wording import listed
from tunekit.errors import SpecError

if TYPE_CHECKING:
    import pandas
    import polars


class PandasRecords:
    """Rows of a pandas frame, as often as they are asked for. Missing values are None; the index is left out.

    Args:
        frame: The frame.

    Raises:
        SpecError: It is something else, or two columns have one name.
    """

    def __init__(self, frame: pandas.DataFrame) -> None:
        _check(frame, "pandas", "DataFrame")
        self._names = [str(name) for name in frame.columns]
        twice = [name for name, count in Counter(self._names).items() if count > 1]
        if twice:
            raise SpecError(
                f"several columns are called {listed(twice)}", hint="rename them in the frame first"
            )
        self._frame = frame

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for cells in self._frame.itertuples(index=False, name=None):
            yield {name: plain(cell) for name, cell in zip(self._names, cells, strict=True)}


class PolarsRecords:
    """Rows of a polars frame, as often as they are asked for; a lazy frame is run in pieces.

    Args:
        frame: The frame, lazy or not.

    Raises:
        SpecError: It is something else.
    """

    def __init__(self, frame: polars.DataFrame | polars.LazyFrame) -> None:
        _check(frame, "polars", "DataFrame", "LazyFrame")
        self._frame = frame

    def __iter__(self) -> Iterator[dict[str, Any]]:
        frame: Any = self._frame
        pieces = frame.collect_batches() if hasattr(frame, "collect_batches") else [frame]
        for piece in pieces:
            for row in piece.iter_rows(named=True):
                yield {name: plain(cell) for name, cell in row.items()}


RECORDS: Mapping[str, Callable[[Any], Iterable[dict[str, Any]]]] = {
    "pandas": PandasRecords,
    "polars": PolarsRecords,
}
"""How frames are read, by the package that they are of."""


def _check(frame: Any, package: str, *names: str) -> None:
    kind = type(frame)
    if kind.__module__.partition(".")[0] != package or kind.__name__ not in names:
        raise SpecError(
            f"expected a {package} frame, found {kind.__name__!r}",
            hint="from_records takes any iterable of dictionaries",
        )
