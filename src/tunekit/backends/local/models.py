"""What a local model string stands for. Knows directories, runs and hub ids; loads nothing.

run-9f2c...               the artifact of a local run
./model, /srv/model, ~/m  a directory
Qwen/Qwen3-0.6B           a model hub id
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from tunekit import _files
from tunekit._version import __version__
from tunekit.backends.base import Version
from tunekit.errors import ModelError, NotFoundError, SpecError
from tunekit.events import JobState
from tunekit.training.models import fingerprint
from tunekit.training.run.rundir import RunDirectory

RUN_ID = re.compile(r"run-[0-9a-f]{20}(-[1-9][0-9]*)?\Z")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?\Z")
_READABLE = "make the model directory readable for this user"
_PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl", ".ckpt"})


def resolve(model: str, runs: Path) -> str:
    """Absolute path of the model's directory, or the hub id as it is.

    Args:
        model: The part of a target or model reference after `local:`.
        runs: Directory that holds the run directories.

    Raises:
        NotFoundError: A run that does not exist or has no model (yet); a string that is neither directory nor hub id.
        ModelError: What is there is no directory that holds a model.
    """
    if RUN_ID.match(model):
        return str(_artifact(model, runs))
    path = _path(model)
    if path.is_dir():
        with _files.storage_errors(f"cannot read model directory {str(path)!r}", hint=_READABLE):
            _check_directory(path)
        return str(path.absolute())
    if path.exists():
        raise ModelError(
            f"{model!r} is a file, not a model directory", hint="give the directory that holds config.json"
        )
    if model.startswith((".", "/", "~")) or not _HUB_ID.match(model) or _reads_as_path(model):
        raise NotFoundError(
            f"no model directory at {model!r} (looked in {str(path.absolute())!r})",
            backend="local",
            hint="give a directory that holds config.json and *.safetensors, or a hub id such as 'Qwen/Qwen3-0.6B'",
        )
    return model


def identify(model: str, hashes: fingerprint.Hashes) -> str:
    """A name for the exact content of a resolved model directory; a hub id stands for itself.

    Args:
        model: What `resolve` gave.
        hashes: fingerprint.Hashes of files that were read before; it is added to.

    Raises:
        StorageError: A file of the model cannot be read.
    """
    path = Path(model)
    if not path.is_dir():
        return model
    with _files.storage_errors(f"cannot read model directory {model!r}", hint=_READABLE):
        return fingerprint.of_model(path, hashes)


def version(model: str, hashes: fingerprint.Hashes) -> Version:
    """What answers for a resolved model. An adapter that no card ties to its base may be loaded on another one.

    Raises:
        StorageError: A file of the model cannot be read.
    """
    path = Path(model)
    bare = is_adapter(model) and not (path / "tunekit.json").is_file()
    name = f"{identify(model, hashes)}, answered by tunekit {__version__}"
    return Version(name=name, fixed=path.is_dir() and not bare, seen=path.is_dir())


def require_can_go_on(run: RunDirectory) -> None:
    """Raise `SpecError` if a run has ended without a model; it never goes on."""
    if over := _ended_without(run):
        why, hint = over
        raise SpecError(f"local run {run.path.name!r} cannot be resumed: it {why}", hint=hint)


def is_adapter(model: str) -> bool:
    """Whether a resolved model is an adapter directory, which cannot be the base of another run yet."""
    return (Path(model) / "adapter_config.json").is_file()


def is_probe(model: str) -> bool:
    """Whether a resolved model is a probe: a classifier on a frozen model, which lies elsewhere."""
    return (Path(model) / "probe.safetensors").is_file()


def _reads_as_path(model: str) -> bool:
    """Whether the first part of `a/b` is a directory here: then it is a path with a slip in it, not a hub id."""
    first, slash, _ = model.partition("/")
    return bool(slash) and Path(first).is_dir()


def _path(model: str) -> Path:
    try:
        path = Path(model).expanduser()
        path.exists()
    except (OSError, RuntimeError) as error:  # a name too long for a path, a home that nobody has
        raise ModelError(
            f"{model[:200]!r} cannot be a model directory: {error}", hint="check the target after the colon"
        ) from None
    return path


def _artifact(run_id: str, runs: Path) -> Path:
    run = runs / run_id
    if not run.is_dir():
        raise NotFoundError(
            f"no local run {run_id!r} under {str(runs)!r}", hint="check the id and TUNEKIT_HOME"
        )
    artifact = run / "artifact"
    if not artifact.is_dir():
        if over := _ended_without(RunDirectory(run)):
            why, hint = over
            raise NotFoundError(f"local run {run_id!r} has no model: it {why}", hint=hint)
        raise NotFoundError(
            f"local run {run_id!r} has no model (yet)",
            hint="wait for it with FineTuneJob.attach(...).result()",
        )
    return artifact


def _ended_without(run: RunDirectory) -> tuple[str, str] | None:
    """Why a run has no model and never will, and what to do; None if that cannot be said of it."""
    result = run.result()
    if result is None or result.state is JobState.SUCCEEDED:
        return None
    if result.state is JobState.CANCELLED:
        return (
            f"was {result.message or 'cancelled'}",
            "submit the same spec and data again: that is a new attempt, from the beginning; checkpoints serve the run "
            "that made them, so next time use pause() where a job is to go on",
        )
    return f"failed: {result.message}", result.hint or "look at the job's events for what came before"


def _check_directory(path: Path) -> None:
    if is_probe(str(path)):
        return
    if (path / "adapter_config.json").is_file():
        _check_weights(path, "adapter_model*.safetensors")
        return
    config = path / "config.json"
    if not config.is_file():
        seen = ", ".join(sorted(item.name for item in path.iterdir())[:8]) or "nothing"
        raise ModelError(
            f"{str(path)!r} is not a model directory: it has no config.json (it holds {seen})",
            hint="give the directory that save_pretrained wrote",
        )
    try:
        if not isinstance(json.loads(config.read_bytes()), dict):
            raise ValueError("not an object")
    except ValueError as error:
        raise ModelError(
            f"{str(config)!r} is not a model configuration: {error}", hint="save the model again"
        ) from None
    _check_weights(path, "*.safetensors")


def _check_weights(path: Path, pattern: str) -> None:
    if any(path.glob(pattern)):
        return
    pickles = sorted(item.name for item in path.iterdir() if item.suffix in _PICKLES)
    raise ModelError(
        f"{str(path)!r} has no {pattern}" + (f", only {', '.join(pickles)}" if pickles else ""),
        hint="convert it: model.save_pretrained(dir); pickled weights can run code and are not loaded"
        if pickles
        else "copy the weights beside the configuration",
    )
