"""A job's log as one stream of our events: in order, each once, from a cursor that survives restarts.

OpenAI lists events newest first, other hosts may not, and the list grows while it is read. So a cursor holds the ids of
the last events that were handed out, and how many there were in all: what is not among them is new, but for as many on
their older side as the cursor has forgotten. Clocks are asked only where that decides nothing: they tie, and they err.
In doubt an event comes twice rather than never. The states of a job are in no log; they are told from the job itself.
Knows nothing of what waits for events.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from tunekit.backends.base import EventPage
from tunekit.backends.openai import listing, wire
from tunekit.backends.openai.remote import RemoteEvent, RemoteJob
from tunekit.backends.openai.translate import state_of
from tunekit.backends.openai.transport import Transport
from tunekit.data.wording import brief
from tunekit.errors import NotFoundError, SpecError
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
        count: How many were handed out in all.
        ascending: Whether the host lists the oldest first; None while nothing has proved it.
        at: When the newest of them was, in Unix seconds.
        state: The state told last; None before the first.
        turns: How many states were told.
    """

    seen: tuple[str, ...] = ()
    count: int = 0
    ascending: bool | None = None
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
            seen, count, ascending, at, state, turns = json.loads(cursor)
            is_ours = isinstance(seen, list) and all(isinstance(item, str) for item in seen)
            are_counts = all(isinstance(each, int) and 0 <= each <= wire.MAX_COUNT for each in (count, turns))
            if is_ours and are_counts and ascending in (None, True, False) and wire.is_number(at):
                place = cls(seen=tuple(seen), count=count, ascending=ascending, at=float(at))
                return replace(place, state=JobState(state), turns=turns)
        except (ValueError, TypeError, RecursionError):
            pass
        raise SpecError(
            f"{brief(cursor)} is not a cursor of backend 'openai'", hint="pass one that events() returned"
        )

    def cursor(self) -> str:
        """The place as a string to keep."""
        body = [self.seen, self.count, self.ascending, self.at, self.state, self.turns]
        return json.dumps(body, separators=(",", ":"))

    @property
    def forgotten(self) -> int:
        """How many events were handed out whose ids it no longer holds."""
        return self.count - len(self.seen)

    def in_order_of(self, log: Sequence[RemoteEvent]) -> Place:
        """The same place, its ids in the order of the log, oldest first: what is forgotten next shall be the oldest."""
        found = [event.id for event in reversed(log) if event.id in self.seen]
        return replace(self, seen=(*found, *(name for name in self.seen if name not in found)))

    def after(self, events: Sequence[RemoteEvent], state: JobState | None, turns: int) -> Place:
        """The place behind these events, oldest first."""
        seen, at = self.seen, self.at
        for event in events:
            seen, at = (event.id, *seen[: OVERLAP - 1]), max(at, event.created_at)
        count = self.count + len(events)
        return Place(seen=seen, count=count, ascending=self.ascending, at=at, state=state, turns=turns)


async def read(
    transport: Transport,
    job: RemoteJob,
    path: str,
    cursor: str | None,
    *,
    newest_first: bool = False,
    deploy: str = "",
) -> EventPage:
    """The events behind a cursor.

    Args:
        transport: Carries the calls.
        job: The job, read just before: of one that has ended, all events are there by now.
        path: Where its events are listed; "" on a host that lists none.
        cursor: Where to go on; None is the beginning.
        newest_first: Whether that is certainly how this host lists them, so that not all pages need to be read.
        deploy: What must be done before a tuned model answers; told before the job's success is.

    Raises:
        BackendError: The host's answer cannot be read.
        SpecError: The cursor is none.
    """
    place = Place.of(cursor)
    missing = ""
    try:
        listed = await _listed(transport, path, place, newest_first) if path else []
    except NotFoundError as error:  # the job was there a moment ago: it is the log that this host has not
        listed, missing = [], error.message
    ascending = False if newest_first else _is_ascending(listed, place)
    log = listed if (_rises(listed) if ascending is None else ascending) else listed[::-1]
    place = replace(place.in_order_of(log), ascending=ascending)
    page = told(job, beyond(log, place), place, deploy=deploy)
    if not missing or place.state is not None:
        return page
    notice = Notice(
        id="no-log", at=job.created_at, level="warning", message=f"this host shows no log: {missing}"
    )
    return replace(page, events=(notice, *page.events))


async def _listed(transport: Transport, path: str, place: Place, newest_first: bool) -> list[RemoteEvent]:
    """The host's list in its own order, as far as it may hold anything new."""
    found: dict[str, RemoteEvent] = {}
    async for page in listing.pages(transport, path, wire.event):
        found.update({event.id: event for event in page.items if event.id not in found})
        if newest_first and place.seen and place.seen[-1] in found:
            break
    return list(found.values())


def _is_ascending(listed: list[RemoteEvent], place: Place) -> bool | None:
    """Whether this host lists the oldest first, against the custom; None where nothing proves either.

    As many events as a cursor has forgotten lie on the older side of those that it remembers.
    """
    at = [position for position, event in enumerate(listed) if event.id in place.seen]
    if not at or len(at) < len(place.seen):
        return None
    before, behind = at[0] == place.forgotten, len(listed) - at[-1] - 1 == place.forgotten
    return place.ascending if before == behind else before


def _rises(listed: list[RemoteEvent]) -> bool:
    """Whether the times of a list rise more often than they fall."""
    steps = [later.created_at - earlier.created_at for earlier, later in pairwise(listed)]
    return sum(step > 0 for step in steps) > sum(step < 0 for step in steps)


def beyond(log: list[RemoteEvent], place: Place) -> list[RemoteEvent]:
    """Of events, oldest first, those that were not handed out."""
    known = set(place.seen)
    strange = [event for event in log if event.id not in known]
    start = next((at for at, event in enumerate(log) if event.id in known), None)
    if (
        known and start is None
    ):  # the host has dropped them; what is no newer than they were was handed out, too
        return [event for event in log if event.created_at > place.at]
    later = [event for event in log[start or 0 :] if event.id not in known]
    are_all_there = len(log) - len(strange) == len(known)
    return (
        later
        if place.forgotten and (not are_all_there or len(later) >= len(strange) - place.forgotten)
        else strange
    )


def told(job: RemoteJob, fresh: list[RemoteEvent], place: Place, *, deploy: str = "") -> EventPage:
    """New events of the log with the changes of state among them; the state in which a job ends comes last."""
    states = _States(job, place)
    events: list[JobEvent] = [*states.begin()]
    for remote in fresh:
        for event in translated(remote):
            events += [*states.before(event), event]
    ending = list(states.end())
    if deploy and ending and ending[-1].state is JobState.SUCCEEDED:
        events.append(_undeployed(job, ending[-1], deploy))
    events += ending
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
    if event.type == "metrics" and 0 <= numbers.get("step", -1) <= wire.MAX_COUNT:
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
            total_steps=wire.count(numbers, "total_steps"),
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


def _undeployed(job: RemoteJob, ending: StateChanged, deploy: str) -> Notice:
    """That there is a model which does not answer yet."""
    data = {"type": "deployment_needed", "model": job.fine_tuned_model, "deploy": deploy}
    message = f"the tuned model does not answer before it is deployed: {deploy}"
    return Notice(id=f"deploy-{ending.id}", at=ending.at, message=message, level="warning", data=data)


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
