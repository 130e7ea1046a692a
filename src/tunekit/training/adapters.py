"""What is trained: adapters beside frozen weights, or the weights themselves. Knows PEFT; knows no data and no loop."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch

from tunekit.errors import ModelError
from tunekit.spec import Adapter, LoRA
from tunekit.training.families import family_of


def make_trainable(
    model: Any, adapter: Adapter, *, seed: int, warn: Callable[[str], object] = lambda message: None
) -> Any:
    """Give a frozen model its trainable parameters, always in fp32.

    Args:
        model: A transformers model whose parameters are all frozen.
        adapter: A `LoRA` (with its variants) or `FullWeights`.
        seed: Seeds the adapter's initial values.
        warn: Told what PEFT warns about.

    Returns:
        A PEFT model around `model`, or `model` itself with every weight trainable.

    Raises:
        ModelError: The model has no layer that the adapter asks for.
    """
    if not isinstance(adapter, LoRA):
        return model.requires_grad_(True)
    from peft import LoraConfig, get_peft_model

    # PEFT declares alpha as int and computes with any number.
    alpha: Any = adapter.alpha if adapter.alpha is not None else 2 * adapter.rank
    config = LoraConfig(
        task_type=_task_type(model.config),
        r=adapter.rank,
        lora_alpha=alpha,
        lora_dropout=adapter.dropout,
        target_modules=adapter.target_modules
        if isinstance(adapter.target_modules, str)
        else list(adapter.target_modules),
        use_dora=adapter.dora,
        use_rslora=adapter.rslora,
        # GPT-2 keeps its linear layers as Conv1D, which store the transposed weight.
        fan_in_fan_out=any(type(module).__name__ == "Conv1D" for module in model.modules()),
    )
    torch.manual_seed(seed)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            tuned = get_peft_model(model, config)
    except ValueError as error:
        raise ModelError(
            f"LoRA cannot be put on this model: {str(error).splitlines()[0]}",
            hint='use target_modules="all-linear", or name layers that the model has',
        ) from error
    for item in caught:
        # PEFT 0.21 reads an attribute that transformers 5.23 has renamed; that is between the two of them.
        if "is_gradient_checkpointing" not in str(item.message):
            warn(str(item.message))
    return tuned


def _task_type(config: Any) -> Any:
    from peft import TaskType

    return TaskType.SEQ_2_SEQ_LM if family_of(config) == "encoder-decoder" else TaskType.CAUSAL_LM


def trainable_parameters(model: Any) -> dict[str, torch.nn.Parameter]:
    """Parameters that are trained, by name, in the model's own order; tied weights once."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}
