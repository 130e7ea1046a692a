"""Turns with what became known of them. Knows lines and times; not what a dataset makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tunekit.retrain.collecting import files
from tunekit.retrain.collecting.masking import aligned
from tunekit.retrain.collecting.records import Feedback, Said, Thumb, Turn, row


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Of which turns.

    Attributes:
        since: Unix seconds; those of which something became known then or later. None for all.
        until: Unix seconds; what became known then or later is left out. None for now.
        model: Only what this model answered; None for all.
    """

    since: float | None = None
    until: float | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """A turn, and the last word on each of four things; None where there was none."""

    turn: Turn
    thumb: Thumb | None
    correction: Said | None
    outcome: Mapping[str, Any] | None
    comment: str | None


@dataclass(frozen=True, slots=True)
class Joined:
    """Turns of which something became known, in the order of their time, and where lines are spoilt."""

    answered: tuple[Answered, ...]
    spoilt: tuple[str, ...]


def joined(directory: Path, window: Window) -> Joined:
    """Read everything, twice: memory grows with the feedback, not with the traffic.

    Raises:
        StorageError: It cannot be read, or a newer tunekit wrote it.
    """
    said, spoilt = _feedback(directory, window)
    answered = {
        turn.id: _answered(turn, said[turn.id])
        for turn in turns(directory)
        if turn.id in said and window.model in (None, turn.model)
    }
    ordered = sorted(answered.values(), key=lambda each: (each.turn.at, each.turn.id))
    return Joined(tuple(ordered), tuple(spoilt))


def turns(directory: Path) -> Iterator[Turn]:
    """Every turn that can be read."""
    for path in files.files(directory):
        for _, line in files.lines(path):
            if isinstance(found := row(line), Turn):
                yield found


def _feedback(directory: Path, window: Window) -> tuple[dict[str, list[Feedback]], list[str]]:
    said: dict[str, list[Feedback]] = {}
    spoilt = []
    for path in files.files(directory):
        for number, line in files.lines(path):
            found = row(line)
            if found is None:
                spoilt.append(f"{path.stem}:{number}")
            elif isinstance(found, Feedback) and (window.until is None or found.at < window.until):
                said.setdefault(found.turn, []).append(found)
    for each in said.values():
        each.sort(key=lambda one: one.at)
    since = window.since
    return {turn: each for turn, each in said.items() if since is None or each[-1].at >= since}, spoilt


def _answered(turn: Turn, said: list[Feedback]) -> Answered:
    last: dict[str, Any] = dict.fromkeys(("thumb", "correction", "outcome", "comment"))
    for each in said:
        given = {name: getattr(each, name) for name in last}
        if each.correction is not None:
            given["correction"] = aligned(each.correction, each.hidden, turn.hidden)
        last |= {name: value for name, value in given.items() if value is not None}
    return Answered(turn, **last)


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What has been collected so far.

    Attributes:
        turns: Answers kept.
        thumbs_up: Turns whose last thumb is up.
        thumbs_down: Turns whose last thumb is down.
        corrections: Turns with a correction.
        outcomes: Turns with an outcome.
        spoilt: Where lines are that nobody can read, as `"<file>:<line>"`.
        files: How many files there are.
        bytes: How large they are together.
    """

    turns: int
    thumbs_up: int
    thumbs_down: int
    corrections: int
    outcomes: int
    spoilt: tuple[str, ...]
    files: int
    bytes: int


def counted(directory: Path) -> Counts:
    """Read and count everything."""
    found = joined(directory, Window())
    paths = files.files(directory)
    thumbs = [each.thumb for each in found.answered]
    return Counts(
        turns=sum(1 for _ in turns(directory)),
        thumbs_up=thumbs.count("up"),
        thumbs_down=thumbs.count("down"),
        corrections=sum(each.correction is not None for each in found.answered),
        outcomes=sum(each.outcome is not None for each in found.answered),
        spoilt=found.spoilt,
        files=len(paths),
        bytes=sum(path.stat().st_size for path in paths if path.exists()),
    )
