"""Trainers as forks of a process that has imported torch already, killed before any chosen operation on files.

    python -m tests.kill.forks MODEL DIRECTORY SHARE RANDOM_KILLS SEED

trains one job again and again in DIRECTORY: once uninterrupted; once killed before the first, second, third ...
operation of a checkpoint save, of the artifact's publication and of what ends a run (every SHARE-th of them); and
killed at RANDOM_KILLS random moments. It writes a `Report` as JSON. Knows the inside of the training process; the tests
that kill it from outside, through the public API, are elsewhere.
"""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from shutil import copytree
from typing import Any

from tests.kill.harness import DATA, artifact_of, whole_checkpoints
from tunekit import SFT, Dataset, Evaluated, LoRA, Step, TuneSpec
from tunekit.training import main
from tunekit.training.run.checkpoint import CheckpointStore
from tunekit.training.run.rundir import RunDirectory, RunPlan
from tunekit.training.saving import artifacts

STEPS = 30  # more than a save has operations after its rename, each of which leaves a checkpoint more
SPEC = TuneSpec(
    method=SFT(adapter=LoRA(rank=2, dropout=0.1)),
    epochs=STEPS / 10,
    batch_size=4,
    learning_rate=1e-2,
    checkpoint_every_steps=1,
    seed=7,
)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.link", "os.symlink")


@dataclass
class Report:
    """What came of it.

    Attributes:
        operations: How many operations each part of a run's life has.
        kills: How many trainers were killed in each part, and "random".
        wedged: Runs that did not finish, and runs left without a whole checkpoint after they had had one.
        different: Runs that finished with other bits, or other steps in their log.
    """

    operations: dict[str, int] = field(default_factory=dict)
    kills: dict[str, int] = field(default_factory=dict)
    wedged: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Work:
    """What the runs of one site are about."""

    model: Path
    spec: TuneSpec = SPEC
    train: Dataset = DATA
    validation: Dataset | None = None


@dataclass(frozen=True)
class Target:
    """The operation before which to die: of a part of a run's life, in its n-th occurrence, the n-th.

    What is in none of the parts "save", "publish" and "end" is of the part "rest".
    """

    part: str
    occurrence: int
    operation: int


class Operations:
    """Counts what changes files while it is inside one part of a run's life; kills itself before the chosen one."""

    def __init__(self, target: Target | None, note: Callable[[str, int], object]) -> None:
        self._target, self._note = target, note
        self._part, self._count = "", 0
        self._occurrences: dict[str, int] = {}
        self._fsync = os.fsync
        sys.addaudithook(self._hear)
        setattr(os, "fsync", self._before_fsync)  # noqa: B010 - narrower than its stub

    @contextmanager
    def inside(self, part: str) -> Iterator[None]:
        self._occurrences[part] = self._occurrences.get(part, 0) + 1
        around = self._part, self._count
        self._part, self._count = part, 0
        try:
            yield
        finally:
            self._note(part, self._count)
            self._part, self._count = around

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._part and (event in _CHANGES or (event == "open" and _is_for_writing(arguments[2]))):
            self._one_more()

    def _before_fsync(self, descriptor: int) -> None:
        if self._part:
            if self._one_more(die=False):  # what was written has not reached the disk
                _tear(descriptor)
                os.kill(os.getpid(), signal.SIGKILL)
            self._one_more()
        self._fsync(descriptor)

    def _one_more(self, *, die: bool = True) -> bool:
        self._count += 1
        here = Target(self._part, self._occurrences[self._part], self._count)
        if here == self._target and die:
            os.kill(os.getpid(), signal.SIGKILL)
        return here == self._target


def _is_for_writing(flags: Any) -> bool:
    return isinstance(flags, int) and bool(flags & _WRITES)


def _tear(descriptor: int) -> None:
    """Lose the second half of a file that nobody can see yet; the log of events has readers and keeps what it has."""
    found = os.fstat(descriptor)
    path = os.readlink(f"/proc/self/fd/{descriptor}")
    if stat.S_ISREG(found.st_mode) and not path.endswith("events.jsonl"):
        os.truncate(path, found.st_size // 2)


def train(run: RunDirectory, operations: Operations | None) -> int:
    """The training process, in this one."""
    with ExitStack() as until_its_end, run.locked() as lock:
        if operations is not None:
            until_its_end.enter_context(operations.inside("rest"))
            _watch(operations, until_its_end)
        assert lock is not None
        return main.main([str(run.path), str(lock)])


def _watch(operations: Operations, until_its_end: ExitStack) -> None:
    save, publish, in_turn = CheckpointStore.save, artifacts.publish, main._in_turn

    def saved(*arguments: Any, **options: Any) -> Any:
        with operations.inside("save"):
            return save(*arguments, **options)

    def published(*arguments: Any, **named: Any) -> Any:
        with operations.inside("publish"):
            return publish(*arguments, **named)

    def turned(*arguments: Any) -> Any:
        result = in_turn(*arguments)
        until_its_end.enter_context(operations.inside("end"))
        return result

    for owner, name, watched in (
        (CheckpointStore, "save", saved),
        (artifacts, "publish", published),
        (main, "_in_turn", turned),
    ):
        setattr(owner, name, watched)


def launch(
    run: RunDirectory, target: Target | None = None, *, after_s: float | None = None
) -> tuple[int, dict[str, int]]:
    """Train in a fork, killed at a target or after some seconds. How it ended, and operations by part."""
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reads)
        os.dup2(os.open(run.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 2)

        def note(part: str, count: int) -> None:
            os.write(writes, f"{part} {count}\n".encode())

        os._exit(train(run, Operations(target, note) if after_s is None else None))
    os.close(writes)
    if after_s is not None:
        time.sleep(after_s)
        os.kill(child, signal.SIGKILL)
    with open(reads) as notes:
        counts = dict(line.split() for line in notes)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status, {part: int(count) for part, count in counts.items()}


class Site:
    """Where runs of one job lie, each in a home of its own: runs of one home read each other's vectors."""

    def __init__(self, work: Work, directory: Path) -> None:
        self._work, self._directory = work, directory
        self.report = Report()
        whole, began = self.run("whole"), time.monotonic()
        status, self.report.operations = launch(whole)
        assert status == 0, whole.log_path.read_text()
        self.typical_s = time.monotonic() - began
        self._expected = self._outcome(whole)

    def run(self, name: str) -> RunDirectory:
        plan = RunPlan(
            run_id=name,
            key="the same for all",
            model=str(self._work.model),
            spec=self._work.spec,
            python=sys.executable,
            threads=1,
            validation=self._work.validation is not None,
            created_at=0.0,
        )
        return RunDirectory.create(self._runs(name), plan, self._work.train, self._work.validation)

    def copy(self, run: RunDirectory, name: str) -> RunDirectory:
        return RunDirectory(Path(copytree(run.path, self._runs(name) / name)))

    def kill(self, run: RunDirectory, target: Target) -> None:
        """One launch, which must die before its target; whatever it leaves, there is something to go on from."""
        had = bool(whole_checkpoints(run))
        status, _ = launch(run, target)
        if status == -signal.SIGKILL:
            self.report.kills[target.part] = self.report.kills.get(target.part, 0) + 1
        if had and run.result() is None and not whole_checkpoints(run):
            self.report.wedged.append(f"{run.path.name} before {target}")

    def finish(self, run: RunDirectory) -> None:
        """To the end, where nothing must tell that it was ever killed."""
        status = 0 if run.result() is not None else launch(run)[0]
        if status != 0:
            self.report.wedged.append(f"{run.path.name}: {status}: {run.log_path.read_text()[-1000:]}")
        elif self._outcome(run) != self._expected:
            self.report.different.append(run.path.name)

    def _runs(self, name: str) -> Path:
        return self._directory / name / "runs"

    def _outcome(self, run: RunDirectory) -> Any:
        events, result, files = run.events_from(0)[0], run.result(), artifact_of(run)
        files.pop("tunekit.json", None)  # the card names the run
        assert result is not None
        return {
            "ids": [event.id for event in events] == [str(number) for number in range(1, len(events) + 1)],
            "steps": [_numbers(event) for event in events if isinstance(event, Step)],
            "evaluated": [(event.step, event.metrics) for event in events if isinstance(event, Evaluated)],
            "files": files,
            "state": result.state,
            "metrics": result.metrics,
            "remains": _remains(run),
        }


def _remains(run: RunDirectory) -> list[str]:
    """What may be large and was left half-written. Checkpoints of a run that ended in their removal stay."""
    places = ((run.path, ".partial-*"), (run.path, ".trash-*"), (run.untrained_path, "*/.*"))
    return [path.name for place, pattern in places for path in place.glob(pattern)]


def _numbers(event: Step) -> Any:
    """What must not depend on how fast it went."""
    kept = {name: value for name, value in event.metrics.items() if name != "mfu" and "per_s" not in name}
    return event.step, event.loss, event.gradient_norm, event.learning_rate, kept


def every_operation(site: Site, share: int) -> None:
    """Saves and the publication one after the other in one run; its end in copies, because it comes only once."""
    counts, run = site.report.operations, site.run("operations")
    site.kill(run, Target("save", 3, 1))  # from now on each save removes an older one, too
    for number in range(1, counts["save"] + 1, share):
        site.kill(run, Target("save", 1, number))
    site.kill(run, Target("publish", 1, 1))
    trained = site.copy(run, "trained")
    for number in range(2, counts["publish"] + 1, share):
        site.kill(run, Target("publish", 1, number))
        if run.artifact_path.exists():
            site.finish(run)
            run = site.copy(trained, f"trained-{number}")
    for number in range(1, counts["end"] + 1, share):
        last = site.copy(trained, f"end-{number}")
        site.kill(last, Target("end", 1, number))
        site.finish(last)
    site.finish(run)


def getting_ready(site: Site, share: int) -> None:
    """Each in a run of its own: what has been kept by then is not done again."""
    for number in range(1, site.report.operations["rest"] + 1, share):
        run = site.run(f"rest-{number}")
        site.kill(run, Target("rest", 1, number))
        site.finish(run)


def random_moments(site: Site, kills: int, seed: int) -> None:
    """Runs that are killed at any moment until there were enough of these."""
    rng, done, number = random.Random(seed), 0, 0
    while done < kills:
        number += 1
        run = site.run(f"random-{number}")
        while run.result() is None and done < kills:
            status, _ = launch(run, after_s=rng.uniform(0.0, site.typical_s))
            done += status == -signal.SIGKILL
        site.finish(run)
    site.report.kills["random"] = done


def _main(model: str, directory: str, share: str, kills: str, seed: str) -> None:
    from tunekit.training import trainer  # noqa: F401  # torch and all, once for every fork
    from tunekit.training.plan.device import configure

    configure(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    site = Site(Work(Path(model)), Path(directory))
    if int(share):
        every_operation(site, int(share))
    if int(kills):
        random_moments(site, int(kills), int(seed))
    sys.stdout.write(json.dumps(asdict(site.report)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
