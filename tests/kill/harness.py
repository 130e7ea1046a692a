"""Killing trainers for real, at chosen moments, while a host follows the job through the public API."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from tests.processes import command_of, eventually, holders, is_running, kill, run_python
from tunekit import (
    SFT,
    CompletionExample,
    Dataset,
    FineTuneJob,
    JobEvent,
    LoRA,
    ModelRef,
    Notice,
    Preflight,
    Settings,
    Step,
    TuneSpec,
)
from tunekit.backends.local import LocalBackend
from tunekit.training.run.rundir import RunDirectory

DATA = Dataset(CompletionExample(prompt=f"question {n % 11}", completion=str(n % 7)) for n in range(40))
SPEC = TuneSpec(
    method=SFT(adapter=LoRA(rank=2, dropout=0.1)),  # dropout: a wrong random state would show in the weights
    epochs=18,
    batch_size=4,
    learning_rate=1e-2,
    checkpoint_every_steps=2,
    seed=7,
)
STEPS = 180
LONG_S = 300.0

_MAKE_MODEL = """
import sys, warnings
warnings.simplefilter("ignore")
from tunekit.testing.tiny_models import make_tiny_llama
from transformers.utils import logging
logging.disable_progress_bar()
make_tiny_llama(sys.argv[1], layers=1, hidden=16, heads=2)
"""


def make_model(path: Path) -> Path:
    """A tiny model, made in a child like everything here that needs torch: the host of a local job never imports it."""
    run_python(_MAKE_MODEL, path)
    return path


class EagerBackend(LocalBackend):
    """The local backend, looking more often, so that the test's time goes into training and killing."""

    poll_interval_s: ClassVar[float] = 0.05


@dataclass(frozen=True)
class Site:
    """One tunekit home and what is submitted there: the same everywhere, so that everything must come out the same."""

    home: Path
    model: Path
    max_restarts: int = 1000

    @property
    def settings(self) -> Settings:
        return Settings(home=self.home)

    @property
    def backend(self) -> LocalBackend:
        return EagerBackend(settings=self.settings, threads=1, max_restarts=self.max_restarts)

    def submit(self) -> FineTuneJob:
        target = f"local:{self.model}"
        return FineTuneJob.submit(DATA, target, SPEC, backend=self.backend, settings=self.settings)

    def attach(self, ref: str) -> FineTuneJob:
        return FineTuneJob.attach(ref, backend=self.backend, settings=self.settings)

    def run(self, ref: str) -> RunDirectory:
        return RunDirectory(self.settings.runs / ref.partition(":")[2])


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    model: ModelRef
    events: tuple[JobEvent, ...]
    artifact: dict[str, str]

    @property
    def steps(self) -> list[tuple[Any, ...]]:
        """Every step in the order of the stream, with the numbers that must not depend on kills."""
        return [
            (item.step, item.epoch, item.loss, item.learning_rate, item.gradient_norm)
            for item in self.events
            if isinstance(item, Step)
        ]

    @property
    def resumptions(self) -> int:
        return sum(isinstance(item, Notice) and "resumed" in item.message for item in self.events)


def follow(site: Site, job: FineTuneJob) -> Outcome:
    """Read the job's events to the end and get its result, as any host would."""
    events = tuple(job.events())
    return Outcome(model=job.result(timeout_s=LONG_S), events=events, artifact=artifact_of(site.run(job.ref)))


def artifact_of(run: RunDirectory) -> dict[str, str]:
    """SHA-256 of every file of the tuned model."""
    files = sorted(item for item in run.artifact_path.rglob("*") if item.is_file())
    return {
        str(item.relative_to(run.artifact_path)): hashlib.sha256(item.read_bytes()).hexdigest()
        for item in files
    }


def whole_checkpoints(run: RunDirectory) -> list[int]:
    """Steps of the checkpoints whose every file is what the manifest says."""
    found = []
    for manifest in run.checkpoints_path.glob("[0-9]*/MANIFEST.json"):
        files = json.loads(manifest.read_bytes())["files"]
        for name, record in files.items():
            data = (manifest.parent / name).read_bytes()
            assert (len(data), hashlib.sha256(data).hexdigest()) == (record["size"], record["sha256"])
        found.append(int(manifest.parent.name))
    return found


def starts(run: RunDirectory) -> int:
    """How many trainers were started for a run."""
    return (run.path / "launches.jsonl").read_bytes().count(b'"start"')


def check_stream(events: Sequence[JobEvent]) -> None:
    """Every event once, in order, none missing."""
    assert [item.id for item in events] == [str(number) for number in range(1, len(events) + 1)]
    assert [item.step for item in events if isinstance(item, Step)] == list(range(1, STEPS + 1))
    assert sum(isinstance(item, Preflight) for item in events) == 1


# --- moments ------------------------------------------------------------------------------------------

Moment: TypeAlias = Callable[[RunDirectory, Callable[[], bool]], bool]
"""Waits for its moment in a trainer's life. Gets the run and whether the trainer lives; says whether it came."""


def after_delay(delay_s: float) -> Moment:
    """Some time after the start: while importing, loading or resuming, and on fast machines after a few steps."""

    def wait(run: RunDirectory, alive: Callable[[], bool]) -> bool:
        ends, steps = time.monotonic() + delay_s, _lines(run) + 6
        return _watch(lambda: time.monotonic() >= ends or _lines(run) >= steps, alive)

    return wait


def after_steps(count: int) -> Moment:
    """When so many steps more are in the log."""

    def wait(run: RunDirectory, alive: Callable[[], bool]) -> bool:
        goal = _lines(run) + count
        return _watch(lambda: _lines(run) >= goal, alive)

    return wait


def in_save(skip: int, delay_s: float) -> Moment:
    """Inside the saving of a checkpoint: its directory is there under its temporary name.

    Where the disk is so fast, or this process so starved, that saves go by unseen, some steps later.
    """

    def wait(run: RunDirectory, alive: Callable[[], bool]) -> bool:
        steps = _lines(run) + 10
        for _ in range(skip + 1):
            before = partials(run.checkpoints_path)
            if not _watch(_is_saving(run, before, steps), alive):
                return False
        time.sleep(delay_s)
        return True

    return wait


def _is_saving(run: RunDirectory, before: set[str], steps: int) -> Callable[[], bool]:
    return lambda: bool(partials(run.checkpoints_path) - before) or _lines(run) >= steps


def in_artifact(delay_s: float) -> Moment:
    """While the tuned model is being written."""

    def wait(run: RunDirectory, alive: Callable[[], bool]) -> bool:
        seen = _watch(lambda: bool(partials(run.path)), alive)
        time.sleep(delay_s if seen else 0.0)
        return seen

    return wait


def random_moments(seed: int, count: int) -> Iterator[Moment]:
    """Moments spread over the whole life of a trainer; the last one is in the writing of the tuned model."""
    rng = random.Random(seed)
    for _ in range(count - 1):
        kind = rng.choice(["delay", "steps", "save", "save"])
        if kind == "delay":
            yield after_delay(rng.uniform(0.0, 8.0))
        elif kind == "steps":
            yield after_steps(rng.randint(1, 8))
        else:
            yield in_save(rng.randint(0, 2), rng.choice([0.0, 0.001, 0.005]))
    yield in_artifact(rng.uniform(0.0, 0.01))


def _watch(seen: Callable[[], bool], alive: Callable[[], bool]) -> bool:
    while not seen():
        if not alive():
            return False
        time.sleep(0.0005)
    return True


def _lines(run: RunDirectory) -> int:
    try:
        return run.events_path.read_bytes().count(b'"type": "step"')
    except FileNotFoundError:
        return 0


def partials(directory: Path) -> set[str]:
    """Directories that are being written, or that a killed writer left."""
    return {item.name for item in directory.iterdir() if item.name.startswith(".partial-")}


# --- killing ------------------------------------------------------------------------------------------


@dataclass
class Kills:
    """What was really killed: each of these processes was running, and its run had not ended."""

    pids: list[int] = field(default_factory=list)
    inside_save: int = 0
    inside_artifact: int = 0

    def __add__(self, other: Kills) -> Kills:
        return Kills(
            self.pids + other.pids,
            self.inside_save + other.inside_save,
            self.inside_artifact + other.inside_artifact,
        )


def trainer_of(run: RunDirectory, *, other_than: Sequence[int] = ()) -> int | None:
    """The process that holds the run's lock and works on its directory. None once the run has ended.

    Holding the lock is not enough: a child that the host just starts for another run has a copy of it for a moment.
    """

    def look() -> list[int | None]:
        pids = [pid for pid in holders(run.path / "lock") if str(run.path) in command_of(pid)]
        found = [pid for pid in pids if pid not in other_than]
        return [*found, None] if found or run.result() is not None else []

    return eventually(look, timeout_s=LONG_S)[0]


def kill_at(run: RunDirectory, moments: Iterator[Moment]) -> Kills:
    """Kill one trainer after the other, each at its moment, until the moments or the run end."""
    kills, seen = Kills(), set[str]()
    for moment in moments:
        pid = trainer_of(run, other_than=kills.pids)
        if pid is None or not moment(run, lambda pid=pid: is_running(pid)):  # type: ignore[misc]
            break
        if run.result() is None and kill(pid):
            eventually(lambda pid=pid: not is_running(pid))  # type: ignore[misc]
            kills.pids.append(pid)
            # What it left half-written is the proof of where it was hit; older remains may not be swept yet.
            saves, artifacts = partials(run.checkpoints_path) - seen, partials(run.path) - seen
            kills.inside_save += bool(saves)
            kills.inside_artifact += bool(artifacts)
            seen |= saves | artifacts
    return kills


def train_under_fire(sites: Sequence[Site], kills_each: int, *, seed: int) -> tuple[list[Outcome], Kills]:
    """Train the same job in every site at once, killing its trainers all the while."""
    with ThreadPoolExecutor(2 * len(sites)) as pool:
        jobs = [site.submit() for site in sites]
        killing = [
            pool.submit(kill_at, site.run(job.ref), random_moments(seed + number, kills_each))
            for number, (site, job) in enumerate(zip(sites, jobs, strict=True))
        ]
        following = [pool.submit(follow, site, job) for site, job in zip(sites, jobs, strict=True)]
        kills = sum((future.result() for future in killing), Kills())
        return [future.result() for future in following], kills
