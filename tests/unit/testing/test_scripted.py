"""The scripted backend does what a host's tests tell it to, and counts honestly."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tunekit import JobState, Sampling, TuneSpec
from tunekit.backends import GenerateRequest, ScoreRequest, SubmitRequest
from tunekit.errors import BackendError, NotFoundError, UnsupportedError
from tunekit.testing import Counters, FakeClock, Fault, ScriptedBackend, tiny_dataset, training_script


def request(key: str = "k") -> SubmitRequest:
    return SubmitRequest(model="base", spec=TuneSpec(), train=tiny_dataset(), idempotency_key=key)


async def test_plays_its_script_one_look_at_a_time() -> None:
    backend = ScriptedBackend(events_per_poll=2, script=training_script(steps=2))
    job_id = await backend.submit(request())
    states = [(await backend.snapshot(job_id)).state for _ in range(3)]
    assert states == [JobState.RUNNING, JobState.RUNNING, JobState.SUCCEEDED]


async def test_reading_twice_from_one_cursor_gives_the_same_and_maybe_more() -> None:
    backend = ScriptedBackend(events_per_poll=1, page_size=2)
    job_id = await backend.submit(request())
    first = await backend.events(job_id, None)
    second = await backend.events(job_id, None)
    assert second.events[: len(first.events)] == first.events
    assert len(second.events) == 2


async def test_never_removes_duplicates_by_itself() -> None:
    backend = ScriptedBackend()
    assert await backend.submit(request()) != await backend.submit(request())
    assert backend.counters == Counters(submits=2, jobs=2)
    assert backend.keys == ("k", "k")


@pytest.mark.parametrize(
    ("fault", "error", "jobs"),
    [
        (Fault.LOSE_REPLY, ConnectionResetError, 1),
        (Fault.LOSE_REQUEST, ConnectionResetError, 0),
        (Fault.FAIL_AFTER_ACCEPT, BackendError, 1),
        (Fault.REFUSE, BackendError, 0),
    ],
)
async def test_faults_come_in_order_and_then_all_goes_well(
    fault: Fault, error: type[Exception], jobs: int
) -> None:
    backend = ScriptedBackend(faults=[fault, "none", fault])
    for expected in (error, None, error, None):
        if expected is None:
            await backend.submit(request())
        else:
            with pytest.raises(expected):
                await backend.submit(request())
    assert (backend.counters.submits, backend.counters.jobs) == (4, 2 + 2 * jobs)


async def test_never_answers_waits_for_ever_and_has_made_the_job() -> None:
    backend = ScriptedBackend(faults=[Fault.NEVER_ANSWERS])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(backend.submit(request()), 0.02)
    assert backend.counters.jobs == 1


async def test_find_lags_fails_and_can_be_missing() -> None:
    backend = ScriptedBackend(find_failures=1, find_lag=1)
    job_id = await backend.submit(request())
    with pytest.raises(BackendError, match="listing failed"):
        await backend.find("k")
    assert [await backend.find("k"), await backend.find("k"), await backend.find("other")] == [
        None,
        job_id,
        None,
    ]
    without = ScriptedBackend(find=False)
    assert not without.capabilities.supports("find")
    with pytest.raises(UnsupportedError):
        await without.find("k")


async def test_cancel_stops_the_script_where_it_stands() -> None:
    backend = ScriptedBackend(events_per_poll=1, script=training_script(steps=9))
    job_id = await backend.submit(request())
    await backend.snapshot(job_id)
    await backend.snapshot(job_id)
    await backend.cancel(job_id)
    page = await backend.events(job_id, None)
    assert [event.type for event in page.events] == ["state", "state", "state"]
    assert (await backend.snapshot(job_id)).state is JobState.CANCELLED


async def test_generate_and_score_are_the_hosts_functions() -> None:
    backend = ScriptedBackend(
        generate=lambda prompt: f"<{prompt}>", score=lambda prompt, choice: -len(choice)
    )
    (answer,) = await backend.generate("m", [GenerateRequest(prompt="hi")], Sampling())
    (scores,) = await backend.score("m", [ScoreRequest(prompt="hi", choices=("a", "bb cc"))])
    assert (answer.text, answer.finish_reason) == ("<hi>", "stop")
    assert (scores.log_probs, scores.tokens) == ((-1, -5), (2, 3))


@pytest.mark.parametrize("verb", ["snapshot", "cancel"])
async def test_unknown_job_is_not_found(verb: str) -> None:
    with pytest.raises(NotFoundError, match="job-9"):
        await getattr(ScriptedBackend(), verb)("job-9")


async def test_directory_is_one_service_for_all_who_know_it(tmp_path: Path) -> None:
    one = ScriptedBackend(
        directory=tmp_path, faults=[Fault.NONE, Fault.REFUSE], script=training_script(steps=7)
    )
    two = ScriptedBackend(directory=tmp_path, faults=[Fault.NONE, Fault.REFUSE])
    job_id = await one.submit(request())
    with pytest.raises(BackendError):
        await two.submit(request("k2"))
    assert await two.find("k") == job_id
    assert len((await two.events(job_id, None)).events) == 10, (
        "a job keeps the script that it was submitted with"
    )
    assert one.counters == two.counters


async def test_latency_passes_on_the_given_clock() -> None:
    clock = FakeClock(start=50.0)
    backend = ScriptedBackend(clock=clock, latency_s=2.5)
    await backend.snapshot(await backend.submit(request()))
    assert (clock.now(), clock.monotonic()) == (55.0, 5.0)


def test_clock_can_be_moved_by_hand() -> None:
    clock = FakeClock(start=10.0)
    clock.advance(5.0)
    assert (clock.now(), clock.monotonic(), clock.sleeps) == (15.0, 5.0, [])
