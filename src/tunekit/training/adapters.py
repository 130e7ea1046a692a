"""What is trained: adapters beside frozen weights, or the weights themselves. Knows PEFT; knows no data and no loop."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch

from tunekit.errors import ModelError
from tunekit.spec import Adapter, FullWeights, LastLayers
from tunekit.training import heads
from tunekit.training.families import family_of


def make_trainable(
    model: Any, adapter: Adapter, *, seed: int, warn: Callable[[str], object] = lambda message: None
) -> Any:
    """Give a frozen model its trainable parameters, always in fp32.

    Args:
        model: A transformers model whose parameters are all frozen.
        adapter: A `LoRA` (with its variants), `FullWeights` or `LastLayers`.
        seed: Seeds the adapter's initial values.
        warn: Told what PEFT warns about.

    Returns:
        A PEFT model around `model`, or `model` itself with every weight trainable, or those of its last layers. A head
        that names classes is always trained.

    Raises:
        ModelError: The model has no layer that the adapter asks for.
    """
    if isinstance(adapter, FullWeights):
        return model.requires_grad_(True)
    if isinstance(adapter, LastLayers):
        return _unfreeze_end(model, adapter.layers)
    from peft import LoraConfig, get_peft_model

    # PEFT declares alpha as int and computes with any number.
    alpha: Any = adapter.alpha if adapter.alpha is not None else 2 * adapter.rank
    config = LoraConfig(
        task_type=_task_type(model),
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
        modules_to_save=list(heads.parts(model)) if heads.is_classifier(model) else None,
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
    for value in trainable_parameters(tuned).values():
        value.data = value.data.float()  # of a head, PEFT keeps the dtype that it was loaded in
    return tuned


def _unfreeze_end(model: Any, count: int) -> Any:
    """Train the last blocks and what the model defines behind them: the final norm and the head.

    A head that shares its weight with the input embeddings stays as it is, since those lie below.

    Raises:
        ModelError: There are not so many blocks.
    """
    path, blocks = _blocks(model)
    if count > len(blocks):
        raise ModelError(
            f"the model has {len(blocks)} layers, so its last {count} cannot be trained",
            hint=f"use LastLayers(layers={len(blocks)}) or less, or FullWeights()",
        )
    trained = tuple(f"{path}.{at}." for at in range(len(blocks) - count, len(blocks)))
    names = [name for name, _ in model.named_parameters()]
    behind = max(at for at, name in enumerate(names) if name.startswith(f"{path}."))
    for at, (name, value) in enumerate(model.named_parameters()):
        value.requires_grad_(at > behind or name.startswith(trained))
    return model


def _blocks(model: Any) -> tuple[str, torch.nn.ModuleList]:
    """The transformer blocks of a model, and where they are: its longest list of modules that lies in no other.

    Of an encoder-decoder these are the decoder's.

    Raises:
        ModelError: It has none.
    """
    lists = {name: part for name, part in model.named_modules() if isinstance(part, torch.nn.ModuleList)}
    outer = {
        name: part for name, part in lists.items() if not any(name.startswith(f"{other}.") for other in lists)
    }
    if family_of(model.config) == "encoder-decoder":
        outer = {name: part for name, part in outer.items() if "decoder" in name.split(".")}
    if not outer:
        raise ModelError(
            f"a {model.config.model_type!r} model has no list of layers to tell its last ones by",
            hint="use LoRA() or FullWeights()",
        )
    return max(outer.items(), key=lambda item: len(item[1]))


def _task_type(model: Any) -> Any:
    from peft import TaskType

    if heads.is_classifier(model):
        return TaskType.SEQ_CLS
    return TaskType.SEQ_2_SEQ_LM if family_of(model.config) == "encoder-decoder" else TaskType.CAUSAL_LM


def trainable_parameters(model: Any) -> dict[str, torch.nn.Parameter]:
    """Parameters that are trained, by name, in the model's own order; tied weights once."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}
