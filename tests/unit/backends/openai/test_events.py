"""A job's log comes as one stream: in order, each event once, and a cursor goes on behind what was read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.exchange import Request, Response
from tests.wire.inprocess import InProcess
from tunekit.backends.base import EventPage
from tunekit.backends.openai import events, wire
from tunekit.errors import BackendError, SpecError
from tunekit.events import CheckpointSaved, Evaluated, JobState, Notice, StateChanged, Step

PATH = "/fine_tuning/jobs/j/events"


def remote(number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"e{number}", "created_at": 1000 + number // 3, "message": f"line {number}", **more}


class Log:
    """A host's list of events, newest first. Between two pages it may grow, and pages may overlap."""

    def __init__(self, *, size: int = 3, overlap: int = 0, ascending: bool = False) -> None:
        self.events: list[dict[str, Any]] = []
        self.size, self.overlap, self.ascending = size, overlap, ascending
        self.meanwhile: Callable[[], object] = lambda: None
        self.transport = InProcess(handler=self)

    def __call__(self, request: Request) -> Response:
        listed = self.events[:] if self.ascending else self.events[::-1]
        after = dict(request.query).get("after")
        ids = [item["id"] for item in listed]
        start = max(0, ids.index(after) + 1 - self.overlap) if after else 0
        data = listed[start : start + self.size]
        self.meanwhile()
        return Response.of({"data": data, "has_more": start + self.size < len(listed)})

    def read(
        self, cursor: str | None, *, status: str = "running", newest_first: bool = False, **job: Any
    ) -> EventPage:
        found = wire.job({"id": "j", "status": status, "created_at": 1000, **job})
        return asyncio.run(events.read(self.transport, found, PATH, cursor, newest_first=newest_first))


def lines(page: EventPage) -> list[str]:
    return [event.message for event in page.events if isinstance(event, Notice)]


def states(page: EventPage) -> list[JobState]:
    return [event.state for event in page.events if isinstance(event, StateChanged)]


@given(
    bursts=st.lists(st.integers(0, 9), max_size=6),
    size=st.integers(2, 5),
    overlap=st.integers(0, 1),
    growth=st.lists(st.integers(0, 3), max_size=6),
    ascending=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_every_event_comes_once_and_in_order_however_pages_shift(
    bursts: list[int], size: int, overlap: int, growth: list[int], ascending: bool
) -> None:
    log = Log(size=size, overlap=overlap, ascending=ascending)
    left = list(growth)

    def grow(count: int) -> None:
        # Of a host that lists the oldest first only time can tell it, so there are no two events in one second.
        for number in range(len(log.events), len(log.events) + count):
            log.events.append(remote(number, **({"created_at": 1000 + number} if ascending else {})))

    log.meanwhile = lambda: grow(left.pop() if left else 0)
    cursor, seen = None, []
    for burst in [*bursts, 0, 0]:
        grow(burst)
        page = log.read(cursor)
        cursor = page.cursor
        seen += lines(page)
    left.clear()
    seen += lines(log.read(cursor))
    assert seen == [item["message"] for item in log.events]


@given(count=st.integers(0, 30), more=st.integers(0, 30))
@settings(max_examples=30, deadline=None)
def test_reading_twice_from_one_cursor_gives_the_same_and_maybe_more(count: int, more: int) -> None:
    log = Log(size=7)
    log.events = [remote(number) for number in range(count)]
    first = log.read(None, status="queued")
    log.events += [remote(count + number) for number in range(more)]
    again = log.read(None, status="queued")
    assert again.events[: len(first.events)] == first.events
    assert lines(log.read(first.cursor)) == lines(again)[count:]


def test_quiet_job_gives_its_cursor_back() -> None:
    log = Log(size=25)
    log.events = [remote(number) for number in range(60)]
    page = log.read(None, newest_first=True)
    again = log.read(page.cursor, newest_first=True)
    assert (again.events, again.cursor) == ((), page.cursor)
    assert len(log.transport.calls) == 3 + 1, "the second read needs the newest page only"
    assert log.read(page.cursor).events == ()
    assert len(log.transport.calls) == 3 + 1 + 3, "of a host that may list the oldest first, all are needed"


def test_event_that_a_host_lets_in_late_is_not_lost() -> None:
    log = Log()
    log.events = [remote(number) for number in range(6)]
    cursor = log.read(None).cursor
    log.events.insert(4, remote(99))
    page = log.read(cursor)
    assert lines(page) == ["line 99"]
    assert log.read(page.cursor).events == ()


@pytest.mark.parametrize("ascending", [False, True])
@pytest.mark.parametrize("size", [2, 4, 10])
def test_one_clock_that_is_wrong_turns_no_log_around(ascending: bool, size: int) -> None:
    log = Log(size=size, ascending=ascending)
    log.events = [remote(number, created_at=1000 + number) for number in range(6)]
    log.events[5]["created_at"], log.events[0]["created_at"] = 1, 9999
    page = log.read(None)
    assert lines(page) == [f"line {number}" for number in range(6)]
    log.events += [remote(6, created_at=2000), remote(7, created_at=2)]
    assert lines(log.read(page.cursor)) == ["line 6", "line 7"]


@given(
    bursts=st.lists(st.integers(0, 9), max_size=8),
    clock=st.sampled_from(["still", "wild"]),
    ascending=st.booleans(),
    random=st.randoms(use_true_random=False),
)
@settings(max_examples=100, deadline=None)
def test_no_clock_loses_an_event(bursts: list[int], clock: str, ascending: bool, random: Any) -> None:
    log = Log(size=7, ascending=ascending)
    cursor, seen = None, []
    for burst in [*bursts, 1, 0]:
        for number in range(len(log.events), len(log.events) + burst):
            log.events.append(remote(number, created_at=1000 if clock == "still" else random.randrange(10)))
        page = log.read(cursor)
        cursor = page.cursor
        seen += lines(page)
    assert set(seen) == {item["message"] for item in log.events}, "none is lost, though one may come twice"
    assert len(seen) <= 2 * len(log.events)


def test_the_first_two_lines_in_the_wrong_order_cost_none_of_those_that_follow() -> None:
    log = Log(size=50)
    log.events = [remote(0, created_at=1001), remote(1, created_at=1000)]
    page = log.read(None)
    assert sorted(lines(page)) == ["line 0", "line 1"]
    log.events += [remote(number, created_at=1000 + number) for number in range(2, 40)]
    page = log.read(page.cursor)
    assert lines(page) == [f"line {number}" for number in range(2, 40)]
    log.events += [remote(number, created_at=1040) for number in range(40, 60)]
    assert lines(log.read(page.cursor)) == [f"line {number}" for number in range(40, 60)]


def test_host_that_forgets_old_events_does_not_repeat_new_ones() -> None:
    log = Log(size=50)
    log.events = [remote(number) for number in range(30)]
    cursor = log.read(None).cursor
    log.events = [remote(number) for number in range(29, 40)]
    assert lines(log.read(cursor)) == [f"line {number}" for number in range(30, 40)]
    log.events = [remote(number) for number in range(60, 63)]
    assert lines(log.read(cursor)) == ["line 60", "line 61", "line 62"]


def test_host_that_pages_in_a_circle_is_refused() -> None:
    page = Response.of({"data": [remote(1)], "has_more": True})
    log = Log()
    log.transport.handler = lambda request: page
    with pytest.raises(BackendError, match="no id to go on from"):
        log.read(None)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "7",
        "[]",
        '["a"]',
        '[["x"],1,null,1,"dancing",1]',
        '[["x"],-1,null,1,"running",1]',
        '[1,2,0,2,"running",3]',
    ],
)
def test_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(SpecError, match="is not a cursor"):
        Log().read(cursor)


def test_states_stand_where_they_were_and_the_end_comes_last() -> None:
    log = Log(size=50)
    step = {"type": "metrics", "data": {"step": 1, "train_loss": 0.5}}
    log.events = [remote(1), remote(2, **step), remote(3)]
    page = log.read(None, status="succeeded", finished_at=2000)
    assert [event.id for event in page.events] == [
        "state-1-queued",
        "e1",
        "state-2-running",
        "e2",
        "e3",
        "state-3-succeeded",
    ]
    assert page.events[-1].at == 2000
    log.events.append(remote(4))
    late = log.read(page.cursor, status="succeeded")
    assert (lines(late), states(late)) == (["line 4"], [])


@pytest.mark.parametrize(
    ("statuses", "told"),
    [
        (("validating_files", "queued", "queued"), ["queued"]),
        (
            ("queued", "running", "paused", "running", "succeeded"),
            ["queued", "running", "paused", "running", "succeeded"],
        ),
        (("queued", "paused"), ["queued", "running", "paused"]),
        (("queued", "failed"), ["queued", "failed"]),
        (("cancelled",), ["queued", "cancelled"]),
        (("succeeded", "running"), ["queued", "running", "succeeded"]),
        (("awaiting_stars",), ["queued", "running"]),
    ],
)
def test_states_are_told_as_they_change(statuses: tuple[str, ...], told: list[str]) -> None:
    cursor, seen = None, list[StateChanged]()
    for status in statuses:
        page = Log().read(cursor, status=status)
        cursor = page.cursor
        seen += [event for event in page.events if isinstance(event, StateChanged)]
    assert [event.state for event in seen] == told
    assert len({event.id for event in seen}) == len(seen)


def test_host_without_a_log_still_tells_the_states() -> None:
    job = wire.job({"id": "j", "status": "failed", "error": {"message": "bad file"}, "created_at": 3})
    page = asyncio.run(events.read(Log().transport, job, "", None))
    assert [event.message for event in page.events] == ["", "bad file"]


def told(**more: Any) -> list[Any]:
    return list(events.translated(wire.event(remote(1, **more))))


def test_metrics_become_a_step_and_what_was_measured_on_held_out_data() -> None:
    data = {
        "step": 7,
        "total_steps": 9,
        "train_loss": 0.5,
        "train_mean_token_accuracy": 0.9,
        "valid_loss": 0.7,
    }
    step, held_out = told(type="metrics", data=data | {"full_valid_loss": 0.6, "extra": None})
    assert isinstance(step, Step) and (step.step, step.total_steps, step.loss) == (7, 9, 0.5)
    assert step.metrics == {"train_mean_token_accuracy": 0.9}
    assert isinstance(held_out, Evaluated) and held_out.id != step.id
    assert held_out.metrics == {"loss": 0.6, "valid_loss": 0.7, "full_valid_loss": 0.6}


def test_rewards_of_reinforcement_are_metrics() -> None:
    data = {
        "step": 2,
        "scores": {"train_reward_mean": 0.25, "valid_reward_mean": 0.5},
        "usage": {"tokens": 10},
    }
    step, held_out = told(type="metrics", data=data)
    assert (step.loss, step.metrics) == (None, {"train_reward_mean": 0.25, "tokens": 10.0})
    assert held_out.metrics == {"valid_reward_mean": 0.5}


def test_what_is_not_known_is_a_notice_that_keeps_everything() -> None:
    (notice,) = told(type="moderation_checks", level="catastrophe", data={"blocked": ["x"]})
    assert isinstance(notice, Notice)
    assert notice.data == {"blocked": ["x"], "type": "moderation_checks", "level": "catastrophe"}
    assert [told(level="warn")[0].level, told(type="metrics", data=None)[0].type] == ["warning", "notice"]


def test_saved_checkpoints_are_told_by_their_message() -> None:
    (saved,) = told(message="Checkpoint created at step 80 with Snapshot ID: ft:gpt-4.1:acme::x:ckpt-step-80")
    assert isinstance(saved, CheckpointSaved)
    assert (saved.step, saved.checkpoint) == (80, "ft:gpt-4.1:acme::x:ckpt-step-80")


def test_cursor_is_short_and_plain_json() -> None:
    log = Log(size=100)
    log.events = [remote(number) for number in range(500)]
    cursor = log.read(None).cursor
    assert cursor is not None and len(json.loads(cursor)[0]) == events.OVERLAP and len(cursor) < 1000


def test_a_host_without_a_route_for_its_log_says_so_once_and_tells_the_states() -> None:
    log = Log()
    log.transport.handler = lambda request: Response.of({"error": {"message": "Not Found"}}, status=404)
    first = log.read(None)
    assert [type(event) for event in first.events] == [Notice, StateChanged, StateChanged]
    assert "shows no log" in first.events[0].message
    assert [type(event) for event in log.read(first.cursor, status="succeeded").events] == [StateChanged]
