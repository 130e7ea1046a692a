"""What is trained: adapters beside frozen weights, or the weights themselves. Knows PEFT; knows no data and no loop."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tunekit.data.wording import brief, listed, nearest
from tunekit.errors import ModelError
from tunekit.spec import Adapter, FullWeights, LastLayers, LoRA
from tunekit.training.models import heads, pissa
from tunekit.training.models.attach import attach_trainable
from tunekit.training.models.classes import Classes
from tunekit.training.models.families import family_of

# PEFT 0.21 reads an attribute that transformers 5.23 has renamed, and asks itself about the ranks that it has set for
# fused experts.
_BETWEEN_LIBRARIES = "is_gradient_checkpointing", "_pattern keys did not match"
# What PEFT calls the parts of experts that are one tensor by now.
_FUSED = frozenset({"gate_proj", "up_proj", "down_proj", "w1", "w2", "w3"})


def make_trainable(
    model: Any,
    adapter: Adapter,
    *,
    seed: int,
    warn: Callable[[str], object] = lambda message: None,
    start: Path | None = None,
    classes: Classes | None = None,
) -> Any:
    """Give a frozen model its trainable parameters, always in fp32.

    Args:
        model: A transformers model whose parameters are all frozen.
        adapter: A `LoRA` (with its variants) whose rank is a number, `FullWeights` or `LastLayers`.
        seed: Seeds the adapter's initial values.
        warn: Told what PEFT warns about.
        start: Directory of the adapter to go on from; its rank, scale and layers are kept.
        classes: What its head is to name from now on; they begin with what it names.

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
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tuned = (
            _begun(model, adapter, seed)
            if start is None
            else attach_trainable(model, start, dropout=adapter.dropout)
        )
    if start is not None and classes is not None:
        heads.grow(tuned, classes, seed=seed)
    for item in caught:
        if not any(words in str(item.message) for words in _BETWEEN_LIBRARIES):
            warn(str(item.message))
    for value in trainable_parameters(tuned).values():
        value.data = value.data.float()  # of a head, PEFT keeps the dtype that it was loaded in
    return tuned


def _begun(model: Any, adapter: LoRA, seed: int) -> Any:
    from peft import LoraConfig, get_peft_model

    _require_targets(model, adapter.target_modules)
    rank: Any = adapter.rank  # a number by now: the recipe has settled "auto"
    # PEFT declares alpha as int and computes with any number.
    alpha: Any = adapter.alpha_at(rank)
    config = LoraConfig(
        task_type=_task_type(model),
        r=rank,
        lora_alpha=alpha,
        lora_dropout=adapter.dropout,
        target_modules=adapter.target_modules
        if isinstance(adapter.target_modules, str)
        else list(adapter.target_modules),
        use_dora=adapter.dora,
        use_rslora=adapter.rslora,
        init_lora_weights="pissa" if adapter.init == "pissa" else True,
        # GPT-2 keeps its linear layers as Conv1D, which store the transposed weight.
        fan_in_fan_out=any(type(module).__name__ == "Conv1D" for module in model.modules()),
        modules_to_save=list(heads.parts(model)) if heads.is_classifier(model) else None,
    )
    if isinstance(adapter.target_modules, str):
        _leave_routers(config, model)
    torch.manual_seed(seed)
    try:
        tuned = get_peft_model(model, config)
    except (ValueError, AttributeError) as error:
        raise _impossible(error, adapter) from error
    _require_read(tuned)
    if adapter.init == "pissa":
        pissa.remember_beginning(tuned)
    return tuned


def _require_read(tuned: Any) -> None:
    """Raise `ModelError` for embeddings that nothing reads: T5 and BART have theirs again in encoder and decoder."""
    model = tuned.get_base_model()
    embeddings = model.get_input_embeddings()
    if not hasattr(embeddings, "get_base_layer"):
        return
    adapted = embeddings.get_base_layer()
    readers = [
        name
        for name, part in model.named_modules()
        if isinstance(part, torch.nn.Embedding) and part is not adapted and part.weight is adapted.weight
    ]
    if readers:
        raise ModelError(
            f"an adapter on this model's shared embeddings would change nothing: {' and '.join(readers)} are read",
            hint="leave them out of target_modules",
        )


def _require_targets(model: Any, targets: str | tuple[str, ...]) -> None:
    """Raise `ModelError` for a name that no module has. PEFT is content if one of several has been found."""
    if isinstance(targets, str):
        return
    modules = {name: part for name, part in model.named_modules() if name}
    has_fused = any(value.ndim == 3 for value in model.parameters())
    for target in targets:
        if any(_is_targeted(name, (target,)) for name in modules) or (has_fused and target in _FUSED):
            continue
        layers = sorted({name.rpartition(".")[2] for name, part in modules.items() if _shape(part)})
        raise ModelError(
            f"target_modules names {brief(target)}, which is no layer of this model",
            hint=nearest(target, layers)
            or f"its layers are {listed(layers)}; or use target_modules='all-linear'",
        )


def _leave_routers(config: Any, model: Any) -> None:
    """Take what chooses among experts out of "all-linear".

    It stays as it was trained: a router that moves while experts move sends tokens to ones that never saw their like.
    """
    from peft.utils.transformers_weight_conversion import convert_peft_config_for_transformers

    routers = {
        name.rpartition(".")[2] for name, part in model.named_modules() if "Router" in type(part).__name__
    }
    if routers:
        config.exclude_modules = routers
        convert_peft_config_for_transformers(
            config, model, None
        )  # names fused experts, and routers with them
        weights = {f"{name}.weight" for name in routers}
        config.target_parameters = set(config.target_parameters or ()) - weights


def _impossible(error: Exception, adapter: LoRA) -> ModelError:
    reason = str(error).splitlines()[0]
    # What PEFT calls a ParamWrapper is the adapter of fused experts, which are one tensor and no linear layer.
    if "ParamWrapper" in reason or "no attribute 'weight'" in reason:
        return ModelError(
            f"LoRA cannot be put on this model's experts: {reason}",
            hint="experts take neither DoRA, dropout nor PiSSA; without these, or on the attention layers alone: "
            'target_modules=("q_proj", "k_proj", "v_proj", "o_proj")',
        )
    return ModelError(
        f"LoRA cannot be put on this model: {reason}",
        hint='use target_modules="all-linear", or name layers that the model has'
        if adapter.target_modules != "all-linear"
        else "name layers in target_modules, or use LastLayers() or FullWeights()",
    )


def _unfreeze_end(model: Any, count: int) -> Any:
    """Train the last blocks and what the model defines behind them: the final norm and the head.

    A head that shares its weight with the input embeddings stays as it is, since those lie below.

    Raises:
        ModelError: There are not so many blocks.
    """
    path, stack = _trained_blocks(model)
    if count > len(stack):
        raise ModelError(
            f"the model has {len(stack)} layers, so its last {count} cannot be trained",
            hint=f"use LastLayers(layers={len(stack)}) or less, or FullWeights()",
        )
    trained = tuple(f"{path}.{at}." for at in range(len(stack) - count, len(stack)))
    names = [name for name, _ in model.named_parameters()]
    behind = max(at for at, name in enumerate(names) if name.startswith(f"{path}."))
    for at, (name, value) in enumerate(model.named_parameters()):
        value.requires_grad_(at > behind or name.startswith(trained))
    return model


def blocks(model: Any) -> list[tuple[str, torch.nn.ModuleList]]:
    """The lists of transformer blocks of a model that lie in no other list, and where they are.

    An encoder-decoder has two.
    """
    lists = {name: part for name, part in model.named_modules() if isinstance(part, torch.nn.ModuleList)}
    return [
        (name, part)
        for name, part in lists.items()
        if not any(name.startswith(f"{other}.") for other in lists)
    ]


def _trained_blocks(model: Any) -> tuple[str, torch.nn.ModuleList]:
    """The longest list of blocks; of an encoder-decoder the decoder's.

    Raises:
        ModelError: There is none.
    """
    outer = blocks(model)
    if family_of(model.config) == "encoder-decoder":
        outer = [(name, part) for name, part in outer if "decoder" in name.split(".")]
    if not outer:
        raise ModelError(
            f"a {model.config.model_type!r} model has no list of layers to tell its last ones by",
            hint="use LoRA() or FullWeights()",
        )
    return max(outer, key=lambda item: len(item[1]))


def _task_type(model: Any) -> Any:
    from peft import TaskType

    if heads.is_classifier(model):
        return TaskType.SEQ_CLS
    return TaskType.SEQ_2_SEQ_LM if family_of(model.config) == "encoder-decoder" else TaskType.CAUSAL_LM


def weights_per_rank(model: Any, adapter: Adapter) -> int:
    """Trainable weights of an adapter of rank 1; 0 for what is no LoRA.

    Each layer adds as many as it has inputs and outputs.
    """
    if not isinstance(adapter, LoRA):
        return 0
    left_out = {id(model.get_output_embeddings())} if hasattr(model, "get_output_embeddings") else set()
    return sum(
        sum(_shape(module))
        for name, module in model.named_modules()
        if id(module) not in left_out and _is_targeted(name, adapter.target_modules)
    )


def _shape(module: Any) -> tuple[int, ...]:
    if isinstance(module, torch.nn.Linear):
        return (module.in_features, module.out_features)  # its weight may be packed into 4 bits
    return tuple(module.weight.shape) if type(module).__name__ == "Conv1D" else ()


def _is_targeted(name: str, targets: str | tuple[str, ...]) -> bool:
    return isinstance(targets, str) or any(f".{name}".endswith(f".{target}") for target in targets)


def trainable_parameters(model: Any) -> dict[str, torch.nn.Parameter]:
    """Parameters that are trained, by name, in the model's own order; tied weights once."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}
