"""A disk that fills up during training: the checkpoints that are there stay, and the job goes on when there is room."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.disks import fill_up, make_room, small_disk
from tests.kill.harness import LONG_S, Outcome, Site, check_stream, follow, trainer_of, whole_checkpoints
from tests.processes import eventually
from tunekit import CheckpointSaved, StorageError


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", mib=8) as path:
        yield path


@pytest.mark.timeout(300)
def test_a_full_disk_stops_training_with_a_typed_error_and_it_goes_on_when_there_is_room(
    disk: Path, model: Path, reference: Outcome
) -> None:
    site = Site(disk / "home", model, max_restarts=1)
    job = site.submit()
    next(event for event in job.events() if isinstance(event, CheckpointSaved))
    stopped = Event()

    def keep_full() -> None:  # old checkpoints are removed to make room; take that too
        while not stopped.wait(0.01):
            fill_up(disk)

    filler = Thread(target=keep_full)
    filler.start()
    try:
        with pytest.raises(StorageError, match="No space left on device") as caught:
            job.result(timeout_s=LONG_S)
        assert "free some space" in caught.value.hint
        assert whole_checkpoints(site.run(job.ref))
        for _ in range(2):  # asking again and again does not use up the restarts
            with pytest.raises(StorageError, match="No space left on device"):
                job.result(timeout_s=LONG_S)
        assert whole_checkpoints(site.run(job.ref))
        eventually(lambda: not site.run(job.ref).is_alive())
    finally:
        stopped.set()
        filler.join()

    make_room(disk)
    outcome = follow(site, site.attach(job.ref))
    check_stream(outcome.events)
    assert outcome.resumptions >= 1
    assert outcome.steps == reference.steps
    assert outcome.artifact == reference.artifact


@pytest.mark.timeout(300)
def test_a_trainer_that_may_not_write_any_more_is_no_death_either(site: Site, reference: Outcome) -> None:
    # Needs no root: the log of events reaches the limit on file sizes, as it would the end of a disk.
    job = site.submit()
    trainer = trainer_of(site.run(job.ref))
    assert trainer is not None
    resource.prlimit(trainer, resource.RLIMIT_FSIZE, (12_000, resource.RLIM_INFINITY))
    with pytest.raises(StorageError, match="File too large") as caught:
        job.result(timeout_s=LONG_S)
    assert "goes on from its last checkpoint" in caught.value.hint
    outcome = follow(site, site.attach(job.ref))
    assert outcome.resumptions == 1
    assert outcome.artifact == reference.artifact
