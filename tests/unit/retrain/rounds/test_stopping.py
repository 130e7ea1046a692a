"""Rounds that are stopped while nobody is there to stop their job, and rounds that are somebody else's."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import tunekit as tk
from tests.unit.retrain.rounds.products import Host, product, rows
from tunekit.errors import StorageError
from tunekit.store import SqliteStore
from tunekit.store.base import Lease
from tunekit.testing import training_script


def test_a_round_that_is_cancelled_as_its_job_is_accepted(tmp_path: Path) -> None:
    rounds = tk.Rounds("bot", settings=tk.Settings(home=tmp_path))
    host = Host(0.9, on_accept=lambda job: rounds.cancel(rounds.list()[0].round_id))
    done = product(tmp_path, host).run(rows("a"))
    assert done.state is tk.RoundState.CANCELLED
    assert (host.counters.jobs, host.counters.cancels) == (1, 1)


def test_a_job_whose_worker_died_before_the_round_was_cancelled(tmp_path: Path) -> None:
    class Died(BaseException):
        """As if by SIGKILL, between the host's answer and our note of it."""

    def die(job: str) -> None:
        raise Died

    home = tmp_path / "host"
    forever = training_script(steps=3)[:-1]
    with pytest.raises(BaseException):  # noqa: B017, PT011 - a process that dies raises nothing that one could name
        product(tmp_path, Host(0.9, directory=home, script=forever, on_accept=die)).run(rows("a"))
    host = Host(0.9, directory=home, script=forever)
    retrainer = product(tmp_path, host)
    (waiting,) = retrainer.rounds.list()
    retrainer.rounds.cancel(waiting.round_id)
    assert retrainer.resume() == []
    assert host.counters.cancels == 1
    assert retrainer.rounds.get(waiting.round_id).job_stopped
    assert retrainer.resume() == [] and host.counters.cancels == 1, "once"


def test_what_is_being_promoted_cannot_be_cancelled(tmp_path: Path) -> None:
    retrainer = product(tmp_path, Host(0.9))
    done = retrainer.run(rows("a"))
    store = retrainer.rounds.store
    stuck = store.move(done.model_copy(update={"state": tk.RoundState.PROMOTING}))
    with pytest.raises(tk.ConflictError, match="is promoting"):
        retrainer.rounds.cancel(stuck.round_id)
    assert [each.state for each in retrainer.resume()] == ["promoted"]


def test_each_alias_has_its_own_rounds(tmp_path: Path) -> None:
    host = Host(0.9)
    strict = product(tmp_path, host, approval="manual")
    loose = product(tmp_path, host, alias="bot@beta")
    asked, other = loose.request(rows("a")), strict.request(rows("b"))
    done = loose.run(rows("a"))
    assert done.round_id == asked.round_id and done.promoted
    assert strict.rounds.get(other.round_id).state is tk.RoundState.REQUESTED
    assert strict.run(rows("b")).state is tk.RoundState.AWAITING_APPROVAL
    assert list(strict.rounds.registry.aliases("bot")) == ["beta"]


def test_what_one_gate_was_asked_for_no_other_promotes(tmp_path: Path) -> None:
    host = Host(0.9)
    strict = product(tmp_path, host, gate=tk.Gate(primary="exact_match", min_gain=0.6))
    asked = strict.request(rows("a"))
    loose = product(tmp_path, host, gate=tk.Gate(primary="exact_match"))
    with pytest.raises(tk.ConflictError, match="another recipe, gate or approval"):
        loose.resume()
    assert host.counters.jobs == 0
    assert loose.run(rows("b")).promoted, "a later request has the rows of all"
    assert strict.rounds.get(asked.round_id).state is tk.RoundState.COALESCED


def test_a_round_is_found_behind_a_thousand_requests(tmp_path: Path) -> None:
    async def interrupted() -> None:
        task = asyncio.create_task(product(tmp_path, Host(0.9, read_failures=10_000)).run_async(rows("a")))
        with pytest.raises(tk.BackendError):
            await task

    asyncio.run(interrupted())
    retrainer = product(tmp_path, Host(0.9))
    (begun,) = retrainer.rounds.list(states=(tk.RoundState.TRAINING,))
    store = retrainer.rounds.store
    for number in range(1100):
        draft = begun.model_copy(
            update={"round_id": f"r{number}", "key": f"k{number}", "state": tk.RoundState.DECLINED}
        )
        store.request(draft)
    assert [each.round_id for each in retrainer.rounds.list(states=(tk.RoundState.TRAINING,))] == [
        begun.round_id
    ]


def test_rows_of_a_refused_request_are_not_handed_in(tmp_path: Path) -> None:
    retrainer = product(tmp_path, Host(0.9))
    retrainer.run(rows("a"), key="k")
    with pytest.raises(tk.ConflictError, match="used for another request"):
        retrainer.request(rows("evil"), key="k")
    assert len(retrainer.rounds.batches()) == 1


class Unplugged(SqliteStore):
    """A store whose process stops, once, between the note of a job and the lease by which it would be sent."""

    stops = True

    def acquire(self, name: str, *, ttl_s: float) -> Lease | None:
        if self.stops and name.startswith("submit:"):
            self.stops = False
            raise StorageError("the process has stopped", hint="start another")
        return super().acquire(name, ttl_s=ttl_s)


@pytest.mark.parametrize("given_up", [False, True], ids=["resumed-first", "looked-at-first"])
def test_a_job_that_was_noted_and_not_sent_is_sent_by_whoever_comes_next(
    tmp_path: Path, given_up: bool
) -> None:
    """However late: who only looks at such a job gives it up, and the round must not fail by that."""
    settings, host = tk.Settings(home=tmp_path), Host(0.9)
    with pytest.raises(StorageError, match="has stopped"):
        product(tmp_path, host, store=Unplugged(settings)).run(rows("a"))
    asyncio.run(host.clock.sleep(3600.0))
    if given_up:
        (job,) = tk.FineTuneJob.list(backend=host, settings=settings)
        assert job.snapshot().state == "failed"
    (done,) = product(tmp_path, host).resume()
    assert done.promoted and host.counters.jobs == 1
