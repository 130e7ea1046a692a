"""The training process is killed again and again; the run ends with the bytes that it would have had anyway."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

import pytest

from tests.kill.harness import (
    LONG_S,
    Outcome,
    Site,
    after_delay,
    after_steps,
    artifact_of,
    check_stream,
    kill_at,
    partials,
    starts,
    train_under_fire,
    whole_checkpoints,
)
from tests.processes import eventually, start_python
from tunekit import CheckpointSaved, JobCancelledError, JobFailedError, JobState, NotFoundError, StateChanged

RUNS, KILLS_EACH = 2, 7  # some to spare: a run may end before its last moment comes


@pytest.mark.timeout(600)
def test_a_job_whose_trainer_is_killed_again_and_again_ends_with_the_same_bits(
    tmp_path: Path, model: Path, reference: Outcome
) -> None:
    sites = [Site(tmp_path / str(number), model) for number in range(RUNS)]
    outcomes, kills = train_under_fire(sites, KILLS_EACH, seed=2026)
    for outcome in outcomes:
        check_stream(outcome.events)
        assert outcome.steps == reference.steps
        assert outcome.artifact == reference.artifact
    # How many kills hit where depends on how busy the machine is; test_kill_operations kills at every operation of a
    # save, and the soak counts.
    assert len(kills.pids) >= 8
    assert sum(outcome.resumptions for outcome in outcomes) >= 1


def test_a_trainer_that_is_killed_before_it_gets_anywhere_fails_the_job_in_the_end(
    model: Path, tmp_path: Path
) -> None:
    site = Site(tmp_path, model, max_restarts=2)
    job = site.submit()
    with ThreadPoolExecutor() as pool:
        killing = pool.submit(kill_at, site.run(job.ref), repeat(after_delay(0.0)))
        with pytest.raises(JobFailedError, match="died 3 times without getting further") as caught:
            job.result(timeout_s=LONG_S)
        assert len(killing.result().pids) == 3
    assert "its log ends with" in caught.value.hint
    assert str(site.run(job.ref).log_path) in caught.value.hint
    assert caught.value.retryable
    assert job.snapshot().state is JobState.FAILED
    assert [event.state for event in job.events() if isinstance(event, StateChanged)] == [JobState.FAILED]


HOST = """
import sys
from pathlib import Path
from tests.kill.harness import LONG_S, Site
site = Site(Path(sys.argv[1]), Path(sys.argv[2]))
job = site.attach(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
print(job.result(timeout_s=LONG_S), flush=True)
"""


@pytest.mark.timeout(300)
def test_two_hosts_that_find_a_dead_trainer_start_one(site: Site, reference: Outcome) -> None:
    job = site.submit()
    run = site.run(job.ref)
    killed = kill_at(run, iter([after_steps(5)])).pids
    hosts = [start_python(HOST, site.home, site.model, job.ref) for _ in range(2)]
    for word in ("ready", job.ref):
        for host in hosts:
            assert host.stdout is not None
            assert host.stdout.readline().strip() == word
        if word == "ready":
            for host in hosts:
                assert host.stdin is not None
                host.stdin.write("go\n")
                host.stdin.flush()
    for host in hosts:
        host.communicate()
    assert len(killed) == 1
    assert starts(run) == 2
    assert artifact_of(run) == reference.artifact


@pytest.mark.timeout(300)
def test_cancel_keeps_the_last_checkpoint_and_leaves_no_model(site: Site) -> None:
    job = site.submit()
    seen = 0
    for event in job.events():
        if isinstance(event, CheckpointSaved):
            seen = event.step
            break
    job.cancel()
    with pytest.raises(JobCancelledError):
        job.result(timeout_s=LONG_S)
    run = site.run(job.ref)
    assert seen > 0
    assert not run.artifact_path.exists()
    assert whole_checkpoints(run)
    assert max(whole_checkpoints(run)) >= seen
    assert not partials(run.checkpoints_path)
    eventually(lambda: not run.is_alive())
    job.cancel()  # too late, and no harm
    assert job.snapshot().state is JobState.CANCELLED
    with pytest.raises(NotFoundError, match="no model"):
        job.artifact()


@pytest.mark.timeout(300)
def test_a_job_whose_trainer_is_dead_can_be_cancelled(site: Site) -> None:
    job = site.submit()
    run = site.run(job.ref)
    assert len(kill_at(run, iter([after_steps(1)])).pids) == 1
    eventually(lambda: not run.is_alive())  # its other threads may hold the lock a moment longer
    job.cancel()
    assert job.snapshot().state is JobState.CANCELLED
    assert starts(run) == 1
    assert not run.is_alive()
