"""The run directory: the wire between a host and a training process. Knows files; knows neither torch nor backends.

    run-9f2c.../
      plan.json          what to train: written once, before the directory appears
      data/train.jsonl   examples, one `tunekit.examples.to_dict` per line    (data/validation.jsonl likewise)
      lock               held by the training process for as long as it lives (it inherits it already held)
      events.jsonl       what happened, appended; readers stop at the last newline
      checkpoints/       one directory per checkpoint, each with a MANIFEST.json; emptied once the run has succeeded
      untrained/         what the untrained model says of the rows, for methods that ask it: a probe's vectors are here
      range-test.json    which learning rates were tried out before the first step, if that was asked for
      artifact/          the tuned model, published whole
      cancel             appears when somebody wants the run to stop
      pause              is there while somebody wants the run to rest
      ranks/             where the processes of a run on several devices meet; there while they train
      queued             is there while the run waits for its turn on the device
      alive              touched while the trainer gets on; an old one says that it hangs
      result.json        the last thing the trainer writes: how it ended
      log.txt            stdout and stderr of the training process

A run is alive exactly while `lock` is locked: no guessing from process ids, no start-up window.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, JsonValue

from tunekit import _files
from tunekit.data.dataset import Dataset
from tunekit.errors import NotFoundError, SpecError, StorageError
from tunekit.events import JobEvent, JobState, Notice, event_from_dict
from tunekit.examples import to_dict
from tunekit.spec import TuneSpec, parse_model

CHILD_ENVIRONMENT: Mapping[str, str] = {
    # A sum depends on its order in the last bit: fix hash seeds, the number of threads and the GPU's workspaces.
    "PYTHONHASHSEED": "0",
    "OMP_DYNAMIC": "FALSE",
    "MKL_DYNAMIC": "FALSE",
    # MKL's conditional numerical reproducibility, on this processor's own code path: measured to cost nothing.
    "MKL_CBWR": "AUTO",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    # The log must hold what was printed before a kill.
    "PYTHONUNBUFFERED": "1",
    # Quiet, and nothing is reported to anybody.
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""What every training process is started with, here or on a cluster."""

_LEFTOVER_S = 24 * 3600.0


Strategy: TypeAlias = Literal["ddp", "fsdp"]
"""Whether each of several devices has a whole model, or its share of every layer's weights."""


class RunPlan(BaseModel):
    """What to train, as written in `plan.json`.

    Attributes:
        run_id: Name of the run, and of its directory.
        key: Idempotency key of the submission.
        model: Absolute path of the base model's directory, or a hub id.
        revision: Hub revision, if one was asked for.
        warm_start: Absolute path of the artifact that the run goes on from, an adapter or `model` itself; or "".
        warm_start_fingerprint: `fingerprint.of_model` of it when the run was submitted.
        spec: The recipe.
        python: Interpreter to train with: a run that is taken up again by another program trains where it began.
        threads: CPU threads to compute with; part of the plan because results depend on it in the last bit.
        devices: Processes that train together, each on a device of its own.
        strategy: Whether each has a whole model ("ddp"), or its share of every layer's weights ("fsdp").
        validation: Whether there is a `data/validation.jsonl`.
        created_at: Unix seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    run_id: str
    key: str
    model: str
    revision: str | None = None
    warm_start: str = ""
    warm_start_fingerprint: str = ""
    spec: TuneSpec
    python: str
    threads: int
    devices: int = 1
    strategy: Strategy = "ddp"
    validation: bool = False
    created_at: float


class RunResult(BaseModel):
    """How a run ended, as written in `result.json`.

    Attributes:
        state: SUCCEEDED, FAILED or CANCELLED.
        message: What went wrong, or "".
        hint: What to do about it.
        code: Stable error code.
        retryable: Whether the same run may succeed when it is started again.
        details: Facts about the error, for programs.
        trained_tokens: Real tokens that went through training.
        seconds: Wall time of training, restarts included.
        metrics: Final numbers by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    state: JobState
    message: str = ""
    hint: str = ""
    code: str = ""
    retryable: bool = False
    details: dict[str, JsonValue] = {}
    trained_tokens: int = 0
    seconds: float = 0.0
    metrics: dict[str, JsonValue] = {}


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """One run directory and what can be asked of it from any process."""

    path: Path

    @property
    def events_path(self) -> Path:
        """What happened, one event per line."""
        return self.path / "events.jsonl"

    @property
    def log_path(self) -> Path:
        """The training process's stdout and stderr."""
        return self.path / "log.txt"

    @property
    def checkpoints_path(self) -> Path:
        """One directory per checkpoint, named by its step."""
        return self.path / "checkpoints"

    @property
    def untrained_path(self) -> Path:
        """What the untrained model says of the rows; computed once."""
        return self.path / "untrained"

    @property
    def ranks_path(self) -> Path:
        """Where processes that train together meet."""
        return self.path / "ranks"

    @property
    def range_test_path(self) -> Path:
        """What a learning-rate range test saw, if there was one."""
        return self.path / "range-test.json"

    @property
    def artifact_path(self) -> Path:
        """The tuned model, once there is one."""
        return self.path / "artifact"

    @property
    def result_path(self) -> Path:
        """How the run ended, once it has."""
        return self.path / "result.json"

    @property
    def cancel_path(self) -> Path:
        """Present once somebody wants the run to stop."""
        return self.path / "cancel"

    @property
    def pause_path(self) -> Path:
        """Present while somebody wants the run to rest."""
        return self.path / "pause"

    @property
    def queued_path(self) -> Path:
        """Present while the trainer waits for its turn."""
        return self.path / "queued"

    def exists(self) -> bool:
        """Whether the run was ever submitted here."""
        with _files.storage_errors(f"cannot look into {str(self.path)!r}"):
            return (self.path / "plan.json").is_file()

    @classmethod
    def create(cls, runs: Path, plan: RunPlan, train: Dataset, validation: Dataset | None) -> RunDirectory:
        """Publish a new run, complete, or leave the one that is already there.

        Raises:
            StorageError: The disk said no; no half-made run is left behind.
        """

        def fill(directory: Path) -> None:
            (directory / "data").mkdir(mode=0o700)
            _write_examples(directory / "data" / "train.jsonl", train)
            if validation is not None:
                _write_examples(directory / "data" / "validation.jsonl", validation)
            (directory / "checkpoints").mkdir(mode=0o700)
            _files.write_durable(directory / "lock", b"")
            _files.write_durable(directory / "plan.json", plan.model_dump_json(indent=1).encode())

        _files.publish_directory(runs / plan.run_id, fill)
        _files.remove_leftovers(runs, older_than_s=_LEFTOVER_S)
        return cls(runs / plan.run_id)

    def plan(self) -> RunPlan:
        """What to train. Raises `NotFoundError` if there is no such run, `StorageError` if the plan is damaged."""
        text = self._read("plan.json")
        if text is None:
            raise self._not_found()
        plan: RunPlan = self._parsed(RunPlan, text, "plan.json")
        return plan

    def result(self) -> RunResult | None:
        """How the run ended, or None while it has not. Raises `StorageError` if that is damaged."""
        text = self._read("result.json")
        if text is None:
            return None
        result: RunResult = self._parsed(RunResult, text, "result.json")
        return result

    def examples(self, part: Literal["train", "validation"]) -> Iterator[Mapping[str, Any]]:
        """The rows of one data file, as dictionaries for `tunekit.examples.from_dict`."""
        with (self.path / "data" / f"{part}.jsonl").open("rb") as file:
            for line in file:
                yield json.loads(line)

    def events_from(self, offset: int) -> tuple[list[JobEvent], int]:
        """Complete events from a byte offset on, and the offset to go on from.

        A line that is no event (a disk that lost bytes) arrives as a `Notice`: it must not hold up those behind it.
        """
        with _files.storage_errors(f"cannot read {str(self.events_path)!r}"):
            lines, end = _files.read_lines_from(self.events_path, offset)
        return [_event(line) for line in lines if line], end

    def data_sha256(self, part: Literal["train", "validation"]) -> str:
        """SHA-256 of the rows of one data file."""
        return _files.sha256_file(self.path / "data" / f"{part}.jsonl")

    def request_cancel(self) -> None:
        """Ask the run to stop; the trainer looks between rows while it gets ready, then between steps."""
        _files.write_atomic(self.cancel_path, b"")

    def cancel_requested(self) -> bool:
        """Whether somebody wants the run to stop, and it has no model yet; after that it is too late."""
        return self.cancel_path.exists() and not self.artifact_path.exists()

    def request_pause(self) -> None:
        """Ask the run to stop where it can go on."""
        _files.write_atomic(self.pause_path, b"")

    def withdraw_pause(self) -> None:
        """Let the run go on."""
        with _files.storage_errors(f"cannot remove {str(self.pause_path)!r}"):
            self.pause_path.unlink(missing_ok=True)

    def pause_requested(self) -> bool:
        """Whether the run is to rest."""
        return self.pause_path.exists()

    def show_life(self) -> None:
        """Leave a sign that the trainer gets on. A full disk is no reason to fail over it."""
        with suppress(OSError):
            (self.path / "alive").touch(mode=0o600)

    def silent_s(self) -> float:
        """Seconds since the trainer last got on with anything; 0 before its first sign of life."""
        signs = [_changed_at(self.path / "alive"), _changed_at(self.events_path)]
        return max(0.0, time.time() - max(signs)) if any(signs) else 0.0

    @contextmanager
    def locked(self) -> Iterator[int | None]:
        """Hold the lock inside the block: yields its descriptor, or None while a trainer (or a starter) is alive.

        Hand the descriptor to a trainer (`pass_fds`): the lock lives on in the child when the block ends here.

        Raises:
            NotFoundError: There is no such run.
            StorageError: The filesystem cannot lock, or cannot be written.
        """
        descriptor = self._open_lock()
        try:
            yield descriptor if self._lock(descriptor) else None
        finally:
            with _guard:
                _passing.discard(descriptor)
                os.close(descriptor)

    def is_alive(self) -> bool:
        """Whether a trainer is running right now."""
        with self.locked() as descriptor:
            return descriptor is None

    def _open_lock(self) -> int:
        path = self.path / "lock"
        with _files.storage_errors(f"cannot open {str(path)!r}"), _guard:
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except (FileNotFoundError, NotADirectoryError):
                raise self._not_found() from None
            _passing.add(descriptor)
            return descriptor

    def _lock(self, descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise StorageError(
                f"cannot lock {str(self.path / 'lock')!r}: {error.strerror}",
                hint="the run directory must be on a filesystem with flock",
            ) from error
        return True

    def _read(self, name: str) -> bytes | None:
        with _files.storage_errors(f"cannot read {str(self.path / name)!r}"):
            try:
                return (self.path / name).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def _parsed(self, cls: type[BaseModel], text: bytes, name: str) -> Any:
        try:
            return parse_model(cls, text)
        except SpecError as error:
            raise StorageError(
                f"{str(self.path / name)!r} is damaged: {error.message}",
                hint="this run cannot go on; restore the file from a backup, or submit again with another seed",
            ) from error

    def _not_found(self) -> NotFoundError:
        return NotFoundError(f"no run at {str(self.path)!r}", hint="check the job id and TUNEKIT_HOME")


# Lock descriptors between being opened and being handed to a trainer. A host that forks in that moment would copy the
# lock into a process that knows nothing of it, and the run would look alive for as long as that process lives.
_passing: set[int] = set()
_guard = threading.Lock()


def _after_fork_in_child() -> None:
    for descriptor in _passing:
        os.close(descriptor)
    _passing.clear()
    _guard.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_after_fork_in_child
    )


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _event(line: bytes) -> JobEvent:
    try:
        return event_from_dict(json.loads(line))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        text = line[:80].decode("utf-8", "replace")
        return Notice(id="", at=0.0, level="error", message=f"an event cannot be read ({error}): {text!r}")


def _write_examples(path: Path, data: Dataset) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for example in data:
            line = json.dumps(to_dict(example), ensure_ascii=False, separators=(",", ":"), default=str)
            file.write(line.encode("utf-8", "surrogatepass") + b"\n")
