"""Whole models mixed weight by weight, file by file. Knows safetensors; not which models belong together.

    w = sum_k a_k w_k

in fp64, rounded once. What is written is laid out as the files of the first model are, to the byte, so nothing has to
be held but one tensor of each model, whatever the size of a file. What has no share is not added, so what is whole
stays as it was, bit by bit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import safe_open

from tunekit.errors import ModelError
from tunekit.training.models.model_files import loading, require_weights

_AT_ONCE = 1 << 24
INDEX_NAME = "model.safetensors.index.json"


class Weights:
    """The tensors of a model directory, read one at a time.

    Args:
        directory: Of the model.
        stack: Closes the files.

    Raises:
        ModelError: There are no weights, or a file is damaged.
    """

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        require_weights(directory)
        self.directory = directory
        self._files: dict[str, Any] = {}
        with loading(directory, "weights"):
            for path in weight_files(directory):
                file = stack.enter_context(safe_open(path, framework="pt"))
                self._files |= dict.fromkeys(file.keys(), file)

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def __getitem__(self, name: str) -> torch.Tensor:
        with loading(self.directory, f"tensor {name!r}"):
            found: torch.Tensor = self._files[name].get_tensor(name)
            return found


def weight_files(directory: Path) -> list[Path]:
    """The files that transformers loads from a directory."""
    if (directory / "model.safetensors").is_file():
        return [directory / "model.safetensors"]
    if (directory / INDEX_NAME).is_file():
        shards = json.loads((directory / INDEX_NAME).read_bytes())["weight_map"].values()
        return [directory / name for name in sorted(set(shards))]
    return sorted(directory.glob("*.safetensors"))


def write_mixed(out: Path, parts: Sequence[tuple[Path, float]]) -> None:
    """Write the mixture of whole models.

    Args:
        out: Directory to write into.
        parts: Directories of the models and the share of each; the first decides names, dtypes and files.

    Raises:
        ModelError: They do not have the same tensors, or the mixture is not finite.
    """
    with ExitStack() as stack:
        models = [(Weights(directory, stack), share) for directory, share in parts]
        for path in weight_files(parts[0][0]):
            with (out / path.name).open("wb") as file:
                _write_file(file, path, models)


def mixed(name: str, values: Sequence[torch.Tensor], shares: Sequence[float]) -> Iterator[torch.Tensor]:
    """The mixture of one tensor of each model, flat and in pieces, in the dtype of the first.

    Args:
        name: Of the tensors, for messages.
        values: One of each model.
        shares: Of each.

    Raises:
        ModelError: Shapes differ, numbers that are no weights differ, or the mixture is not finite.
    """
    first = values[0]
    if any(value.shape != first.shape for value in values[1:]):
        raise ModelError(
            f"{name!r} has the shapes {sorted({tuple(value.shape) for value in values})}: the models are not alike",
            hint="mix models of one architecture with one vocabulary",
        )
    if not first.is_floating_point():
        if any(not torch.equal(value, first) for value in values[1:]):
            raise ModelError(f"{name!r} are no weights and differ", hint="mix models of one base")
        yield first.reshape(-1)
        return
    kept = [(value.reshape(-1), share) for value, share in zip(values, shares, strict=True) if share]
    for start in range(0, first.numel(), _AT_ONCE):
        pieces = [value[start : start + _AT_ONCE].double() * share for value, share in kept]
        piece = sum(pieces[1:], start=pieces[0]).to(first.dtype)
        if not bool(torch.isfinite(piece.float()).all()):
            raise ModelError(f"the mixture of {name!r} is not finite", hint="look at the models that go in")
        yield piece


def _write_file(out: BinaryIO, path: Path, models: Sequence[tuple[Weights, float]]) -> None:
    header = _header(path)
    out.write(header)
    layout: Mapping[str, Any] = json.loads(header[8:])
    names = [name for name in layout if name != "__metadata__"]
    for name in sorted(names, key=lambda name: layout[name]["data_offsets"]):
        missing = next((model.directory for model, _ in models if name not in model), None)
        if missing is not None:
            raise ModelError(
                f"{str(missing)!r} has no tensor {name!r}, which the tuned model has",
                hint="save the base again with transformers: model.save_pretrained(directory)",
            )
        for piece in mixed(name, [model[name] for model, _ in models], [share for _, share in models]):
            out.write(piece.contiguous().view(torch.uint8).numpy().data)


def _header(path: Path) -> bytes:
    """A file's first bytes: the length of its JSON header and that header. `safe_open` has looked at it already."""
    with path.open("rb") as file:
        length = file.read(8)
        return length + file.read(int.from_bytes(length, "little"))
