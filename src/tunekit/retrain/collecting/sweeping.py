"""Take out what must go: a user's rows, and what is too old. Knows which rows go together; not why."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tunekit.retrain.collecting import files
from tunekit.retrain.collecting.records import Feedback, Turn, row

ORPHANED_AFTER_S = 86_400.0
"""How long feedback waits for a turn that nobody can read: the line may yet be mended."""
_PATIENCE_S = 60.0
_SEALING_S = 5.0


@dataclass(frozen=True, slots=True)
class Swept:
    """What was taken out.

    Attributes:
        turns: Turns.
        feedback: Lines of feedback, with their turns or without any.
        busy: Files that a process did not give up, so that rows in them may be left: call it again.
        spoilt: Lines that nobody can read, and which therefore stayed.
    """

    turns: int
    feedback: int
    busy: int
    spoilt: int


def swept(directory: Path, gone: Callable[[Turn], bool], *, now: float) -> Swept:
    """Rewrite every file without the turns that are to go, and without the feedback on them.

    A kill leaves each file as it was or without those rows; the next call does the rest.

    Raises:
        DeadlineError: Another process is at it.
        StorageError: The disk said no, or a newer tunekit wrote the rows.
    """
    with files.alone(directory, patience_s=_PATIENCE_S):
        taken = [files.seal(path, patience_s=_SEALING_S) for path in files.files(directory) if _is_open(path)]
        doomed, orphaned, spoilt = _doomed(directory, gone)
        # A turn is written before its feedback, so feedback without one is of a turn that was taken out before.
        waits_until = now - ORPHANED_AFTER_S if spoilt else math.inf
        turns = feedback = 0

        def keep(line: bytes) -> bool:
            nonlocal turns, feedback
            found = row(line)
            if isinstance(found, Turn) and found.id in doomed:
                turns += 1
                return False
            if isinstance(found, Feedback) and (
                found.turn in doomed or (found.turn in orphaned and found.at <= waits_until)
            ):
                feedback += 1
                return False
            return True

        for path in files.files(directory):
            if not _is_open(path):
                files.rewrite(path, keep)
    return Swept(turns=turns, feedback=feedback, busy=taken.count(False), spoilt=spoilt)


def _doomed(directory: Path, gone: Callable[[Turn], bool]) -> tuple[set[str], set[str], int]:
    """Turns that are to go, turns that there is feedback on but nothing else, and how many lines are spoilt."""
    doomed, answered, spoilt = set[str](), set[str](), 0
    for path in files.files(directory):
        for _, line in files.lines(path):
            found = row(line)
            if isinstance(found, Feedback):
                answered.add(found.turn)
            elif found is None:
                spoilt += 1
            elif gone(found):
                doomed.add(found.id)
    orphaned = answered - doomed
    for path in files.files(directory) if orphaned else ():
        for _, line in files.lines(path):
            if isinstance(found := row(line), Turn):
                orphaned.discard(found.id)
    return doomed, orphaned, spoilt


def _is_open(path: Path) -> bool:
    return path.suffix == files.OPEN
