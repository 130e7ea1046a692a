"""Whether a model's weights are as many as its configuration asks for. Knows numbers of weights; allocates none.

transformers makes what a configuration describes, and fills with random numbers what the files lack: a text of one
kilobyte can ask for a terabyte. So the model is laid out without memory first.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch

from tunekit.errors import ModelError
from tunekit.training.models.families import Head, auto_class

_MOST_NEW = 1 << 28  # a head of classes and a pooler are not in the files


def require_backed(config: Any, head: Head, directory: Path) -> None:
    """Raise `ModelError` if a configuration asks for many more weights than the files could hold.

    Args:
        config: A transformers configuration.
        head: What the model is to end in.
        directory: With its safetensors. A weight takes a byte or more there, and tied ones are stored once.
    """
    held = sum(path.stat().st_size for path in directory.glob("*.safetensors"))
    asked = _weights(config, head)
    if asked > 2 * held + _MOST_NEW:
        raise ModelError(
            f"the configuration of {str(directory)!r} asks for {asked} weights, and its files have {held} bytes",
            hint="restore the model's own config.json, or the missing shards",
        )


def _weights(config: Any, head: Head) -> int:
    from transformers.initialization import meta_device_safe_creation_ops, no_init_weights

    with torch.device("meta"), meta_device_safe_creation_ops(), no_init_weights():
        model = auto_class(config, head).from_config(deepcopy(config))
    return sum(value.numel() for value in model.parameters())
