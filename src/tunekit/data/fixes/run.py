"""Apply fixes to rows, in the catalogue's order. Knows which may run and what they see; not what any of them mends.

The rows that are given are never changed, and a mended row keeps its id, so what came before is always at hand.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tunekit.data.checks.base import CheckContext
from tunekit.data.fixes import catalogue
from tunekit.data.fixes.base import Fix
from tunekit.data.fixes.report import MAX_CHANGES, FixLog, FixReport
from tunekit.data.views import with_ids
from tunekit.data.wording import brief, listed, nearest
from tunekit.errors import SpecError
from tunekit.examples import Example

LOSSLESS = "lossless"
"""Stands for every lossless fix among the names of fixes."""


def run(
    examples: Iterable[Example],
    names: Sequence[str],
    context: CheckContext,
    *,
    max_changes: int | None = MAX_CHANGES,
) -> tuple[tuple[Example, ...], FixReport]:
    """The rows mended, and what was done. Each fix sees the rows as the one before it left them.

    Args:
        examples: Rows; they are not changed.
        names: Fixes to run. None at all: every lossless fix. Otherwise those and no others, where `"lossless"` stands
            for every lossless one. They run in the catalogue's order, whatever the order of the names.
        context: What the fixes may know beside the rows.
        max_changes: Changes that the report shows of each fix; None for all of them.

    Raises:
        SpecError: There is no such fix, or it is for plain-text prompts and these are not.
    """
    rows = tuple(with_ids(examples))
    before = len(rows)
    logs = []
    for cls in chosen(names, context):
        fix, log = _logged(cls(context), max_changes)
        fix.prepare(rows)
        rows = tuple(_through(fix, log, rows))
        logs.append(log)
    return rows, _report(before, len(rows), logs, names)


class FixedRows:
    """Rows of a stream, mended as they pass; memory grows with the report, not with the rows.

    Every pass reads the source again, and a fix that must look at all rows first costs one more pass before the
    first. The report is that of the latest pass, as far as it has come.

    Args:
        source: Gives the same rows each time that it is iterated.
        names: As for `run`.
        context: As for `run`.
        max_changes: As for `run`.

    Raises:
        SpecError: As for `run`; or the source can be read only once, and a fix needs more.
    """

    def __init__(
        self,
        source: Iterable[Example],
        names: Sequence[str],
        context: CheckContext,
        *,
        max_changes: int | None = MAX_CHANGES,
    ) -> None:
        self._source = source
        self._names = tuple(names)
        self._fixes = [cls(context) for cls in chosen(names, context)]
        self._max_changes = max_changes
        self._prepared = False
        self._logs: list[FixLog] = []
        self._counts = [0, 0]
        looking = [fix.name for fix in self._fixes if _looks_first(fix)]
        if looking and isinstance(source, Iterator):
            raise SpecError(
                f"rows that can be read only once cannot be fixed by {listed(looking)}, which look at all rows first",
                hint="collect them in a Dataset, or pass something that can be iterated twice",
            )

    def __iter__(self) -> Iterator[Example]:
        self._prepare()
        self._counts = counts = [0, 0]
        fixes = [_logged(_fresh(fix), self._max_changes) for fix in self._fixes]
        self._logs = [log for _, log in fixes]
        rows = _counted(with_ids(self._source), counts, 0)
        for fix, log in fixes:
            rows = _through(fix, log, rows)
        return _counted(rows, counts, 1)

    @property
    def report(self) -> FixReport:
        """What the latest pass has done so far."""
        return _report(self._counts[0], self._counts[1], self._logs, self._names)

    def _prepare(self) -> None:
        if self._prepared:
            return
        for index, fix in enumerate(self._fixes):
            if _looks_first(fix):
                rows: Iterable[Example] = self._source
                for earlier in self._fixes[:index]:
                    rows = _mended(_fresh(earlier), rows)
                fix.prepare(rows)
        self._prepared = True


def chosen(names: Sequence[str], context: CheckContext) -> list[type[Fix]]:
    """The fixes that run for these names, in the catalogue's order.

    Raises:
        SpecError: There is no such fix, or it is for plain-text prompts and these are not.
    """
    known = {cls.name: cls for cls in catalogue.builtin()}
    for name in names:
        if name != LOSSLESS:
            _check(name, known, context)
    wants_lossless = not names or LOSSLESS in names
    return [
        cls
        for cls in known.values()
        if cls.name in names or (wants_lossless and cls.safety == "lossless" and _fits(cls, context))
    ]


def _check(name: Any, known: dict[str, type[Fix]], context: CheckContext) -> None:
    if not isinstance(name, str) or name not in known:
        near = nearest(name, [*known, LOSSLESS]) if isinstance(name, str) else ""
        raise SpecError(f"there is no fix {brief(name)}", hint=near or f"fixes are {listed(known)}")
    if not _fits(known[name], context):
        raise SpecError(
            f"{name!r} is for prompts of plain text, and these become chats, where a template does that work",
            hint='pass target="base", or another target whose model continues plain text',
        )


def _fits(cls: type[Fix], context: CheckContext) -> bool:
    return cls.prompt_format in ("any", context.prompt_format)


def _looks_first(fix: Fix) -> bool:
    return type(fix).prepare is not Fix.prepare


def _fresh(fix: Fix) -> Fix:
    """One that has been applied to no row, for a fix may remember rows. What it learned in `prepare` is kept."""
    if not _looks_first(fix):
        return type(fix)(fix.context)
    return copy.deepcopy(fix, {id(fix.context): fix.context})  # the context may hold whole datasets: share it


def _logged(fix: Fix, max_changes: int | None) -> tuple[Fix, FixLog]:
    return fix, FixLog(fix, max_changes)


def _through(fix: Fix, log: FixLog, rows: Iterable[Example]) -> Iterator[Example]:
    for row in rows:
        mended = fix.apply(row)
        if mended is None:
            log.leave_out(row)
            continue
        if mended is not row:
            log.change(row, mended)
        yield mended


def _mended(fix: Fix, rows: Iterable[Example]) -> Iterator[Example]:
    return (mended for row in rows if (mended := fix.apply(row)) is not None)


def _counted(rows: Iterable[Example], counts: list[int], place: int) -> Iterator[Example]:
    for row in rows:
        counts[place] += 1
        yield row


def _report(before: int, after: int, logs: Iterable[FixLog], names: Sequence[str]) -> FixReport:
    applied = (log.applied() for log in logs)
    return FixReport(
        rows_before=before,
        rows_after=after,
        fixes=tuple(fix for fix in applied if fix.count or fix.name in names),
    )
