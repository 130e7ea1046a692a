"""Models and tokenizers from disk or hub. Knows what a model directory needs and which errors loading can meet.

It does not know what the model is loaded for. safetensors only, no remote code, and the dtype is ours to choose: the
checkpoint's own would make full fine-tuning of a bf16 checkpoint pure bf16, which stalls (torchtune#2254).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from tunekit.errors import ModelError
from tunekit.training.models import fingerprint, heads, hub, trust
from tunekit.training.models.attach import add_adapter
from tunekit.training.models.attach import attach_adapter as attach_adapter
from tunekit.training.models.backed import require_backed
from tunekit.training.models.classes import Classes
from tunekit.training.models.families import Family, Head, auto_class, family_of
from tunekit.training.models.model_files import (
    TOKENIZER_FILES,
    directory_of,
    loading,
    require_directory,
    require_weights,
)
from tunekit.training.models.model_files import local_directory as local_directory
from tunekit.training.probe.probed import ProbedModel
from tunekit.training.saving.artifacts import ADAPTER_CONFIG_NAME, Card, is_artifact, read_card
from tunekit.training.saving.card_check import require_as_saved, require_as_trained
from tunekit.training.texts import render
from tunekit.training.texts.template import Template, stop_ids

_DEFAULT_MAX_LENGTH = 2048
# T5's positions are distances, of which there is no last one; the n_positions of its configs is what it was trained on.
_NO_POSITIONS_MAX_LENGTH = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model ready to answer or to be trained.

    Attributes:
        model: A transformers model, a PEFT model around one, or a `ProbedModel`.
        template: Its tokenizer, with what follows from it.
        prompt_format: "chat" or "text": how a prompt/completion pair is written for it.
        stop_ids: Tokens that end an answer, sorted.
        max_length: Longest sequence in tokens.
        card: The artifact's card; None for a base model.
        classes: What it chooses from, if it is a classifier.
    """

    model: Any
    template: Template
    prompt_format: render.ResolvedFormat
    stop_ids: tuple[int, ...]
    max_length: int
    card: Card | None = None
    classes: Classes | None = None

    @property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        return self.template.tokenizer

    @property
    def family(self) -> Family:
        """What kind of model it is."""
        return family_of(self.model.config)


def load(
    source: str | Path,
    *,
    revision: str | None = None,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    head: Head = "tokens",
) -> LoadedModel:
    """Load a base model, a full artifact, or an adapter or probe artifact with its base.

    Args:
        source: A directory, or a hub id.
        revision: Hub revision of a base model.
        dtype: Of the base weights; adapters stay fp32.
        device: Where to put them.
        head: What a base model must end in; "none" is enough for its states.

    Raises:
        ModelError: It is not a model, something it needs is missing, or an artifact's weights or template are not
            those that it was saved with; the message names what.
    """
    directory = local_directory(source)
    if directory is not None and is_artifact(directory):
        return _load_artifact(directory, dtype, device)
    if directory is not None and (directory / ADAPTER_CONFIG_NAME).is_file():
        return _load_foreign_adapter(directory, dtype, device)
    template = Template.of(load_tokenizer(source, revision=revision))
    config = load_config(source, revision=revision)
    classes = heads.classes_in(config)
    if head == "tokens" and classes is None and family_of(config) == "encoder":
        raise ModelError(
            f"{str(source)!r} has no head that names classes, and an encoder writes no text",
            hint="it cannot be asked anything as it is: tune it with Classify() or Probe(), and ask the tuned model",
        )
    model = _load_base(source, template, classes, revision=revision, dtype=dtype, head=head).to(device)
    return LoadedModel(
        model=model.eval(),
        template=template,
        prompt_format=render.resolve_format(template, "auto"),
        stop_ids=stop_ids(template, config_stop_ids(model)),
        max_length=model_max_length(model),
        classes=classes,
    )


def load_tokenizer(source: str | Path, *, revision: str | None = None) -> Any:
    """The tokenizer of a model directory or hub id.

    Raises:
        ModelError: There is none, or it cannot be read.
    """
    from transformers import AutoTokenizer

    directory = directory_of(source, revision)
    if not any((directory / name).is_file() for name in TOKENIZER_FILES):
        raise ModelError(
            f"{str(directory)!r} has no tokenizer: none of {', '.join(TOKENIZER_FILES)}",
            hint="save the tokenizer beside the weights with tokenizer.save_pretrained(directory)",
        )
    with loading(source, "tokenizer"):
        return AutoTokenizer.from_pretrained(**_place(directory))


def load_config(source: str | Path, *, revision: str | None = None) -> Any:
    """The transformers configuration of a model directory or hub id.

    Raises:
        ModelError: There is none, or it cannot be read.
    """
    from transformers import AutoConfig

    directory = directory_of(source, revision)
    with loading(source, "configuration"):
        config = AutoConfig.from_pretrained(**_place(directory))
        # Kernels are ours to choose; some names stand for ones that would be fetched.
        config._attn_implementation = config._experts_implementation = None
    return config


def load_base(
    source: str | Path,
    *,
    revision: str | None = None,
    dtype: torch.dtype = torch.float32,
    head: Head = "tokens",
    options: Mapping[str, Any] = MappingProxyType({}),
) -> Any:
    """The model of a directory or hub id, in `dtype`, in evaluation mode, with no gradient anywhere.

    Args:
        source: A directory, or a hub id.
        revision: Hub revision.
        dtype: Of the weights.
        head: What it must end in.
        options: What `from_pretrained` is told beside that; see `quantization`.

    Raises:
        ModelError: It is not a model directory, its weights are pickles, its architecture is unknown, or it has no
            such head.
    """
    config = load_config(source, revision=revision)
    model, report = _pretrained(source, config, head, revision=revision, dtype=dtype, options=options)
    missing = sorted(report["missing_keys"])
    if head == "none":  # masked language models come without BERT's pooler, which no state goes through
        missing = [name for name in missing if not name.startswith("pooler.")]
    _refuse_lacking(source, missing)
    return model.requires_grad_(False).eval()


def load_classifier(
    source: str | Path,
    tokenizer: Any,
    classes: Classes,
    *,
    revision: str | None = None,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[Any, str]:
    """The same with a head for `classes`: the base's own where they are or begin with what it names, else a new one.

    Args:
        source: A directory, or a hub id.
        tokenizer: Its tokenizer, or the `Template` with it.
        classes: What the head names.
        revision: Hub revision.
        dtype: Of the weights.
        seed: Of the values that a new head begins with.
        options: As `load_base`.

    Returns:
        The model, and what is worth telling about its head, or "".

    Raises:
        ModelError: As `load_base`.
    """
    config = load_config(source, revision=revision)
    had = heads.classes_in(config)
    first = had if had is not None and had.begins(classes) else classes
    heads.describe(config, first, tokenizer=Template.of(tokenizer).tokenizer)
    model, report = _pretrained(source, config, "classes", revision=revision, dtype=dtype, options=options)
    lacking, notice = heads.complete(model, report, had=had, seed=seed)
    _refuse_lacking(source, lacking)
    heads.grow(model, classes, seed=seed)
    return model.requires_grad_(False).eval(), heads.growth(first, classes) or notice


def _load_base(
    source: str | Path,
    template: Template,
    classes: Classes | None,
    *,
    revision: str | None,
    dtype: torch.dtype,
    head: Head = "tokens",
) -> Any:
    if classes is None:
        return load_base(source, revision=revision, dtype=dtype, head=head)
    return load_classifier(source, template, classes, revision=revision, dtype=dtype)[0]


def _pretrained(
    source: str | Path,
    config: Any,
    head: Head,
    *,
    revision: str | None,
    dtype: torch.dtype,
    options: Mapping[str, Any],
) -> tuple[Any, dict[str, Any]]:
    """A model and what its files lack, which transformers fills with random numbers and only logs."""
    directory = directory_of(source, revision)
    with loading(source, "model"):
        if local_directory(source) is None:
            hub.fetch_weights(str(source), directory)
        require_weights(directory)
        require_backed(config, head, directory)
        loaded: tuple[Any, dict[str, Any]] = auto_class(config, head).from_pretrained(
            **_place(directory),
            config=config,
            dtype=dtype,
            use_safetensors=True,
            # A head for another number of classes; it begins anew.
            ignore_mismatched_sizes=head == "classes",
            output_loading_info=True,
            **options,
        )
    return loaded


def _place(directory: Path) -> dict[str, Any]:
    """What transformers is told of where everything of a model lies, and of whom to trust."""
    return {
        "pretrained_model_name_or_path": str(directory),
        "trust_remote_code": False,
        "local_files_only": True,
    }


def _refuse_lacking(source: str | Path, missing: list[str]) -> None:
    if missing:
        raise ModelError(
            f"{str(source)!r} lacks weights for {missing[:3]!r} ({len(missing)} in all)",
            hint="the files do not fit config.json; is this a language model with its output head?",
        )


def config_stop_ids(model: Any) -> tuple[int, ...]:
    """End-of-sequence ids that the model's generation config names.

    Raises:
        ModelError: What it names are no ids.
    """
    found = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    ids = tuple(found) if isinstance(found, (list, tuple)) else () if found is None else (found,)
    if not all(type(token) is int for token in ids):
        raise ModelError(
            f"the model's eos_token_id are no token ids: {str(found)[:40]}",
            hint="restore the model's own generation_config.json",
        )
    return ids


def model_max_length(model: Any) -> int:
    """Longest sequence that the model has positions for, in tokens; of an encoder-decoder, on either side.

    RoBERTa and its kin count positions from behind the padding token's id, so the first of theirs are never used.
    """
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            return int(module.num_embeddings - module.padding_idx - 1)
    config = model.config.get_text_config()
    if hasattr(config, "relative_attention_num_buckets") and not hasattr(config, "max_position_embeddings"):
        return _NO_POSITIONS_MAX_LENGTH
    for name in ("max_position_embeddings", "n_positions", "max_seq_len"):
        value = getattr(config, name, None)
        if isinstance(value, int) and value > 0:
            return value
    return _DEFAULT_MAX_LENGTH


def load_beside(other: LoadedModel, directory: Path, name: str) -> LoadedModel:
    """An adapter artifact on the loaded model of another one with the same base; switched off.

    Args:
        other: The other one. Its model is that of both from now on.
        directory: The artifact.
        name: What PEFT calls the adapter.

    Raises:
        ModelError: As `load`.
    """
    card, template = _opened(directory)
    add_adapter(other.model, directory, name)
    return _described(other.model, card, template)


def _opened(directory: Path) -> tuple[Card, Template]:
    card = read_card(directory)
    require_directory(directory)
    require_as_saved(card, directory)
    tokenizer = load_tokenizer(directory)
    require_as_trained(card, directory, tokenizer)
    return card, Template.of(tokenizer)


def _load_artifact(directory: Path, dtype: torch.dtype, device: str) -> LoadedModel:
    card, template = _opened(directory)
    if card.kind == "probe":
        model = _load_probe(card, directory, dtype, device)
    elif card.kind == "adapter":
        _require_same_base(card)
        base = _load_base(card.base_model, template, card.classes, revision=card.revision, dtype=dtype)
        model = attach_adapter(base.to(device), directory).eval()
    else:
        model = _load_base(directory, template, card.classes, revision=None, dtype=dtype).to(device)
    return _described(model, card, template)


def _described(model: Any, card: Card, template: Template) -> LoadedModel:
    return LoadedModel(
        model=model,
        template=template,
        prompt_format=card.prompt_format,
        stop_ids=card.stop_token_ids,
        max_length=card.max_length,
        card=card,
        classes=card.classes,
    )


def _load_probe(card: Card, directory: Path, dtype: torch.dtype, device: str) -> ProbedModel:
    _require_same_base(card)
    base = load_base(card.base_model, revision=card.revision, dtype=dtype, head="none").to(device)
    return ProbedModel.load(base, directory, classes=len(card.labels), longest=card.max_length)


def _load_foreign_adapter(directory: Path, dtype: torch.dtype, device: str) -> LoadedModel:
    """A PEFT directory that another tool wrote: its config names the base, and there is no card to check against."""
    require_directory(directory)
    config = trust.check_adapter(directory / ADAPTER_CONFIG_NAME)
    base_name, revision = config["base_model_name_or_path"], config.get("revision")
    base = load_base(base_name, revision=revision, dtype=dtype).to(device)
    has_tokenizer = any((directory / name).is_file() for name in TOKENIZER_FILES)
    tokenizer = load_tokenizer(directory) if has_tokenizer else load_tokenizer(base_name, revision=revision)
    template = Template.of(tokenizer)
    return LoadedModel(
        model=attach_adapter(base, directory).eval(),
        template=template,
        prompt_format=render.resolve_format(template, "auto"),
        stop_ids=stop_ids(template, config_stop_ids(base)),
        max_length=model_max_length(base),
    )


def _require_same_base(card: Card) -> None:
    # A hub commit never changes, and the card's revision is one; what lies in a directory may.
    found = fingerprint.of_base(local_directory(card.base_model), card.revision)
    if card.base_fingerprint and found != card.base_fingerprint:
        raise ModelError(
            f"the base model {card.base_model!r} is not the one that was tuned: its weights have changed since",
            hint="restore the base model's files, or tune again on the new ones",
        )
