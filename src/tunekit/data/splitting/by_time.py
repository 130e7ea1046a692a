"""The newest rows held out, as a model in use meets them. Knows how times are written; not what happened then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, TypeAlias

from tunekit.data.arguments import text
from tunekit.data.splitting.clusters import group_key
from tunekit.data.splitting.split import held_out_size
from tunekit.data.wording import brief, listed, nearest
from tunekit.errors import SpecError
from tunekit.examples import Example

When: TypeAlias = str | Callable[[Example], Any]


def by_time(examples: Sequence[Example], by: When, test: float | int, groups: str | None) -> frozenset[int]:
    """Indices of the newest rows. The promises are in `Dataset.split_by_time`."""
    size = held_out_size(test, len(examples))
    if not callable(by):
        text("by", by, such_as="day")
    times = _comparable([_time(example, by) for example in examples], examples)
    if groups is not None:
        times = _latest_of_groups(times, [group_key(example, groups) for example in examples])
    # Rows of one moment stay together: the cut falls where the time changes, nearest to what was asked.
    moments = sorted(set(times))
    if len(moments) < 2:
        raise SpecError(
            "all rows are of the same time, so none is newer", hint="split by another column, or use split()"
        )
    newest = {moment: sum(each >= moment for each in times) for moment in _candidates(moments, times, size)}
    cut = min(newest, key=lambda moment: (abs(newest[moment] - size), newest[moment]))
    return frozenset(index for index, each in enumerate(times) if each >= cut)


def _candidates(moments: Sequence[Any], times: Sequence[Any], size: int) -> list[Any]:
    """The moments on either side of the wanted cut; the first of all is none, for train needs rows."""
    wanted = sorted(times)[len(times) - size]
    at = moments.index(wanted)
    return [moments[i] for i in (at, at + 1) if 0 < i < len(moments)] or [moments[1]]


def _latest_of_groups(times: Sequence[Any], groups: Sequence[bytes]) -> list[Any]:
    """Each row at the time of its group's newest row, so that a group stays on one side and none is cut."""
    latest: dict[bytes, Any] = {}
    for each, group in zip(times, groups, strict=True):
        latest[group] = max(latest.get(group, each), each)
    return [latest[group] for group in groups]


def _time(example: Example, by: When) -> Any:
    if callable(by):
        return by(example)
    if by not in example.meta:
        known = [str(name) for name in example.meta]
        raise SpecError(
            f"row {example.id!r} has no meta column {by!r}; it has {listed(known) or 'none'}",
            hint=nearest(by, known) or "name a column that every row has, or pass a function",
        )
    return example.meta[by]


def _comparable(values: Sequence[Any], examples: Sequence[Example]) -> list[tuple[str, float]]:
    found = [_moment(value, example) for value, example in zip(values, examples, strict=True)]
    kinds = {kind for kind, _ in found}
    if len(kinds) > 1:
        raise SpecError(
            f"times are written in several ways: {listed(sorted(kinds))}",
            hint="pass a function that gives every row a datetime, or a number",
        )
    return found


def _moment(value: Any, example: Example) -> tuple[str, float]:
    if isinstance(value, str):
        number = _number(value)
        value = _date(value) if number is None else number
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time.min)
    if isinstance(value, datetime):
        # A time without a zone is taken as UTC; with and without do not mix.
        return ("dates with a time zone", value.timestamp()) if value.tzinfo else _naive(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == value:
        return "numbers", float(value)
    raise SpecError(
        f"row {example.id!r} has {brief(value)} for a time",
        hint="use ISO dates such as 2026-11-22, numbers, or a function that gives a datetime",
    )


def _naive(value: datetime) -> tuple[str, float]:
    return "dates without a time zone", value.replace(tzinfo=UTC).timestamp()


def _number(written: str) -> float | None:
    try:
        return float(written)
    except ValueError:
        return None


def _date(written: str) -> datetime | str:
    try:
        return datetime.fromisoformat(written.strip())
    except ValueError:
        return written
