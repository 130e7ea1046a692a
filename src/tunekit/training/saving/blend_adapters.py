"""Adapters mixed so that their changes add up exactly. Knows PEFT's tensors and configuration; loads no model.

The change of an adapter is s B A. A and B cannot be averaged each, since (B1 + B2)(A1 + A2) is another product. Side by
side they can:

    sum_k a_k s_k B_k A_k = [a_1 s_1 B_1, a_2 s_2 B_2, ...] [A_1; A_2; ...]

an adapter whose rank is the sum of the ranks, at scale 1. One adapter alone keeps its rank and scale, and its B is
multiplied by a, which for a = 1 leaves every bit as it was, and for a = 0 adds nothing to any output.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tunekit.errors import ModelError, UnsupportedError
from tunekit.training.models import trust
from tunekit.training.models.model_files import loading
from tunekit.training.saving import blend_weights
from tunekit.training.saving.artifacts import ADAPTER_CONFIG_NAME, ADAPTER_WEIGHTS_NAME

_PREFIX = "base_model.model."
_PAIRS = ((".lora_A.weight", ".lora_B.weight"), (".lora_embedding_A", ".lora_embedding_B"))

Head = Callable[[str], torch.Tensor]
"""Gives a base's own tensor of a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """An adapter as it lies on disk.

    Attributes:
        tensors: By name.
        config: PEFT's.
    """

    tensors: Mapping[str, torch.Tensor]
    config: Mapping[str, Any]

    @classmethod
    def read(cls, directory: Path) -> Adapter:
        """Read one.

        Raises:
            ModelError: It is damaged.
            UnsupportedError: Its change is no sum of products.
        """
        from safetensors.torch import load_file

        trust.check_adapter(directory / ADAPTER_CONFIG_NAME)
        with loading(directory, "adapter"):
            config = json.loads((directory / ADAPTER_CONFIG_NAME).read_bytes())
            tensors = load_file(directory / ADAPTER_WEIGHTS_NAME)
        if config.get("use_dora"):
            raise UnsupportedError(
                f"the adapter in {str(directory)!r} is a DoRA: it scales weights by their norm, so its change does not "
                "add up with others",
                hint="export it (tunekit export --format merged) and blend the whole model",
            )
        return cls(tensors=tensors, config=config)

    @property
    def scale(self) -> float:
        """What the product of B and A is multiplied by."""
        rank, alpha = self.config["r"], self.config["lora_alpha"]
        return float(alpha / rank**0.5 if self.config.get("use_rslora") else alpha / rank)

    @property
    def heads(self) -> dict[str, torch.Tensor]:
        """Whole weights that were trained beside the adapter."""
        return {name: value for name, value in self.tensors.items() if "lora_" not in name}


def mixed(parts: Sequence[tuple[Adapter, float]], head: Head | None = None) -> Adapter:
    """The mixture of adapters on one base.

    Args:
        parts: Adapters and the share of each; where these add up to less than 1, the base has the rest.
        head: Gives the base's own tensors; needed where it has a share and heads are trained. None refuses that.

    Raises:
        ModelError: They are on other layers, or a head has nothing to be mixed with.
        UnsupportedError: Their ranks differ from layer to layer.
    """
    kept = [(adapter, share) for adapter, share in parts if share] or list(parts[:1])
    heads = _heads(kept, head)
    if len(kept) == 1:
        ((adapter, share),) = kept
        scaled = {
            name: value * share if _is_outer(name) and share != 1.0 else value
            for name, value in adapter.tensors.items()
        }
        return Adapter(tensors=scaled | heads, config=adapter.config)
    _require_plain([adapter for adapter, _ in kept])
    tensors = dict(heads)
    for inner, outer in _pairs(kept[0][0]):
        tensors[inner] = torch.cat([adapter.tensors[inner] for adapter, _ in kept], dim=0)
        outers = [adapter.tensors[outer] * (share * adapter.scale) for adapter, share in kept]
        tensors[outer] = torch.cat(outers, dim=1)
    rank = sum(adapter.config["r"] for adapter, _ in kept)
    return Adapter(
        tensors=tensors,
        config={**kept[0][0].config, "r": rank, "lora_alpha": rank, "use_rslora": False},
    )


def write(directory: Path, adapter: Adapter) -> None:
    """Write the files of an adapter."""
    from safetensors.torch import save

    tensors = {name: value.contiguous() for name, value in adapter.tensors.items()}
    for name, value in tensors.items():
        if not bool(torch.isfinite(value).all()):
            raise ModelError(f"the mixture of {name!r} is not finite", hint="look at the models that go in")
    (directory / ADAPTER_WEIGHTS_NAME).write_bytes(save(tensors, {"format": "pt"}))
    text = json.dumps(dict(adapter.config), indent=1, sort_keys=True, ensure_ascii=False)
    (directory / ADAPTER_CONFIG_NAME).write_text(text + "\n", encoding="utf-8")


def _heads(parts: Sequence[tuple[Adapter, float]], head: Head | None) -> dict[str, torch.Tensor]:
    rest = 1.0 - sum(share for _, share in parts)
    found = {}
    for name, first in parts[0][0].heads.items():
        values, shares = [first], [parts[0][1]]
        for adapter, share in parts[1:]:
            values.append(_known(adapter, name))
            shares.append(share)
        if abs(rest) > 1e-9:
            if head is None:
                raise ModelError(
                    f"{name!r} was trained as a whole, and the base has nothing to mix it with",
                    hint="merge siblings, or blend with an earlier model of the same classes",
                )
            values.append(head(name.removeprefix(_PREFIX)))
            shares.append(rest)
        pieces = list(blend_weights.mixed(name, values, shares))
        found[name] = torch.cat(pieces).reshape(first.shape)
    return found


def _pairs(adapter: Adapter) -> list[tuple[str, str]]:
    return [
        (name, name.removesuffix(a) + b) for name in adapter.tensors for a, b in _PAIRS if name.endswith(a)
    ]


def _is_outer(name: str) -> bool:
    return any(name.endswith(outer) for _, outer in _PAIRS)


def _require_plain(adapters: Sequence[Adapter]) -> None:
    """Look whether ranks can be laid side by side."""
    first = adapters[0].tensors.keys()
    for adapter in adapters:
        if other := sorted(first ^ adapter.tensors.keys()):
            raise ModelError(
                f"the adapters are not on the same layers: {other[0]!r} is in one alone",
                hint="mix adapters with the same target_modules, or export them as merged models and mix these",
            )
        uneven = any(adapter.tensors[inner].shape[0] != adapter.config["r"] for inner, _ in _pairs(adapter))
        if uneven or adapter.config.get("rank_pattern") or adapter.config.get("alpha_pattern"):
            raise UnsupportedError(
                "the adapters do not have one rank on all layers (those of experts never do)",
                hint="export them (tunekit export --format merged) and mix the whole models",
            )


def _known(adapter: Adapter, name: str) -> torch.Tensor:
    if name not in adapter.tensors:
        raise ModelError(
            f"{name!r} was trained in one of the adapters alone", hint="mix adapters of one method"
        )
    return adapter.tensors[name]
