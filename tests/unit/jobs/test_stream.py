"""Event streams: each event once, in order, wherever the reader stopped and however the backend pages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.jobs.conftest import submit
from tunekit import JobEvent, JobState, Notice, StateChanged, Step
from tunekit._clock import SystemClock
from tunekit.backends import EventPage, Snapshot
from tunekit.errors import BackendError, DeadlineError, SpecError
from tunekit.jobs import EventStream
from tunekit.jobs.polling import READ_DEADLINE_S
from tunekit.jobs.stream import SILENCE_S
from tunekit.store import RunStore
from tunekit.testing import FakeClock, ScriptedBackend, training_script


class Pages:
    """A backend's half of a stream: events that appear `step` at a time, in pages that may overlap."""

    def __init__(self, count: int, *, page_size: int = 3, overlap: int = 0, step: int = 1) -> None:
        self.script = [Step(id=f"e{number}", at=float(number), step=number) for number in range(count)]
        self.page_size, self.overlap, self.step = page_size, overlap, step
        self.visible = 0
        self.reads = 0
        self.clock = FakeClock()

    async def read(self, cursor: str | None) -> EventPage:
        self.reads += 1
        start = int(cursor or 0)
        page = self.script[max(0, start - self.overlap) : self.visible][: self.page_size + self.overlap]
        end = max(start, min(start + self.page_size, self.visible))
        return EventPage(events=tuple(page), cursor=str(end))

    async def look(self) -> Snapshot:
        done = self.visible >= len(self.script)
        self.visible += self.step
        return Snapshot(job_id="job", state=JobState.SUCCEEDED if done else JobState.RUNNING)

    def stream(self, cursor: str | None = None) -> EventStream:
        return EventStream(self.read, self.look, clock=self.clock, longest_pause_s=5.0, cursor=cursor)


def ids(events: Sequence[object]) -> list[str]:
    return [event.id for event in events]  # type: ignore[attr-defined]


# --- each event once --------------------------------------------------------------------------------


@given(
    count=st.integers(0, 30),
    page_size=st.integers(1, 8),
    overlap=st.integers(0, 8),
    step=st.integers(1, 10),
    splits=st.lists(st.integers(0, 12), max_size=8),
)
def test_any_paging_and_any_interruption_gives_each_event_once(
    count: int, page_size: int, overlap: int, step: int, splits: list[int]
) -> None:
    pages = Pages(count, page_size=page_size, overlap=overlap, step=step)

    async def read() -> list[str]:
        seen: list[str] = []
        cursor: str | None = None
        for length in splits:
            stream = pages.stream(cursor)
            async for event in stream:
                seen.append(event.id)
                if len(seen) % (length + 1) == 0:
                    break
            cursor = stream.cursor  # all that survives, as if in another process
        seen.extend([event.id async for event in pages.stream(cursor)])
        return seen

    assert asyncio.run(read()) == ids(pages.script)


def test_cursor_is_a_string_that_only_moves_when_events_are_handed_out() -> None:
    stream = Pages(5, page_size=5, step=5).stream()
    assert stream.cursor is None
    cursors: list[str | None] = []
    for _ in range(5):
        next(stream)
        cursors.append(stream.cursor)
    assert len(set(cursors)) == 5
    assert all(isinstance(cursor, str) and json.loads(cursor) for cursor in cursors)


def test_saved_cursor_of_a_finished_stream_gives_nothing_more() -> None:
    pages = Pages(4, step=4)
    stream = pages.stream()
    assert len(list(stream)) == 4
    assert list(pages.stream(stream.cursor)) == []


def test_ended_stream_stays_ended() -> None:
    stream = Pages(2).stream()
    assert len(list(stream)) == 2
    assert list(stream) == []


@pytest.mark.parametrize("cursor", ["", "17", "[]", "[1, 2]", '["a"]', "{}", '["a", "b", "c"]'])
def test_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(SpecError, match="is not an event cursor"):
        Pages(1).stream(cursor)


def test_events_written_between_the_last_read_and_the_end_are_not_lost() -> None:
    pages = Pages(3, step=3)

    async def look() -> Snapshot:
        pages.visible = 3  # all happens, and ends, behind the reader's back
        return Snapshot(job_id="job", state=JobState.SUCCEEDED)

    stream = EventStream(pages.read, look, clock=pages.clock, longest_pause_s=5.0)
    assert ids(list(stream)) == ["e0", "e1", "e2"]


def test_events_without_ids_all_come_through() -> None:
    notices = tuple(Notice(id="", at=0.0, message=str(number)) for number in range(3))

    async def read(cursor: str | None) -> EventPage:
        return EventPage(events=notices if cursor is None else (), cursor="end")

    async def look() -> Snapshot:
        return Snapshot(job_id="job", state=JobState.FAILED)

    stream = EventStream(read, look, clock=FakeClock(), longest_pause_s=1.0)
    assert [event.message for event in stream] == ["0", "1", "2"]


# --- pauses and failures ----------------------------------------------------------------------------


def test_pauses_grow_while_nothing_happens_and_start_small_after_news() -> None:
    pages = Pages(2, step=0)
    looks = iter([0] * 7 + [1] + [1] * 3 + [2])

    async def look() -> Snapshot:
        pages.visible = next(looks, 2)
        return Snapshot(
            job_id="job",
            state=JobState.SUCCEEDED if pages.visible == 2 and pages.reads > 13 else JobState.RUNNING,
        )

    stream = EventStream(pages.read, look, clock=pages.clock, longest_pause_s=2.0)
    next(stream)
    assert pages.clock.sleeps == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]
    pages.clock.sleeps.clear()
    next(stream)
    assert pages.clock.sleeps == [0.1, 0.2, 0.4, 0.8]


class Flaky(Pages):
    """Reads fail until a moment on the clock."""

    def __init__(self, *, until_s: float, error: Exception) -> None:
        super().__init__(3, step=3)
        self.until_s, self.error = until_s, error

    async def read(self, cursor: str | None) -> EventPage:
        if self.clock.monotonic() < self.until_s:
            raise self.error
        return await super().read(cursor)


RESTARTING = BackendError("the service is restarting", retryable=True)


@pytest.mark.parametrize("error", [RESTARTING, ConnectionResetError("reset"), TimeoutError("late")])
def test_short_silence_is_not_worth_a_word(error: Exception) -> None:
    assert ids(list(Flaky(until_s=SILENCE_S / 2, error=error).stream())) == ["e0", "e1", "e2"]


def test_long_silence_is_told_once_and_has_no_place_in_the_cursor() -> None:
    pages = Flaky(until_s=READ_DEADLINE_S - 10, error=RESTARTING)
    stream = pages.stream()
    notice = next(stream)
    assert isinstance(notice, Notice)
    assert (notice.level, "the service is restarting" in notice.message) == ("warning", True)
    assert stream.cursor is None
    assert ids(list(stream)) == ["e0", "e1", "e2"]


def test_endless_silence_is_an_error_and_the_stream_can_go_on_afterwards() -> None:
    pages = Flaky(until_s=READ_DEADLINE_S * 1.5, error=RESTARTING)
    stream = pages.stream()
    with pytest.raises(BackendError, match="restarting"):
        list(stream)
    assert ids([event for event in stream if not isinstance(event, Notice)]) == ["e0", "e1", "e2"]


@pytest.mark.parametrize(
    ("said", "pause_s"), [(120.0, 120.0), (1e9, 3600.0), (0.0, 0.1), ("soon", 0.1), (None, 0.1)]
)
def test_a_service_that_asks_to_be_left_alone_is(said: object, pause_s: float) -> None:
    busy = BackendError("too many calls", retryable=True, details={"retry_after_s": said})
    pages = Flaky(until_s=1.0, error=busy)
    assert ids(list(pages.stream())) == ["e0", "e1", "e2"]
    assert pages.clock.sleeps[0] == pause_s


@pytest.mark.parametrize("error", [BackendError("forbidden"), ZeroDivisionError("a bug")])
def test_error_that_will_not_pass_is_raised_at_once(error: Exception) -> None:
    pages = Flaky(until_s=1.0, error=error)
    with pytest.raises(type(error)):
        next(pages.stream())
    assert pages.clock.sleeps == []


# --- through a job ----------------------------------------------------------------------------------


@pytest.mark.parametrize("events_per_poll", [0, 1, 3])
@pytest.mark.parametrize("page_size", [1, 2, 100])
def test_for_and_async_for_give_the_same(store: RunStore, events_per_poll: int, page_size: int) -> None:
    backend = ScriptedBackend(
        script=training_script(steps=5), events_per_poll=events_per_poll, page_size=page_size
    )
    job = submit(backend, store)

    async def read() -> list[object]:
        return [event async for event in job.events()]

    expected = training_script(steps=5)
    assert list(job.events()) == expected
    assert asyncio.run(read()) == expected


def test_job_resumes_from_a_saved_cursor_in_another_object(store: RunStore) -> None:
    backend = ScriptedBackend(events_per_poll=1, page_size=2)
    job = submit(backend, store)
    stream = job.events()
    first = [next(stream).id for _ in range(3)]
    rest = [
        event.id for event in type(job).attach(job.ref, backend=backend, store=store).events(stream.cursor)
    ]
    assert (first, rest) == (["1", "2", "3"], ["4", "5", "6"])


def test_transient_read_errors_do_not_reach_the_reader(store: RunStore) -> None:
    job = submit(ScriptedBackend(read_failures=3), store)
    assert ids(list(job.events())) == ["1", "2", "3", "4", "5", "6"]


def test_one_stream_serves_for_and_async_for_in_turn(store: RunStore) -> None:
    stream = submit(ScriptedBackend(page_size=1), store).events()
    assert next(stream).id == "1"

    async def read() -> list[str]:
        return [event.id async for event in stream]

    assert asyncio.run(read()) == ["2", "3", "4", "5", "6"]


def test_state_unknown_to_tunekit_counts_as_running(store: RunStore) -> None:
    from tunekit.events import event_from_dict

    paused = event_from_dict({"type": "state", "id": "9", "at": 1.0, "state": "pausing"})
    assert paused == StateChanged(id="9", at=1.0, state=JobState.RUNNING)
    script = [paused, StateChanged(id="10", at=2.0, state=JobState.SUCCEEDED)]
    job = submit(ScriptedBackend(script=script, events_per_poll=1), store)
    assert job.snapshot().state is JobState.RUNNING
    assert job.result() == "scripted:base-tuned-1"


class Strange(ScriptedBackend):
    """A service with words of its own for where a job stands."""

    def __init__(self, words: list[str], **options: Any) -> None:
        super().__init__(**options)
        self.words = words

    async def snapshot(self, job_id: str) -> Snapshot:
        seen = await super().snapshot(job_id)
        if not self.words:
            return seen
        return replace(seen, state=JobState.RUNNING, model=None, unknown_state=self.words.pop(0))


def test_a_state_that_only_the_backend_knows_is_told_once_for_each_word(store: RunStore) -> None:
    backend = Strange(["blocked_by_policy", "blocked_by_policy", "expired"])
    notices = [event for event in submit(backend, store).events() if isinstance(event, Notice)]
    assert [event.message.split("'")[1] for event in notices] == ["blocked_by_policy", "expired"]
    assert all("tunekit does not know" in event.message and not event.id for event in notices)


def test_a_wait_that_was_too_short_names_the_strange_state(store: RunStore) -> None:
    job = submit(Strange(["expired"] * 100, clock=SystemClock()), store)
    with pytest.raises(
        DeadlineError, match=r"has not ended after 0.5 s; the backend calls the job 'expired'"
    ):
        job.wait(timeout_s=0.5)


def test_a_log_that_cannot_be_read_ends_no_wait(store: RunStore) -> None:
    class Closed(ScriptedBackend):
        async def events(self, job_id: str, cursor: str | None) -> EventPage:
            raise BackendError("you may not read events")

    told: list[JobEvent] = []
    assert submit(Closed(), store).wait(on_event=told.append).state is JobState.SUCCEEDED
    (notice,) = told
    assert isinstance(notice, Notice) and "you may not read events" in notice.message
