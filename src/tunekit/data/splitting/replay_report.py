"""What became of old rows in a replay: numbers for each task and label, and words. Knows counts; draws nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tunekit.data.wording import brief, counted

_MOST_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayPart:
    """What became of the old rows of one task and label.

    Attributes:
        task: Name of the task.
        label: Their label; "" where the rows of a task have none.
        rows: How many old rows there were.
        in_new: How many of them ask what a new row asks; they are not replayed.
        available: The others, of which rows with the same input count once.
        taken: How many are replayed.
        by_floor: How many of those the floor added to the label's own share.
    """

    task: str
    label: str
    rows: int
    in_new: int
    available: int
    taken: int
    by_floor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """What a replay is made of. Print it for a table.

    Attributes:
        new: New rows.
        share: Share of old rows that was asked for.
        floor: Rows of each old label that were asked for.
        wanted: Old rows that make this share.
        parts: What became of the old rows, by task and label.

    Examples:
        >>> part = ReplayPart(task="tone", label="calm", rows=9, in_new=0, available=9, taken=2, by_floor=1)
        >>> report = ReplayReport(new=19, share=0.05, floor=2, wanted=1, parts=(part,))
        >>> report.taken, round(report.share_taken, 3), report.warnings
        (2, 0.095, ('the floor of 2 for each label takes 2 old rows: more than the 1 of a share of 5 %',))
    """

    new: int
    share: float
    floor: int
    wanted: int
    parts: tuple[ReplayPart, ...]

    @property
    def taken(self) -> int:
        """Old rows in the mix."""
        return sum(part.taken for part in self.parts)

    @property
    def share_taken(self) -> float:
        """Share of the mix that is old rows."""
        return self.taken / (self.new + self.taken)

    @property
    def tasks(self) -> dict[str, int]:
        """Old rows in the mix, by task."""
        found: dict[str, int] = {}
        for part in self.parts:
            found[part.task] = found.get(part.task, 0) + part.taken
        return found

    @property
    def warnings(self) -> tuple[str, ...]:
        """Where the mix is not as asked, and labels that it does not have."""
        return tuple(self._warnings())

    def _warnings(self) -> Iterator[str]:
        if self.taken > self.wanted:
            yield (
                f"the floor of {self.floor} for each label takes {counted(self.taken, 'old row')}:"
                f" more than the {self.wanted:,} of a share of {100 * self.share:g} %"
            )
        if self.taken < self.wanted:
            yield f"there are {counted(self.taken, 'old row')} to replay, and {self.wanted:,} were asked for"
        missing = [part for part in self.parts if self.share and part.available and not part.taken]
        if missing:
            first = missing[0]
            yield (
                f"{counted(len(missing), 'label')} of old tasks not replayed, the first is {brief(first.label)}"
                f" of {brief(first.task)}: use a floor above 0, or a larger share"
            )

    def __str__(self) -> str:
        head = (
            f"{counted(self.new, 'new row')}, {counted(self.taken, 'old row')}"
            f" ({100 * self.share_taken:.1f} % of the mix, {100 * self.share:g} % asked)"
        )
        rows: list[tuple[str, ...]] = [("task", "label", "rows", "in new", "available", "taken", "by floor")]
        rows += [
            (
                brief(part.task, quote=False),
                brief(part.label, quote=False) or "-",
                *(f"{n:,}" for n in (part.rows, part.in_new, part.available, part.taken, part.by_floor)),
            )
            for part in self.parts[:_MOST_LINES]
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        rest = len(self.parts) - _MOST_LINES
        more = [f"and {rest:,} more labels"] if rest > 0 else []
        return "\n".join([head, *table, *more, *(f"warning: {words}" for words in self.warnings)])
