"""What a model directory must hold before it is believed, where it is, and which errors loading can meet."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tunekit.errors import ModelError, TunekitError
from tunekit.training.models import hub, trust
from tunekit.training.saving.artifacts import ADAPTER_CONFIG_NAME, is_artifact

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "vocab.txt")


def local_directory(source: str | Path) -> Path | None:
    """The directory that `source` means, or None if it reads as a hub id.

    Raises:
        ModelError: It reads as a path, and there is nothing there.
    """
    text = str(source)
    path = Path(text).expanduser()
    if path.is_dir():
        return path.resolve()
    if isinstance(source, Path) or text.startswith(("/", ".", "~")) or text.count("/") > 1 or path.exists():
        raise ModelError(
            f"{text!r} is not a directory", hint="point at a directory with config.json and safetensors"
        )
    return None


def directory_of(source: str | Path, revision: str | None) -> Path:
    """Where the files of a model lie, which are looked at before anything reads them; a hub model's without weights.

    Args:
        source: A directory, or a hub id.
        revision: Hub revision.

    Raises:
        ModelError: There are none, or they claim something outrageous.
    """
    directory = local_directory(source)
    if directory is None:
        with loading(source, "files"):
            directory = hub.fetched_texts(str(source), revision)
    require_directory(directory)
    return directory


def require_directory(directory: Path) -> None:
    """Raise `ModelError` unless this is the directory of a model or of an artifact, and claims nothing outrageous."""
    has_adapter = (directory / ADAPTER_CONFIG_NAME).is_file()
    if not (directory / "config.json").is_file() and not has_adapter and not is_artifact(directory):
        names = ", ".join(sorted(item.name for item in directory.iterdir())[:5]) or "nothing"
        raise ModelError(
            f"{str(directory)!r} is not a model directory: it has no config.json (it holds {names})",
            hint="point at a directory that model.save_pretrained wrote",
        )
    with loading(directory, "files"):
        trust.check_directory(directory)
    weights = [path.name for path in directory.glob("*.safetensors") if not path.name.startswith("adapter_")]
    if has_adapter and weights:  # transformers would load both together, PEFT the one on another base
        raise ModelError(
            f"{str(directory)!r} holds an adapter and the weights of a model ({min(weights)})",
            hint=f"move {ADAPTER_CONFIG_NAME} and the adapter's weights into a directory of their own",
        )


def require_weights(directory: Path) -> None:
    """Raise `ModelError` unless it holds safetensors, and all shards of them."""
    require_directory(directory)
    if not any(directory.glob("*.safetensors")):
        pickles = sorted(item.name for pattern in _PICKLES for item in directory.glob(pattern))
        if pickles:
            raise ModelError(
                f"{str(directory)!r} holds its weights as a pickle ({pickles[0]}), which can run code when it is read",
                hint="convert it to safetensors where you trust it: model.save_pretrained(directory)",
            )
        raise ModelError(
            f"{str(directory)!r} has no *.safetensors weights", hint="download or copy the weights too"
        )
    index = directory / "model.safetensors.index.json"
    if index.is_file():
        _check_index(index)


def _check_index(index: Path) -> None:
    """Every shard that the index names must be a file in this very directory."""
    with loading(index.parent, "weight index"):
        shards = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    for shard in shards:
        if Path(shard).name != shard or not (index.parent / shard).is_file():
            raise ModelError(
                f"{str(index)!r} names the shard {shard!r}, which is not a file beside it",
                hint="copy every shard into the model's directory",
            )


@contextmanager
def loading(source: str | Path, part: str) -> Iterator[None]:
    """What transformers, PEFT and safetensors raise inside becomes a `ModelError` that names source and part."""
    try:
        yield
    except (TunekitError, MemoryError):
        raise
    except ImportError as error:
        package = _missing_package(error)
        raise ModelError(
            f"the {part} of {str(source)!r} needs the package {package!r}, which is not installed",
            hint=f"pip install {package}",
        ) from error
    except Exception as error:  # tokenizers raises nothing more particular
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"cannot load the {part} of {str(source)!r}: {reason}",
            hint="check the path or hub id; offline, only directories and cached hub models can be loaded",
        ) from error


def _missing_package(error: ImportError) -> str:
    """The package that an import failed for: by name, or by what transformers says to install."""
    said = re.search(r"pip install (?:-\S+ )*[`'\"]?([A-Za-z][\w-]*)", str(error))
    if said:
        return said[1]
    module = (error.name or str(error)).partition(".")[0]
    return "protobuf" if module == "google" else module
