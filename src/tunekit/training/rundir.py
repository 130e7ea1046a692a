"""The run directory: the wire between a host and a training process. Knows files; knows neither torch nor backends.

    run-9f2c.../
      plan.json          what to train: written once, before the directory appears
      data/train.jsonl   examples, one `tunekit.examples.to_dict` per line    (data/validation.jsonl likewise)
      lock               held by the training process for as long as it lives (it inherits it already held)
      events.jsonl       what happened, appended; readers stop at the last newline
      checkpoints/       one directory per checkpoint, each with a MANIFEST.json
      artifact/          the tuned model, published whole
      cancel             appears when somebody wants the run to stop
      result.json        the last thing the trainer writes: how it ended
      log.txt            stdout and stderr of the training process

A run is alive exactly while `lock` is locked: no guessing from process ids, no start-up window.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from tunekit import _files
from tunekit.data.dataset import Dataset
from tunekit.errors import NotFoundError, StorageError
from tunekit.events import JobEvent, JobState, event_from_dict
from tunekit.examples import to_dict
from tunekit.spec import TuneSpec, parse_model


class RunPlan(BaseModel):
    """What to train, as written in `plan.json`.

    Attributes:
        run_id: Name of the run, and of its directory.
        key: Idempotency key of the submission.
        model: Absolute path of the base model's directory, or a hub id.
        revision: Hub revision, if one was asked for.
        spec: The recipe.
        threads: CPU threads to compute with; part of the plan because results depend on it in the last bit.
        validation: Whether there is a `data/validation.jsonl`.
        created_at: Unix seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    run_id: str
    key: str
    model: str
    revision: str | None = None
    spec: TuneSpec
    threads: int
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

    def exists(self) -> bool:
        """Whether the run was ever submitted here."""
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
        return cls(runs / plan.run_id)

    def plan(self) -> RunPlan:
        """What to train. Raises `NotFoundError` if there is no such run, `SpecError` if the plan is damaged."""
        try:
            text = (self.path / "plan.json").read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise NotFoundError(
                f"no run at {str(self.path)!r}", hint="check the job id and TUNEKIT_HOME"
            ) from None
        return parse_model(RunPlan, text)

    def result(self) -> RunResult | None:
        """How the run ended, or None while it has not."""
        try:
            text = self.result_path.read_bytes()
        except FileNotFoundError:
            return None
        return parse_model(RunResult, text)

    def examples(self, part: Literal["train", "validation"]) -> Iterator[Mapping[str, Any]]:
        """The rows of one data file, as dictionaries for `tunekit.examples.from_dict`."""
        with (self.path / "data" / f"{part}.jsonl").open("rb") as file:
            for line in file:
                yield json.loads(line)

    def events_from(self, offset: int) -> tuple[list[JobEvent], int]:
        """Complete events from a byte offset on, and the offset to go on from."""
        lines, end = _files.read_lines_from(self.events_path, offset)
        return [event_from_dict(json.loads(line)) for line in lines if line], end

    def request_cancel(self) -> None:
        """Ask the run to stop; the trainer looks between steps."""
        _files.write_atomic(self.cancel_path, b"")

    def cancel_requested(self) -> bool:
        """Whether somebody wants the run to stop."""
        return self.cancel_path.exists()

    def try_lock(self) -> int | None:
        """Take the lock. Returns an open descriptor that holds it, or None while a trainer is alive.

        Hand the descriptor to the trainer (`pass_fds`) and close it here: the lock lives on in the child.
        """
        try:
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotFoundError(
                f"no run at {str(self.path)!r}", hint="check the job id and TUNEKIT_HOME"
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError as error:
            os.close(descriptor)
            raise StorageError(
                f"cannot lock {str(self.path / 'lock')!r}: {error.strerror}",
                hint="the run directory must be on a filesystem with flock",
            ) from error
        return descriptor

    def is_alive(self) -> bool:
        """Whether a trainer is running right now."""
        descriptor = self.try_lock()
        if descriptor is None:
            return True
        os.close(descriptor)
        return False


def _write_examples(path: Path, data: Dataset) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for example in data:
            line = json.dumps(to_dict(example), ensure_ascii=False, separators=(",", ":"), default=str)
            file.write(line.encode("utf-8", "surrogatepass") + b"\n")
