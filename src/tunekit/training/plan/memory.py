"""How much memory a run takes, how much there is, and what to do where the second is less. Knows shapes; runs nothing.

Figures are rough: allocators round up and fragment. They decide whether activations are kept, and go into the report.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tunekit.errors import SpecError
from tunekit.training.plan.device import Device

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")
_SPARE = 0.9  # of what is free; the rest is for what nobody counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Peak of a run in bytes, by what takes it.

    Attributes:
        weights: All of the model.
        states: Gradients, two moments and other copies of what is trained, fp32.
        activations: Kept for the backward pass of the largest forward pass.
        logits: Of that pass, with their gradient.
    """

    weights: int
    states: int
    activations: int
    logits: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.states + self.activations + self.logits


def estimate(
    model: Any,
    device: Device,
    *,
    pass_tokens: int,
    checkpointing: bool = False,
    shares: int = 1,
    copies: int = 0,
) -> Estimate:
    """What training a model takes of a device.

    17 values per token, layer and unit of width: Korthikanti et al. 2022 (arXiv 2205.05198, section 4: 34 bytes in 16
    bits), without the attention matrix, which fused kernels do not keep. Where they are computed twice, they are kept
    for one layer at a time, and of the others only what each reads.

    Args:
        model: With its trainable parameters marked.
        device: Where it computes, and in which precision.
        pass_tokens: Tokens of the largest forward pass.
        checkpointing: Whether activations are computed twice rather than kept.
        shares: Among how many devices the weights, and what belongs to them, are shared out.
        copies: Values beside gradients and moments that are held of each weight that is trained.
    """
    config = model.config.get_text_config()
    trained = sum(value.numel() for value in model.parameters() if value.requires_grad)
    read = pass_tokens * config.hidden_size * (4 if device.compute_dtype is None else 2)
    a_layer = 17 * read
    layers = config.num_hidden_layers
    return Estimate(
        weights=sum(value.numel() * value.element_size() for value in model.parameters()) // shares,
        states=trained * 4 * (3 + copies) // shares,
        activations=a_layer + layers * read if checkpointing else layers * a_layer,
        logits=min(pass_tokens, 4096) * config.vocab_size * 4 * 3,
    )


def fits(needed: Estimate, free: int | None) -> bool:
    """Whether there is room for a run whose weights are loaded already.

    Args:
        needed: All that it takes.
        free: Bytes free now; None where that is not known, and then it is taken to fit.
    """
    return free is None or needed.total - needed.weights <= _SPARE * free


def require_room(needed: Estimate, free: int | None) -> None:
    """Refuse a run whose gradients, moments and copies alone are more than there is: the kernel would end it again.

    Raises:
        SpecError: They are.
    """
    if free is not None and needed.states > free:
        raise SpecError(
            f"the gradients and moments of what is trained, and what stay_near and keep_fisher hold of it, take "
            f"{needed.states >> 20} MB, and {free >> 20} MB are free",
            hint="train fewer weights (LoRA, a lower rank, fewer layers), or on a machine with more memory",
        )


def compute_activations_twice(model: Any) -> None:
    """Keep only what each layer reads, and compute the rest again for the backward pass."""
    # transformers has renamed it within version 5; by the old name it warns.
    if hasattr(model, "activation_checkpointing_enable"):
        model.activation_checkpointing_enable({"use_reentrant": False})
    else:
        model.gradient_checkpointing_enable({"use_reentrant": False})


def free_bytes(device: Device, *, processes: int = 1) -> int | None:
    """Bytes that this process could still take on a device; None where nothing says so.

    Args:
        device: The device; the host's memory is shared by all processes that train there.
        processes: How many train together.
    """
    if not device.is_cpu:
        return int(torch.cuda.mem_get_info(device.name)[0])
    found = [value // processes for value in (_machine(), _container()) if value is not None]
    return min(found, default=None)


def _machine() -> int | None:
    try:
        lines = _MEMINFO.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return None


def _container() -> int | None:
    """What a cgroup leaves, where there is one with a limit (cgroup v2); the kernel takes back files it has cached."""
    try:
        limit, used = (int((_CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        stat = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        return limit - used + int(stat["inactive_file"])
    except (OSError, ValueError, KeyError):
        return None
