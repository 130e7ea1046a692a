"""Checkpoints that are whole or worthless, and known to be which. Knows files and tensors; knows no model and no loop.

    checkpoints/00000120/
      trainable.safetensors   what is trained
      optimizer.safetensors   what the optimizer remembers
      state.json              where the run stands
      MANIFEST.json           size and SHA-256 of every file, step, plan, library versions

A checkpoint is written beside its final name, fsynced and renamed in, so the name appears only when everything is on
disk. It is believed only after every byte has been hashed again. Nothing is ever unpickled.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from tunekit import _files
from tunekit.errors import ModelError, StorageError
from tunekit.training.plan.early_stopping import Best

if TYPE_CHECKING:
    import torch

KEEP = 2
_MANIFEST = "MANIFEST.json"
_MOST_MANIFEST_BYTES = 1 << 20
_FILES = ("optimizer.safetensors", "state.json", "trainable.safetensors")
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class FileRecord(BaseModel):
    """What one file of a checkpoint must be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int
    sha256: str


class Manifest(BaseModel):
    """The list of what a checkpoint consists of.

    Attributes:
        own_sha256: Of this manifest with this field empty: every change to any byte of it is noticed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    step: int
    plan_sha256: str
    base_fingerprint: str = ""
    files: dict[str, FileRecord]
    versions: dict[str, str]
    own_sha256: str = ""

    def sealed(self) -> bytes:
        """The file's content."""
        seal = hashlib.sha256(self._bytes(own_sha256="")).hexdigest()
        return self._bytes(own_sha256=seal)

    def _bytes(self, *, own_sha256: str) -> bytes:
        return self.model_copy(update={"own_sha256": own_sha256}).model_dump_json(indent=1).encode()


class TrainingState(BaseModel):
    """Where a run stands after a step.

    Attributes:
        step: Optimizer steps done; also the position of the sampler, whose order follows from seed and step.
        rng: How randomness is drawn: every step seeds its own generator from (seed, step), so there is no state to
            keep and none that could be restored at the wrong moment.
        trained_tokens: Real tokens trained on so far.
        seconds: Wall time of training so far.
        idle_steps: How many of the last steps, one after the other, had nothing to learn from.
        metrics: Last known numbers by name.
        evaluated: The last step after which the validation rows were looked at; -1 if they never were.
        untrained: The evaluation before the first step, where the spec asks for early stopping.
        best: The best of those after it, whose weights may be published.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int = 0
    rng: Literal["seed-and-step"] = "seed-and-step"
    trained_tokens: int = 0
    seconds: float = 0.0
    idle_steps: int = 0
    metrics: dict[str, float] = {}
    evaluated: int = -1
    untrained: Best | None = None
    best: Best | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A checkpoint that was read and found whole."""

    name: str
    state: TrainingState
    trainable: dict[str, torch.Tensor]
    optimizer: dict[str, torch.Tensor]


def recorded_base(directory: Path) -> str:
    """Fingerprint of the base model that the newest checkpoint in a directory was made from; "" if there is none."""
    for name in sorted((item.name for item in directory.glob("[0-9]*") if item.name.isdigit()), reverse=True):
        try:
            return _read_manifest(directory / name).base_fingerprint
        except _Unusable:
            continue
    return ""


class CheckpointStore:
    """The checkpoints of one run. One writer at a time: hold the run's lock.

    Args:
        directory: Where they lie.
        plan_sha256: Identity of plan and data; a checkpoint of another plan is not used.
        base_fingerprint: Identity of the base model; with another one, a run that has begun cannot go on.
        versions: Library versions, recorded in manifests.
        notice: Told about every checkpoint that is skipped and why, and about space that had to be freed.
    """

    def __init__(
        self,
        directory: Path,
        *,
        plan_sha256: str,
        base_fingerprint: str,
        versions: Mapping[str, str],
        notice: Callable[[str], None],
    ) -> None:
        self._directory = directory
        self._plan = plan_sha256
        self._base = base_fingerprint
        self._versions = dict(versions)
        self._notice = notice
        _files.make_private_directory(directory)
        self._sweep()

    def save(
        self,
        state: TrainingState,
        trainable: Mapping[str, torch.Tensor],
        optimizer: Mapping[str, torch.Tensor],
        *,
        keep: Collection[int] = (),
    ) -> str:
        """Publish a checkpoint and then remove all but the last two, and those that are to be kept.

        Args:
            state: Where the run stands.
            trainable: What is trained, by name.
            optimizer: What the optimizer remembers, by name.
            keep: Steps whose checkpoints stay however old they are, such as the best one so far. Told at every save, so
                that the training state alone decides, after a restart as before it.

        Returns:
            Its name.

        Raises:
            StorageError: It could not be written; earlier checkpoints are as they were. On a full disk, all but the
                newest earlier one and those to keep are removed and the save is tried once more first.
        """
        files = {
            "trainable.safetensors": save_tensors(_on_cpu(trainable)),
            "optimizer.safetensors": save_tensors(_on_cpu(optimizer)),
            "state.json": state.model_dump_json(indent=1).encode(),
        }
        name = _name(state.step)
        try:
            self._publish(name, state.step, files)
        except StorageError as error:
            if not _is_full(error):
                raise
            self._prune(last=1, keep=keep)
            # Only now: on a disk that is full to the last byte there is no room for the notice either.
            self._notice(
                f"no space for checkpoint {name}; what can be spared of the earlier ones was removed"
            )
            self._publish(name, state.step, files)
        self._prune(last=KEEP, keep=keep)
        return name

    def newest(self) -> Checkpoint | None:
        """The newest checkpoint that is whole and of this plan; those that are not are set aside and reported.

        Raises:
            ModelError: It continues the training of another base model.
        """
        return next(filter(None, map(self._usable, reversed(self._names()))), None)

    def at(self, step: int) -> Checkpoint | None:
        """The checkpoint of a step, for example the best; None, reported, if it is not whole or not there.

        Raises:
            ModelError: It continues the training of another base model.
        """
        if _name(step) in self._names():
            return self._usable(_name(step))
        self._notice(f"checkpoint {_name(step)} is not there")
        return None

    def clear(self) -> None:
        """Remove all checkpoints: the run begins again.

        Raises:
            StorageError: The disk said no.
        """
        for name in self._names():
            self._remove(name)

    def _usable(self, name: str) -> Checkpoint | None:
        try:
            return self._read(name)
        except _Unusable as error:
            self._notice(f"checkpoint {name} is not used: {error}")
            self._set_aside(name)
            return None

    def _publish(self, name: str, step: int, files: Mapping[str, bytes]) -> None:
        records = {
            item: FileRecord(size=len(data), sha256=hashlib.sha256(data).hexdigest())
            for item, data in files.items()
        }
        manifest = Manifest(
            step=step,
            plan_sha256=self._plan,
            base_fingerprint=self._base,
            files=records,
            versions=self._versions,
        )

        def fill(directory: Path) -> None:
            for item, data in files.items():
                _files.write_durable(directory / item, data)
            _files.write_durable(directory / _MANIFEST, manifest.sealed())

        _files.publish_directory(self._directory / name, fill)

    def _read(self, name: str) -> Checkpoint:
        directory = self._directory / name
        manifest = _read_manifest(directory)
        if manifest.base_fingerprint and manifest.base_fingerprint != self._base:
            raise ModelError(
                f"the base model was replaced after this run had reached step {manifest.step}",
                hint="restore the base model's files, or submit a new run on the new ones",
            )
        if manifest.plan_sha256 != self._plan:
            raise _Unusable("it was made by another plan, other data or other settings")
        if _name(manifest.step) != name or sorted(manifest.files) != sorted(_FILES):
            raise _Unusable(f"its {_MANIFEST} describes another checkpoint")
        if manifest.versions != self._versions:
            self._notice(
                f"checkpoint {name} was made with other library versions; the last bits may differ from here on"
            )
        data = {item: _read_file(directory / item, record) for item, record in manifest.files.items()}
        try:
            state = TrainingState.model_validate_json(data["state.json"])
            trainable = load_tensors(data["trainable.safetensors"])
            optimizer = load_tensors(data["optimizer.safetensors"])
        except (ValidationError, SafetensorError, ValueError, KeyError) as error:
            raise _Unusable(f"it cannot be decoded: {error}") from error
        if state.step != manifest.step:
            raise _Unusable("its state.json is of another step")
        return Checkpoint(name=name, state=state, trainable=trainable, optimizer=optimizer)

    def _names(self) -> list[str]:
        with _files.storage_errors(f"cannot list {str(self._directory)!r}"):
            return sorted(item.name for item in self._directory.iterdir() if item.name.isdigit())

    def _prune(self, *, last: int, keep: Collection[int]) -> None:
        kept = {_name(step) for step in keep}
        for name in self._names()[:-last]:
            if name not in kept:
                self._remove(name)

    def _remove(self, name: str) -> None:
        # Renamed first: a kill in the middle of the removal must not leave a name that looks like a checkpoint.
        trash = self._directory / f".trash-{name}-{os.urandom(4).hex()}"
        with _files.storage_errors(f"cannot remove checkpoint {name}"):
            (self._directory / name).rename(trash)
        _discard(trash)

    def _set_aside(self, name: str) -> None:
        """Free the name, since the run will come to this step again, and keep the newest bad one to look at."""
        for old in self._directory.glob(".unusable-*"):
            _discard(old)
        with _files.storage_errors(f"cannot set checkpoint {name} aside"):
            (self._directory / name).rename(self._directory / f".unusable-{name}-{os.urandom(4).hex()}")

    def _sweep(self) -> None:
        """Remove what a killed writer left half done; the lock says that no other writer is at it."""
        for pattern in (".partial-*", ".trash-*"):
            for item in self._directory.glob(pattern):
                _discard(item)


class _Unusable(Exception):
    """Why a checkpoint cannot be used."""


def _read_manifest(directory: Path) -> Manifest:
    content = _read_plain(directory / _MANIFEST, most=_MOST_MANIFEST_BYTES)
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        raise _Unusable(f"its {_MANIFEST} is damaged") from error
    if content != manifest.sealed():
        raise _Unusable(f"its {_MANIFEST} was changed after it was written")
    return manifest


def _read_file(path: Path, record: FileRecord) -> bytes:
    data = _read_plain(path, most=record.size)
    if len(data) != record.size:
        raise _Unusable(f"{path.name} has {len(data)} bytes instead of {record.size}")
    if hashlib.sha256(data).hexdigest() != record.sha256:
        raise _Unusable(f"{path.name} was changed after it was written")
    return data


def _read_plain(path: Path, *, most: int) -> bytes:
    """A file that is really one: no link to somewhere else, and no pipe, which would be waited for for ever."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with open(os.open(path, flags), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise _Unusable(f"{path.name} is no plain file")
            if found.st_size > most:
                raise _Unusable(f"{path.name} has {found.st_size} bytes instead of {most}")
            return file.read()
    except OSError as error:
        reason = "is a link" if error.errno == errno.ELOOP else f"cannot be read ({error.strerror})"
        raise _Unusable(f"{path.name} {reason}") from error


def _discard(path: Path) -> None:
    """Remove what is no checkpoint any more, whatever it was replaced by."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _is_full(error: StorageError) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in _NO_SPACE


def _name(step: int) -> str:
    return f"{step:08d}"


def _on_cpu(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
