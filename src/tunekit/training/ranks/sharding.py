"""Weights shared out between ranks (FSDP2). Knows modules and tensors; no step and no file.

Each block of the model is gathered from all ranks just before it is computed and let go behind it, so a device holds
its share of the weights and one whole block (Zhao et al. 2023, arXiv 2304.11277; `torch.distributed.fsdp.fully_shard`).
An adapter is put on before: afterwards there is no whole weight left that it could be shaped by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from tunekit.training.models.adapters import blocks
from tunekit.training.plan.device import Device
from tunekit.training.ranks.group import Ranks

if TYPE_CHECKING:
    import torch


def placed(model: Any, device: Device, ranks: Ranks) -> Any:
    """The model where it is trained: whole on this rank's device, or this rank's share of it.

    Args:
        model: With its trainable parameters marked.
        device: Of this rank.
        ranks: This process among the others.
    """
    if not ranks.in_step:
        return model.to(device.name)
    mesh = init_device_mesh(device.name.partition(":")[0], (ranks.count,))
    parts = [block for _, stack in blocks(model) for block in stack]
    for part in [*parts, model]:
        fully_shard(part, mesh=mesh)
    return model


def is_shared_out(model: Any) -> bool:
    """Whether this process has only a share of a model's weights."""
    return any(isinstance(value, DTensor) for value in model.parameters())


def whole(value: torch.Tensor) -> torch.Tensor:
    """All of a tensor. Every rank must ask for it, and in the same order."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def like(value: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """This rank's share of a whole tensor that every rank has, shared out as another one is."""
    on_device = value.to(other.device)
    if not isinstance(other, DTensor):
        return on_device
    return distribute_tensor(on_device, other.device_mesh, other.placements, src_data_rank=None)


def forget_gathered(model: Any) -> None:
    """Let go of whole weights that a forward pass has left in a model, before its own share of them changes.

    What lies outside of all blocks stays gathered behind a pass that nothing goes back through.
    """
    if isinstance(model, FSDPModule):
        model.reshard()
