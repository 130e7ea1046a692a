"""A job's log as one stream of our events: in order, each once, from a cursor that survives restarts.

Hosts list events newest first, and the list grows while it is read. So a cursor holds the ids of the last events that
were handed out: a read goes back until it has met all of these, and what it saw on the way is new, even if a host let
an event in between two that were there already. The states of a job are in no log; they are told from the job itself.
Knows nothing of what waits for events.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tunekit.backends.base import EventPage
from tunekit.backends.openai import listing, wire
from tunekit.backends.openai.translate import state_of
from tunekit.backends.openai.transport import Transport
from tunekit.backends.openai.wire import RemoteEvent, RemoteJob
from tunekit.data.wording import brief
from tunekit.errors import SpecError
from tunekit.events import CheckpointSaved, Evaluated, JobEvent, JobState, Notice, StateChanged, Step

OVERLAP = 20
"""Events that a cursor remembers: how many places late a host may be with one."""

_CHECKPOINT = re.compile(r"Checkpoint created at step (\d{1,12})(?: with Snapshot ID: (\S{1,512}))?")
_LEVELS = {"info": "info", "warn": "warning", "warning": "warning", "error": "error"}
_NOT_METRICS = frozenset({"step", "total_steps", "epoch", "train_loss", "learning_rate"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far a stream has been read.

    Attributes:
        seen: Ids of the last events handed out, newest first.
        at: When the newest of them was, in Unix seconds.
        state: The state told last; None before the first.
        turns: How many states were told.
    """

    seen: tuple[str, ...] = ()
    at: float = 0.0
    state: JobState | None = None
    turns: int = 0

    @classmethod
    def of(cls, cursor: str | None) -> Place:
        """The place of a cursor.

        Raises:
            SpecError: It was not made here.
        """
        if cursor is None:
            return cls()
        try:
            seen, at, state, turns = json.loads(cursor)
            return cls(seen=tuple(map(str, seen)), at=float(at), state=JobState(state), turns=int(turns))
        except (ValueError, TypeError, RecursionError):
            raise SpecError(
                f"{brief(cursor)} is not a cursor of backend 'openai'", hint="pass one that events() returned"
            ) from None

    def cursor(self) -> str:
        """The place as a string to keep."""
        return json.dumps([self.seen, self.at, self.state, self.turns], separators=(",", ":"))

    def after(self, events: Iterable[RemoteEvent], state: JobState | None, turns: int) -> Place:
        """The place behind these events, oldest first."""
        seen, at = self.seen, self.at
        for event in events:
            seen, at = (event.id, *seen[: OVERLAP - 1]), max(at, event.created_at)
        return Place(seen=seen, at=at, state=state, turns=turns)


async def read(transport: Transport, job: RemoteJob, path: str, cursor: str | None) -> EventPage:
    """The events behind a cursor.

    Args:
        transport: Carries the calls.
        job: The job, read just before: of one that has ended, all events are there by now.
        path: Where its events are listed; "" on a host that lists none.
        cursor: Where to go on; None is the beginning.

    Raises:
        BackendError: The host's answer cannot be read.
        SpecError: The cursor is none.
    """
    place = Place.of(cursor)
    fresh = await _fresh(transport, path, place) if path else []
    return told(job, fresh, place)


async def _fresh(transport: Transport, path: str, place: Place) -> list[RemoteEvent]:
    """What has come since, oldest first."""
    found: dict[str, RemoteEvent] = {}
    ascending = False
    async for page in listing.pages(transport, path, wire.event):
        ascending = ascending or _is_ascending(page.items)
        found.update({event.id: event for event in page.items if event.id not in found})
        if place.seen and place.seen[-1] in found and not ascending:
            break
    events = list(found.values())
    return beyond(events if ascending else events[::-1], place)


def _is_ascending(events: tuple[RemoteEvent, ...]) -> bool:
    """Whether this host lists the oldest first, against the custom."""
    return bool(events) and 0 < events[0].created_at < events[-1].created_at


def beyond(events: list[RemoteEvent], place: Place) -> list[RemoteEvent]:
    """Of events, oldest first, those that were not handed out."""
    known = set(place.seen)
    start = next((at for at, event in enumerate(events) if event.id in known), None)
    if (
        known and start is None
    ):  # the host has forgotten them; what is older than they were was handed out, too
        return [event for event in events if event.created_at > place.at]
    return [event for event in events[start or 0 :] if event.id not in known]


def told(job: RemoteJob, fresh: list[RemoteEvent], place: Place) -> EventPage:
    """New events of the log with the changes of state among them; the state in which a job ends comes last."""
    states = _States(job, place)
    events: list[JobEvent] = [*states.begin()]
    for remote in fresh:
        for event in translated(remote):
            events += [*states.before(event), event]
    events += states.end()
    return EventPage(events=tuple(events), cursor=place.after(fresh, states.current, states.turns).cursor())


class _States:
    """The states that a job must have been in, told between the events of its log."""

    def __init__(self, job: RemoteJob, place: Place) -> None:
        self._job = job
        self._at = place.at or job.created_at
        self.current, self.turns = place.state, place.turns

    def begin(self) -> Iterator[StateChanged]:
        """Every job begins in the queue."""
        if self.current is None:
            yield self._turn(JobState.QUEUED, self._job.created_at)

    def before(self, event: JobEvent) -> Iterator[StateChanged]:
        """A job that reports a step runs."""
        if not isinstance(event, Notice) and self.current in (JobState.QUEUED, JobState.PAUSED):
            yield self._turn(JobState.RUNNING, event.at)
        self._at = max(self._at, event.at)

    def end(self) -> Iterator[StateChanged]:
        """Where the job stands now. An end that was told stays."""
        state = state_of(self._job)
        if self.current is state or self.current is None or self.current.is_terminal:
            return
        if self.current is JobState.QUEUED and state in (JobState.SUCCEEDED, JobState.PAUSED):
            yield self._turn(JobState.RUNNING, self._at)
        at = (self._job.finished_at if state.is_terminal else 0.0) or self._at
        said = self._job.error.message if self._job.error and state is JobState.FAILED else ""
        yield self._turn(state, at, said)

    def _turn(self, state: JobState, at: float, message: str = "") -> StateChanged:
        self.current, self.turns = state, self.turns + 1
        return StateChanged(id=f"state-{self.turns}-{state}", at=at, state=state, message=message)


def translated(event: RemoteEvent) -> Iterator[JobEvent]:
    """An event of the log in our words; what has none is a `Notice` that keeps everything."""
    numbers = wire.numbers(event.data)
    saved = _CHECKPOINT.match(event.message)
    if event.type == "metrics" and "step" in numbers:
        yield from _metrics(event, numbers)
    elif saved:
        yield CheckpointSaved(
            id=event.id,
            at=event.created_at,
            message=event.message,
            step=int(saved[1]),
            checkpoint=saved[2] or "",
        )
    else:
        yield _notice(event)


def _metrics(event: RemoteEvent, numbers: dict[str, float]) -> Iterator[JobEvent]:
    """A step, a measurement on held-out data, or both: hosts report them in one."""
    held_out = {name: value for name, value in numbers.items() if "valid" in name}
    others = {
        name: value for name, value in numbers.items() if name not in held_out | dict.fromkeys(_NOT_METRICS)
    }
    step = int(numbers["step"])
    if "train_loss" in numbers or others or not held_out:
        yield Step(
            id=event.id,
            at=event.created_at,
            message=event.message,
            step=step,
            total_steps=int(numbers.get("total_steps", 0)),
            epoch=numbers.get("epoch", 0.0),
            loss=numbers.get("train_loss"),
            learning_rate=numbers.get("learning_rate"),
            metrics=others,
        )
    if held_out:
        losses = [held_out[name] for name in ("full_valid_loss", "valid_loss") if name in held_out]
        metrics = {**({"loss": losses[0]} if losses else {}), **held_out}
        yield Evaluated(
            id=f"{event.id}:held-out", at=event.created_at, message=event.message, step=step, metrics=metrics
        )


def _notice(event: RemoteEvent) -> Notice:
    data: dict[str, Any] = dict(event.data)
    if event.type != "message":
        data["type"] = event.type
    if event.level not in _LEVELS:
        data["level"] = event.level
    return Notice(
        id=event.id,
        at=event.created_at,
        message=event.message,
        level=_LEVELS.get(event.level, "info"),
        data=data,
    )
