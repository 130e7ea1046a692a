"""What a model's files may claim before anybody acts on it. Knows names and numbers; loads nothing and runs nothing.

A model directory is somebody else's: its configuration may name code, ask for sizes that no weights have, or be a link
to a file of ours whose text would then be copied into the tuned model. transformers builds what a configuration says
before it looks at the weights, so a billion layers are a billion objects.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunekit.errors import ModelError

# The largest known have 200 layers and a few hundred experts; sizes are told apart from ids and limits by nothing.
_MOST: tuple[tuple[str, int], ...] = (
    ("layer", 1_000),
    ("block", 100_000),
    ("expert", 10_000),
    ("head", 100_000),
)
_MOST_OF_ANYTHING = 1 << 40
_MOST_JSON_BYTES = 64 << 20
_LAYERS = frozenset({"num_hidden_layers", "n_layer", "num_layers", "decoder_layers", "encoder_layers"})
_SIZES = "hidden_size", "intermediate_size", "vocab_size", "d_model", "d_ff", "n_embd", "n_inner", "head_dim"
_MOST_OF_A_SIZE = 1 << 26


def check_directory(directory: Path) -> None:
    """Raise `ModelError` if a file leads out of a model's directory, or its configuration asks for the unreasonable.

    Links of the hub's cache lead to its own blobs, and weights may lie on another disk: safetensors are only numbers.
    """
    for path in sorted(directory.iterdir()):
        if path.is_symlink() and path.suffix != ".safetensors":
            _refuse_outside(path, directory)
    config = directory / "config.json"
    if config.is_file():
        body = _read(config)
        check_config(body, source=str(directory))
        _check_layers(body, directory)


def check_config(config: Mapping[str, Any], *, source: str) -> None:
    """Raise `ModelError` for sizes that no model has, and for code to be fetched."""
    for name, value in _entries(config):
        if name.endswith("_implementation") and isinstance(value, str) and "/" in value:
            raise ModelError(
                f"the configuration of {source!r} wants code from elsewhere: {name} is {value[:40]!r}",
                hint="remove that line from its config.json if you trust the rest of the model",
            )
        # Floats are rates and scales; where a number of things is wanted, transformers refuses them.
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _most(name):
            raise ModelError(
                f"the configuration of {source!r} is unreasonable: {name} is {value:g}",
                hint="restore the model's own config.json",
            )


def _check_layers(config: Mapping[str, Any], directory: Path) -> None:
    """No layer is without a tensor. So what a configuration makes us allocate in vain is bounded by the weights."""
    files = sorted(directory.glob("*.safetensors"))
    tensors = sum(_tensors_in(path) for path in files)
    for name, value in _entries(config):
        if files and name in _LAYERS and isinstance(value, int) and value > tensors:
            raise ModelError(
                f"the configuration of {str(directory)!r} has {name}={value}, and its weights {tensors} tensors",
                hint="restore the model's own config.json, or the missing shards",
            )


def _tensors_in(path: Path) -> int:
    """Read from the header: eight bytes of its length, and JSON."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(_MOST_JSON_BYTES, path.stat().st_size):
            raise ModelError(
                f"{str(path)!r} is no safetensors file", hint="copy or download the weights again"
            )
        try:
            return len(json.loads(file.read(length)))
        except (ValueError, TypeError, RecursionError):
            raise ModelError(
                f"{str(path)!r} is no safetensors file", hint="copy or download the weights again"
            ) from None


def _most(name: str) -> int:
    if name in _SIZES:
        return _MOST_OF_A_SIZE
    return next((most for word, most in _MOST if word in name), _MOST_OF_ANYTHING)


def _entries(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    waiting: list[tuple[str, Any]] = list(config.items())
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(str(key), item) for key, item in value.items()]
        elif isinstance(value, list):
            waiting += [(name, item) for item in value]
        else:
            yield name, value


def _refuse_outside(path: Path, directory: Path) -> None:
    home = directory.resolve()
    blobs = (
        home.parent.parent / "blobs"
    )  # models--acme--tiny/snapshots/<commit>/config.json -> ../../blobs/<hash>
    target = path.resolve()
    if target.is_relative_to(home) or (home.parent.name == "snapshots" and target.is_relative_to(blobs)):
        return
    raise ModelError(
        f"{str(path)!r} is a link to {str(target)!r}, outside of the model's directory",
        hint="copy the file into the directory if it belongs to the model",
    )


def _read(path: Path) -> Mapping[str, Any]:
    if path.stat().st_size > _MOST_JSON_BYTES:
        raise ModelError(
            f"{str(path)!r} has {path.stat().st_size} bytes", hint="restore the model's own file"
        )
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"{str(path)!r} is not a model configuration: {str(error)[:100]}", hint="save the model again"
        ) from None
    if not isinstance(found, dict):
        raise ModelError(f"{str(path)!r} is not a model configuration", hint="save the model again")
    return found
