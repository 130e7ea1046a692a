"""`launches.jsonl` of a run: every start of a trainer, and why one stopped that can go on. Knows no process.

    {"at": ..., "event": "start", "progress": [40, 2], "host_pid": 4711}
    {"at": ..., "event": "blocked", "message": "... No space left on device ...", "hint": "..."}
    {"at": ..., "event": "reported"}
    {"at": ..., "event": "left"}

Progress is the newest checkpoint, and how many blocks of what the untrained model says are kept: all that a probe has.
The file is appended to a few bytes at a time, which fits into a block that it has already; so a trainer that a full
disk has stopped can still say so. Write it only while holding the run's lock.
"""

from __future__ import annotations

import json
import os
import time
from itertools import takewhile
from pathlib import Path
from typing import Any

from tunekit import _files
from tunekit.errors import StorageError
from tunekit.training.run.rundir import RunDirectory


def note_start(run: RunDirectory) -> None:
    """A trainer is about to be started; noted before, so that one that takes its host down with it counts as well."""
    _append(run, event="start", progress=_progress(run), host_pid=os.getpid())


def note_blocked(run: RunDirectory, error: StorageError) -> None:
    """The trainer stops because of the disk, and the run can go on from its newest checkpoint once that is mended."""
    _append(run, event="blocked", message=error.message, hint=error.hint)


def note_left(run: RunDirectory) -> None:
    """The trainer leaves because it was told to (SIGTERM, a pause), which is nobody's death either."""
    _append(run, event="left")


def raise_if_blocked(run: RunDirectory) -> None:
    """Tell one caller, once, why the last trainer stopped. The next look starts another.

    Raises:
        StorageError: What stopped it.
    """
    notes = _notes(run)
    if notes and notes[-1].get("event") == "blocked":
        _append(run, event="reported")
        raise StorageError(
            f"training stopped: {notes[-1].get('message')}",
            hint=f"{notes[-1].get('hint')}; then follow the job again and it goes on from its last checkpoint",
            backend="local",
        )


def deaths_without_progress(run: RunDirectory) -> int:
    """How many trainers in a row died since anything was kept. One that was stopped is nobody's death."""
    progress = _progress(run)
    return len(list(takewhile(lambda note: note.get("progress") == progress, reversed(_notes(run)))))


def _path(run: RunDirectory) -> Path:
    return run.path / "launches.jsonl"


def _append(run: RunDirectory, **facts: Any) -> None:
    path = _path(run)
    line = json.dumps({"at": time.time(), **facts}).encode() + b"\n"
    with _files.storage_errors(f"cannot write {str(path)!r}"), _files.open_private(path) as file:
        file.write(line)


def _notes(run: RunDirectory) -> list[dict[str, Any]]:
    with _files.storage_errors(f"cannot read {str(_path(run))!r}"):
        lines, _ = _files.read_lines_from(_path(run), 0)
    return [_note(line) for line in lines]


def _note(line: bytes) -> dict[str, Any]:
    try:
        note = json.loads(line)
    except ValueError:
        note = None  # torn by a full disk or a power cut
    return note if isinstance(note, dict) else {}


def _progress(run: RunDirectory) -> list[int]:
    with _files.storage_errors(f"cannot look into {str(run.path)!r}"):
        steps = [int(item.name) for item in run.checkpoints_path.glob("[0-9]*") if item.name.isdecimal()]
        return [max(steps, default=0), len(list(run.untrained_path.glob("*/[!.]*")))]
