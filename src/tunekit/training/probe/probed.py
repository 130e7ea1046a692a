"""A frozen model with a linear classifier on its features, and how that lies on disk. Knows the file; no run.

`probe.safetensors` holds the classifier alone, and in its metadata the layer and pooling that it reads. The frozen
weights are not copied: the card names their model, and its fingerprint is checked when they are loaded.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import safe_open
from safetensors.torch import save

from tunekit.errors import ModelError
from tunekit.training.models.families import Family
from tunekit.training.models.model_files import loading
from tunekit.training.plan.device import Device
from tunekit.training.probe.features import Features, Pooling
from tunekit.training.probe.probe import Linear

NAME = "probe.safetensors"
_TENSORS = ("bias", "mean", "scale", "weight")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedModel:
    """Names classes of texts, as a `Classifier` does.

    Attributes:
        features: The frozen model.
        linear: The classifier's tensors by name, fp32, as in `probe.Linear`.
    """

    features: Features
    linear: dict[str, torch.Tensor]

    @classmethod
    def load(cls, base: Any, directory: Path, *, classes: int, longest: int) -> ProbedModel:
        """Put the classifier of an artifact onto its base.

        Args:
            base: The frozen model, on its device.
            directory: The artifact.
            classes: How many it must name.
            longest: Longest text in tokens.

        Raises:
            ModelError: The classifier is missing, damaged, or does not fit the base.
        """
        tensors, layer, pooling = _read(directory)
        device = Device(name=str(base.device), frozen_dtype=base.dtype, compute_dtype=None)
        features = Features.of(base, device, layer=layer, pooling=pooling, longest=longest)
        wanted = {"weight": (classes, features.width), "bias": (classes,)}
        wanted |= dict.fromkeys(("mean", "scale"), (features.width,))
        numbers = all(
            tensor.dtype is torch.float32 and bool(tensor.isfinite().all()) for tensor in tensors.values()
        )
        if not numbers or {name: tuple(tensor.shape) for name, tensor in tensors.items()} != wanted:
            raise ModelError(
                f"{NAME} in {str(directory)!r} does not fit its card or its base model",
                hint="copy the artifact again, and check that its base model is the one it was trained on",
            )
        return cls(
            features=features, linear={name: tensor.to(base.device) for name, tensor in tensors.items()}
        )

    @property
    def config(self) -> Any:
        """The frozen model's configuration."""
        return self.features.model.config

    @property
    def family(self) -> Family:
        """What kind of model is frozen in it."""
        return self.features.family

    def logits(self, texts: Sequence[Sequence[int]]) -> torch.Tensor:
        """The logit of every class for every text in one forward pass, fp32, shape (texts, classes)."""
        return self.of_vectors(self.features(texts)[:, 0])

    def of_vectors(self, vectors: torch.Tensor) -> torch.Tensor:
        """The same of vectors that are known, shape (texts, width)."""
        part = self.linear
        return (vectors - part["mean"]) / part["scale"] @ part["weight"].T + part["bias"]

    def save_pretrained(self, directory: Path) -> None:
        """Write the classifier into a directory, and nothing of the frozen model. Equal numbers give equal bytes."""
        # One entry: safetensors writes several in an order of their own each time.
        reads = {"layer": self.features.layers[0], "pooling": self.features.pooling}
        tensors = {name: self.linear[name].cpu() for name in _TENSORS}
        (directory / NAME).write_bytes(save(tensors, {"reads": json.dumps(reads)}))


def tensors_of(linear: Linear) -> dict[str, torch.Tensor]:
    """A classifier as it is served, fp32."""
    return {name: torch.from_numpy(getattr(linear, name)).float().contiguous() for name in _TENSORS}


def _read(directory: Path) -> tuple[dict[str, torch.Tensor], int, Pooling]:
    with loading(directory, "probe"), safe_open(directory / NAME, framework="pt") as file:
        reads = json.loads((file.metadata() or {})["reads"])
        if reads["pooling"] not in get_args(Pooling):
            raise ValueError(f"pooling is {str(reads['pooling'])[:40]!r}")
        if type(reads["layer"]) is not int:
            raise ValueError(f"layer is {str(reads['layer'])[:40]!r}")
        return {name: file.get_tensor(name) for name in _TENSORS}, reads["layer"], reads["pooling"]
