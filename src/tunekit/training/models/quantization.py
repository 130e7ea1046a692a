"""How weights are loaded for training: their precision, and 4 bits (QLoRA, Dettmers et al. 2023, arXiv 2305.14314).

Knows adapters and bitsandbytes by name; no model.

Only training is done on such weights. The adapter is published beside the base as it is, and served on that.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch

from tunekit.errors import MissingExtraError, SpecError, UnsupportedError
from tunekit.spec import Adapter, LoRA
from tunekit.training.plan.device import Device

EXTRA = "qlora"
PACKAGES = ("bitsandbytes", "accelerate")
"""What transformers needs to quantise while it loads."""

# Trained whole, or shared with the embeddings: what transformers calls the heads of its models.
_HEADS = ["lm_head", "score", "classifier", "classification_head"]


def wanted(adapter: Adapter) -> bool:
    """Whether an adapter asks for quantised frozen weights."""
    return isinstance(adapter, LoRA) and adapter.quantization is not None


def dtype_of(adapter: Adapter, device: Device) -> torch.dtype:
    """Of the weights as they are loaded. What is trained stays fp32: bf16 swallows small updates.

    So does what PiSSA takes a part of: the rest, rounded, would not add up to the untouched base any more.
    """
    return device.frozen_dtype if isinstance(adapter, LoRA) and adapter.init != "pissa" else torch.float32


def loading_options(adapter: Adapter, device: Device) -> dict[str, Any]:
    """What `from_pretrained` is told, so that it quantises; nothing where that was not asked for.

    NF4 with double quantisation, as in the paper; products are computed in the device's own precision.

    Raises:
        UnsupportedError: The device is no CUDA device.
        MissingExtraError: bitsandbytes or accelerate is not installed.
        SpecError: PiSSA was asked for too: it changes the frozen weights after they were quantised.
    """
    if not wanted(adapter):
        return {}
    if getattr(adapter, "init", "") == "pissa":
        raise SpecError(
            "init='pissa' with quantization='nf4': PiSSA changes weights, and quantised ones cannot be changed",
            hint="use one of the two",
        )
    if device.is_cpu:
        raise UnsupportedError(
            "quantization='nf4' needs a CUDA device, and there is none here",
            hint="leave quantization out, or train where there is a GPU",
        )
    for package in PACKAGES:
        if find_spec(package) is None:
            raise MissingExtraError(package, extra=EXTRA)
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=device.compute_dtype or torch.float32,
        llm_int8_skip_modules=_HEADS,
    )
    return {"quantization_config": config, "device_map": {"": device.name}}
