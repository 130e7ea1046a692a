"""The writing end of `events.jsonl`. Knows how to go on after a crash; knows neither torch nor what events mean.

Reader and writer share one rule: a line counts from its newline on. So a torn last line was never seen by anybody and
is cut off before the next event is written. An event of a step that is in the log already is not written again: after
a resume the repeated steps are the same steps, bit for bit, and a reader has seen them.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, Self, TypeVar

from tunekit import _files
from tunekit.events import (
    CheckpointSaved,
    Evaluated,
    JobEvent,
    JobState,
    Notice,
    Preflight,
    StateChanged,
    Step,
    event_to_dict,
)
from tunekit.training.run.rundir import RunDirectory

_E = TypeVar("_E", bound=JobEvent)


class EventLog:
    """Appends events with increasing ids. One writer at a time: hold the run's lock.

    Args:
        run: The run directory.
        clock: Unix time in seconds.
        undisturbed: Put around the writing of an event, which nothing may break into.

    Raises:
        StorageError: The log cannot be read or written.
    """

    def __init__(
        self,
        run: RunDirectory,
        *,
        clock: Callable[[], float] = time.time,
        undisturbed: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._clock, self._undisturbed = clock, undisturbed
        self._path = run.events_path
        self._last_id = 0
        self._written: set[tuple[str, int]] = set()
        self._state: JobState | None = None
        with _files.storage_errors(f"cannot open {str(self._path)!r}"):
            self._file = self._path.open("ab", buffering=0)
            os.chmod(self._path, 0o600)
            self._recover(run)

    def _recover(self, run: RunDirectory) -> None:
        end = offset = 0
        while True:
            events, end = run.events_from(offset)
            for event in events:
                self._remember(event)
            if end == offset:
                break
            offset = end
        os.ftruncate(self._file.fileno(), end)

    def _remember(self, event: JobEvent) -> None:
        if event.id.isdigit():  # a line that cannot be read arrives as a Notice without an id
            self._last_id = max(self._last_id, int(event.id))
        self._written.add((event.type, getattr(event, "step", 0)))
        if isinstance(event, StateChanged):
            self._state = event.state

    def state(self, state: JobState, message: str = "") -> None:
        """The run entered a state; nothing is written if the log says so already.

        A writer killed between the last event and the result is started again, and the run does not run anew by that.
        """
        ended = self._state is not None and self._state.is_terminal
        if state is not self._state and (state.is_terminal or not ended):
            self._append(StateChanged(id=self._next(), at=self._clock(), message=message, state=state))

    def preflight(self, report: Mapping[str, Any], message: str = "") -> None:
        """The report before the first step, once per run."""
        if (Preflight.type, 0) not in self._written:
            self._append(Preflight(id=self._next(), at=self._clock(), message=message, report=dict(report)))

    def notice(self, message: str, *, level: str = "info", data: Mapping[str, Any] | None = None) -> None:
        """Something worth saying, every time it happens."""
        self._append(
            Notice(id=self._next(), at=self._clock(), message=message, level=level, data=dict(data or {}))
        )

    def step(self, step: int, **facts: Any) -> None:
        """One optimizer step, once."""
        self._once(Step(id="", at=0.0, step=step, **facts))

    def evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        """Held-out metrics after a step, once."""
        self._once(Evaluated(id="", at=0.0, step=step, metrics=dict(metrics)))

    def checkpoint(self, step: int, name: str) -> None:
        """A checkpoint was published, once per step."""
        self._once(CheckpointSaved(id="", at=0.0, step=step, checkpoint=name))

    def sync(self) -> None:
        """Wait until the disk has everything written so far."""
        with _files.storage_errors(f"cannot write {str(self._path)!r}"):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Sync and close."""
        if not self._file.closed:
            self.sync()
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _once(self, event: Step | Evaluated | CheckpointSaved) -> None:
        if (event.type, event.step) not in self._written:
            self._append(dataclasses.replace(event, id=self._next(), at=self._clock()))

    def _next(self) -> str:
        return str(self._last_id + 1)

    def _append(self, event: JobEvent) -> None:
        # One write of one line: a reader sees all of it or waits for its newline. A full disk may keep a part, so what
        # failed is cut off again.
        line = (
            json.dumps(event_to_dict(event), ensure_ascii=False, allow_nan=False, default=str).encode()
            + b"\n"
        )
        with self._undisturbed(), _files.storage_errors(f"cannot write {str(self._path)!r}"):
            end = os.fstat(self._file.fileno()).st_size
            try:
                while line:
                    line = line[self._file.write(line) :]
            except OSError:
                os.ftruncate(self._file.fileno(), end)
                raise
            self._remember(event)


class SilentLog(EventLog):
    """Takes what a log takes and writes none of it: of processes that train together, one writes."""

    def __init__(self) -> None:
        self._last_id, self._state = 0, None
        self._written: set[tuple[str, int]] = set()
        self._clock = time.time

    def sync(self) -> None:
        """There is nothing to wait for."""

    def close(self) -> None:
        """There is nothing to close."""

    def _append(self, event: JobEvent) -> None:
        self._remember(event)
