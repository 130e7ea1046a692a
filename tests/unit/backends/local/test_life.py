"""Pausing, queueing and leaving with the host, through the backend and with real trainers."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.kill.harness import Outcome, Site, check_stream, follow, make_model, trainer_of
from tests.processes import eventually, is_running, start_python
from tunekit import (
    FineTuneJob,
    JobCancelledError,
    JobState,
    NotFoundError,
    Notice,
    SpecError,
    StateChanged,
    Step,
)
from tunekit.backends.local import LocalBackend
from tunekit.backends.local.backend import _SILENT_S

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def site(tmp_path: Path, model: Path) -> Site:
    return Site(tmp_path / "home", model)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Outcome:
    site = Site(tmp_path_factory.mktemp("reference"), model)
    return follow(site, site.submit())


def states(job: FineTuneJob) -> list[JobState]:
    return [event.state for event in job.events() if isinstance(event, StateChanged)]


def wait_for_step(job: FineTuneJob, step: int) -> None:
    next(event for event in job.events() if isinstance(event, Step) and event.step >= step)


def test_a_paused_run_rests_and_then_ends_in_the_same_bits(site: Site, reference: Outcome) -> None:
    job = site.submit()
    run = site.run(job.ref)
    wait_for_step(job, 2)
    job.pause()
    eventually(lambda: job.snapshot().state is JobState.PAUSED)
    trainers = (run.path / "launches.jsonl").read_text().count('"start"')
    steps = run.events_path.read_text().count('"type": "step"')
    assert list(run.checkpoints_path.glob(f"{steps:08d}")), "the last step is in a checkpoint"
    for _ in range(3):
        assert job.snapshot().state is JobState.PAUSED
    assert (run.path / "launches.jsonl").read_text().count('"start"') == trainers
    job.resume()
    outcome = follow(site, job)
    check_stream(outcome.events)
    assert outcome.artifact == reference.artifact
    assert states(job) == [JobState.RUNNING, JobState.PAUSED, JobState.RUNNING, JobState.SUCCEEDED]
    job.pause()  # too late, and no harm
    assert job.snapshot().state is JobState.SUCCEEDED


def test_a_run_that_is_paused_again_and_again_is_not_given_up(model: Path, tmp_path: Path) -> None:
    site = Site(tmp_path, model, max_restarts=0)
    job = site.submit()
    for _ in range(2):
        job.pause()
        eventually(lambda: job.snapshot().state is JobState.PAUSED)
        job.resume()
    job.pause()
    job.cancel()
    assert not site.run(job.ref).pause_requested(), "it is to end, not to rest"
    with pytest.raises(JobCancelledError):
        job.result(timeout_s=60)
    with pytest.raises(SpecError, match="cannot be resumed: it was cancelled") as caught:
        job.resume()
    assert "submit the same spec and data again" in caught.value.hint
    with pytest.raises(NotFoundError, match="has no model: it was cancelled"):
        job.artifact()


HOST = """
import sys
from pathlib import Path
from tunekit import FineTuneJob, Settings
from tunekit.backends.local import LocalBackend
from tests.kill.harness import DATA, SPEC
settings = Settings(home=Path(sys.argv[1]))
backend = LocalBackend(settings=settings, on_parent_exit=sys.argv[3])
job = FineTuneJob.submit(DATA, f"local:{sys.argv[2]}", SPEC, backend=backend, settings=settings)
print(job.ref, flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("what", ["keep", "stop"])
def test_a_trainer_stays_or_goes_with_its_host_as_told(site: Site, reference: Outcome, what: str) -> None:
    with start_python(HOST, site.home, site.model, what) as host:
        assert host.stdout is not None
        ref = host.stdout.readline().strip()
        run = site.run(ref)
        trainer = trainer_of(run)
        assert trainer is not None
        eventually(lambda: run.events_path.exists() and '"type": "step"' in run.events_path.read_text())
        host.kill()
        host.wait()
    if what == "stop":
        eventually(lambda: not is_running(trainer), timeout_s=25)
        if run.result() is None:
            assert list(run.checkpoints_path.iterdir())
    else:
        time.sleep(1.5)
        assert is_running(trainer) or run.result() is not None
    outcome = follow(site, site.attach(ref))
    check_stream(outcome.events)
    assert outcome.steps == reference.steps


def test_on_parent_exit_is_one_of_two_words() -> None:
    with pytest.raises(SpecError, match="on_parent_exit is 'maybe'"):
        LocalBackend(on_parent_exit="maybe")  # type: ignore[arg-type]


SUBMIT = """
import sys
from pathlib import Path
from tunekit import FineTuneJob, Settings, TuneSpec
from tunekit.backends.local import LocalBackend
from tests.kill.harness import DATA
settings = Settings(home=Path(sys.argv[1]))
backend = LocalBackend(settings=settings)
for seed in sys.argv[3:]:
    spec = TuneSpec(seed=int(seed), epochs=1)
    job = FineTuneJob.submit(DATA, f"local:{sys.argv[2]}", spec, backend=backend, settings=settings)
    print(job.ref.id, flush=True)
"""


def spans(site: Site, ids: list[str]) -> Iterator[tuple[float, float]]:
    for name in ids:
        found = [
            event for event in site.run(f"local:{name}").events_from(0)[0] if isinstance(event, StateChanged)
        ]
        yield (
            next(event.at for event in found if event.state is JobState.RUNNING),
            next(event.at for event in found if event.state is JobState.SUCCEEDED),
        )


def test_runs_of_two_hosts_take_turns(site: Site) -> None:
    """Each takes all cores (the default), so never two at once; one more is cancelled while it waits."""
    hosts = [start_python(SUBMIT, site.home, site.model, *seeds) for seeds in ((1, 2), (3, 4))]
    ids = [line for host in hosts for line in host.communicate()[0].split()]
    assert len(ids) == 4
    jobs = {
        name: FineTuneJob.attach(f"local:{name}", backend=site.backend, settings=site.settings)
        for name in ids
    }
    waiting = eventually(
        lambda: [name for name in ids if site.run(f"local:{name}").queued_path.exists()][2:], timeout_s=60
    )[0]
    assert jobs[waiting].snapshot().state is JobState.QUEUED
    jobs[waiting].cancel()
    with pytest.raises(JobCancelledError):
        jobs[waiting].result(timeout_s=60)
    others = [name for name in ids if name != waiting]
    for name in others:
        jobs[name].result(timeout_s=250)
    ordered = sorted(spans(site, others))
    assert all(ended <= begins for (_, ended), (begins, _) in pairwise(ordered)), ordered


def test_a_trainer_that_shows_no_life_is_told_of_once_and_left_alone(site: Site) -> None:
    job, backend = site.submit(), site.backend
    run = site.run(job.ref)
    trainer = trainer_of(run)
    assert trainer is not None
    os.kill(trainer, signal.SIGSTOP)
    try:
        long_ago = time.time() - _SILENT_S - 1
        run.show_life()
        for sign in (run.path / "alive", *run.path.glob("events.jsonl")):
            os.utime(sign, (long_ago, long_ago))
        looks = [asyncio.run(one.events(job.ref.id, None)) for one in (backend, backend)]
        told = [
            event for page in looks for event in page.events if isinstance(event, Notice) and not event.id
        ]
        assert len(told) == 1
        assert "has not got on with anything" in told[0].message
        seen = asyncio.run(backend.snapshot(job.ref.id))
        assert seen.state in (JobState.RUNNING, JobState.QUEUED)
        assert seen.raw["silent_s"] > _SILENT_S
        assert is_running(trainer)
    finally:
        os.kill(trainer, signal.SIGKILL)
    job.cancel()
