"""PiSSA: adapters that begin as the largest singular values of the frozen weights (Meng et al. 2024, arXiv 2404.02948).

It knows how such an adapter is saved so that it fits the untouched base. PEFT computes its beginning; this module knows
no training.

The frozen weight W is split into B0 A0, which is trained, and the rest W - s B0 A0, which is not. After training the
change is s (B A - B0 A0): a plain adapter of twice the rank, which anybody loads beside W itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from tunekit.errors import ModelError


def remember_beginning(model: Any) -> None:
    """Keep A0 and B0 in a PEFT model that has just been made, since W can only be told from its rest with them.

    Raises:
        ModelError: The rank is more than a layer has singular values.
    """
    rank = model.peft_config["default"].r
    for name, layer in _layers(model):
        a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        if len(a) != rank:
            raise ModelError(
                f"PiSSA with rank {rank} cannot begin in {name!r}, which has {len(a)} singular values",
                hint=f"use rank={len(a)} or less, or init='default'",
            )
        layer.register_buffer("pissa_a", a.detach().clone(), persistent=False)
        layer.register_buffer("pissa_b", b.detach().clone(), persistent=False)


def tensors_beside_untouched(model: Any, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The adapter's tensors as they are saved: [A; A0] and [B, -B0]. Of other adapters, as they are."""
    made = dict(tensors)
    for name, layer in _layers(model):
        if not hasattr(layer, "pissa_a"):
            continue
        for part, start, dim in (("lora_A", layer.pissa_a, 0), ("lora_B", -layer.pissa_b, 1)):
            key = f"{name}.{part}.weight"
            made[key] = torch.cat([made[key], start.to(made[key])], dim=dim)
    return made


def config_beside_untouched(config: Mapping[str, Any]) -> dict[str, Any]:
    """The adapter's configuration as it is saved: of twice the rank, at the same scale. Of other adapters, as it is."""
    if config.get("init_lora_weights") != "pissa":
        return dict(config)
    # The scale is alpha / r, or alpha / sqrt(r) for rsLoRA.
    growth = 2**0.5 if config.get("use_rslora") else 2
    return {
        **config,
        "init_lora_weights": True,
        "r": 2 * config["r"],
        "lora_alpha": growth * config["lora_alpha"],
    }


def _layers(model: Any) -> Iterator[tuple[str, Any]]:
    from peft.tuners.lora import LoraLayer

    for name, module in model.named_modules():
        if isinstance(module, LoraLayer) and "default" in module.lora_A:
            yield name, module
