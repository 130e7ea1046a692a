"""The head of a model that names classes: where it is, when it begins anew, what it drops. Loads nothing.

transformers puts such a head on every family (`AutoModelForSequenceClassification`), so a tuned one loads there with
equal logits. Where the base has none, or one for other classes, its weights begin at random values that follow from the
seed alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch.nn import functional

from tunekit.data.wording import counted, listed
from tunekit.errors import ModelError
from tunekit.training.models.classes import Classes

_SUFFIX = "ForSequenceClassification"
_MULTI_LABEL = "multi_label_classification"


def is_classifier(model: Any) -> bool:
    """Whether a model, or the one inside a PEFT model, ends in such a head."""
    return type(_bare(model)).__name__.endswith(_SUFFIX)


def classes_in(config: Any) -> Classes | None:
    """The classes that a model directory's own head names, or None if it has no such head.

    Args:
        config: A transformers configuration, as it was saved.
    """
    if not any(name.endswith(_SUFFIX) for name in config.architectures or ()):
        return None
    names = tuple(str(config.id2label[at]) for at in sorted(config.id2label))
    return Classes(names=names, multi_label=config.problem_type == _MULTI_LABEL)


def describe(config: Any, classes: Classes, *, tokenizer: Any) -> None:
    """Write the classes into a configuration, and what fills the space behind shorter texts if it does not say.

    Heads of decoders look for the last token that is no padding, so without that token they take one text at a time.

    Raises:
        ModelError: There is no token to pad with.
    """
    _name(config, classes)
    config.problem_type = _MULTI_LABEL if classes.multi_label else "single_label_classification"
    text = config.get_text_config()
    known = (text.pad_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id)
    found = next((token for token in known if isinstance(token, int) and token >= 0), None)
    if found is None:
        raise ModelError(
            "neither the model nor its tokenizer names a token to pad shorter texts with",
            hint="set tokenizer.pad_token to a token that no text ends in, and save the tokenizer again",
        )
    text.pad_token_id = found


def _name(config: Any, classes: Classes) -> None:
    config.id2label = dict(enumerate(classes.names))
    config.label2id = {name: at for at, name in enumerate(classes.names)}


def parts(model: Any) -> tuple[str, ...]:
    """Names of the modules that make up the head.

    What BERT and its kin call the pooler is one of them: it lies between the encoder and the classes, and checkpoints
    of masked language models come without one.
    """
    bare = _bare(model)
    inside = bare.base_model_prefix
    pooler = getattr(getattr(bare, inside, None), "pooler", None)
    return (
        *((f"{inside}.pooler",) if pooler is not None else ()),
        *(
            name
            for name, part in bare.named_children()
            if name != inside and any(True for _ in part.parameters())
        ),
    )


def complete(
    model: Any, report: Mapping[str, Any], *, had: Classes | None, seed: int
) -> tuple[list[str], str]:
    """Give a loaded model a head of the classes in its configuration.

    Args:
        model: As it was loaded.
        report: transformers' report of what the files lacked.
        had: The classes that the head in the files names, if there is one.
        seed: Of the values that a new head begins with.

    Returns:
        The names of weights that are missing and do not belong to the head, and what is worth telling, or "".
    """
    # A mismatch is told as (name, shape in the file, shape in the model).
    missing = sorted({*report["missing_keys"], *(item[0] for item in report["mismatched_keys"])})
    mine = parts(model)
    lacking = [name for name in missing if not name.startswith(tuple(f"{part}." for part in mine))]
    incomplete = {part for part in mine for name in missing if name.startswith(f"{part}.")}
    outer = {part for part in mine if not part.endswith(".pooler")}
    is_new = had != classes_in_use(model.config) or bool(outer & incomplete)
    renewed = incomplete | outer if is_new else incomplete
    _begin(model, [part for part in mine if part in renewed], seed)
    if had is None:
        return lacking, ""
    if is_new:
        return lacking, f"the base's head for {listed(had.names)} is replaced by a new one for other classes"
    return (
        lacking,
        f"the base has a head for these {len(had.names)} classes already; training goes on with it",
    )


def grow(model: Any, classes: Classes, *, seed: int) -> None:
    """Give a head more classes, behind those that it names. What it has learned of those stays, number for number.

    Args:
        model: A model with such a head, or a PEFT model around one.
        classes: What it is to name; they begin with what it names.
        seed: Of the values that the new ones begin with.
    """
    bare = _bare(model)
    had = classes_in_use(bare.config)
    if had == classes:
        return
    _name(bare.config, classes)
    bare.num_labels = len(classes.names)
    for copy in _copies(bare.get_submodule(parts(bare)[-1])):
        *_, last = (layer for layer in copy.modules() if isinstance(layer, torch.nn.Linear))
        _widen(bare, last, len(classes.names), seed)


def growth(had: Classes, classes: Classes) -> str:
    """What is worth telling of a head that grows; "" for one that does not."""
    more = len(classes.names) - len(had.names)
    return f"the head learns {counted(more, 'new class')} beside its {len(had.names)}" if more else ""


def _copies(part: Any) -> list[Any]:
    """A part of the head, or the copies of it that PEFT keeps: the one it has found and those that it trains."""
    saved = getattr(part, "modules_to_save", None)
    return [part] if saved is None else [part.original_module, *saved.values()]


def _widen(model: Any, layer: torch.nn.Linear, classes: int, seed: int) -> None:
    wider = torch.nn.Linear(layer.in_features, classes, bias=layer.bias is not None)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        wider.apply(model._init_weights)
    for name, old in list(layer.named_parameters(recurse=False)):
        new = wider.get_parameter(name).detach().to(old)
        new[: len(old)] = old.detach()
        setattr(layer, name, torch.nn.Parameter(new, requires_grad=old.requires_grad))
    layer.out_features = classes


def classes_in_use(config: Any) -> Classes:
    """The classes that `describe` has written."""
    names = tuple(config.id2label[at] for at in sorted(config.id2label))
    return Classes(names=names, multi_label=config.problem_type == _MULTI_LABEL)


def _begin(model: Any, names: Iterable[str], seed: int) -> None:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for name in names:
            part = model.get_submodule(name)
            for value in part.parameters():
                # transformers marks what it has loaded, and passes over it.
                value._is_hf_initialized = False
            part.apply(model._init_weights)


def set_dropout(model: Any, share: float) -> None:
    """Drop this share of what the head reads, in training mode only. Nothing of it is saved.

    Args:
        model: A model with such a head, or a PEFT model around one.
        share: From 0 up to 1.
    """
    bare = _bare(model)
    inside = f"{bare.base_model_prefix}."
    found = [
        module
        for name, module in bare.named_modules()
        if isinstance(module, torch.nn.Dropout) and not name.startswith(inside)
    ]
    for module in found:
        module.p = share
    if share and not found:  # heads of decoders have none
        head = bare.get_submodule(parts(bare)[-1])
        head.register_forward_pre_hook(
            lambda module, read: (functional.dropout(read[0], share, module.training), *read[1:])
        )


def _bare(model: Any) -> Any:
    """The transformers model inside a PEFT model; others as they are."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model
